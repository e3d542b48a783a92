package ban

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// tick is how often it is looked whether anything is over, or to be saved.
	tick = time.Second
	// saveShare is how much of the time may go into saving: with very many bans, a
	// save takes its time, and the next waits so many times as long.
	saveShare = 20
)

// Run ends bans when their time is over, tells the kernel of changes and saves
// the bans, besides those by hand at most every second, until ctx is done. Then it saves what is not
// saved yet and returns the error of that, if there is one. The kernel keeps what
// it was told. Without Run, bans are made and are over in their time as far as
// Banned is concerned. It may be called once.
func (k *Keeper) Run(ctx context.Context) error {
	var others sync.WaitGroup
	if k.kernel != nil {
		others.Go(func() { k.runKernel(ctx) })
	}
	others.Go(func() { k.runEnds(ctx) })
	k.runSave(ctx)
	others.Wait()
	if !k.unsaved() {
		return nil
	}
	_, err := k.save()
	return err
}

func (k *Keeper) runEnds(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		k.mu.Lock()
		now := k.clock.instant()
		k.sweep(now)
		k.lines.turn(now)
		k.unlock()
	}
}

func (k *Keeper) runKernel(ctx context.Context) {
	k.adopt(ctx)
	retry := time.NewTicker(kernelRetry)
	defer retry.Stop()
	reap := time.NewTicker(kernelReap)
	defer reap.Stop()
	for {
		k.tellNow()
		select {
		case <-ctx.Done():
			k.tellNow() // of what came with the end
			return
		case <-k.kernelWake:
		case <-retry.C:
			k.retryKernel()
		case <-reap.C:
			k.reapKernel()
		}
	}
}

func (k *Keeper) reapKernel() {
	k.telling.Lock()
	defer k.telling.Unlock()
	if n, err := k.kernel.Reap(k.clock.instant().t); err != nil {
		k.kernelTrouble(err)
	} else if n > 0 {
		k.retryKernel() // there is room now
	}
}

func (k *Keeper) runSave(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var notBefore time.Time
	failing := false
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
		if now.Before(notBefore) || !k.unsaved() {
			continue
		}
		started := time.Now()
		bans, err := k.save()
		ended := time.Now()
		notBefore = ended.Add(saveShare * ended.Sub(started))
		switch {
		case err != nil && !failing:
			k.log.Error("bans not saved; a restart would forget the latest", "cause", err)
		case err == nil && failing:
			k.log.Info("bans saved again", slog.Int("bans", bans))
		}
		failing = err != nil
	}
}

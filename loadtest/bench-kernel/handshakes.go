package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// Nicenesses. All come before whatever else this machine does, and among
// themselves the good client before the edge, and the edge before the attackers:
// what the good client lacks is not to be its own core's doing.
const (
	goodNice   = -20
	serverNice = -15 // and what receives, on both cores
	attackNice = -5  // and whoever lists bans
)

// nice is a niceness of those above, unless this run yields to others.
func (o options) nice(n int) int {
	if o.yielding {
		return 0
	}
	return n
}

// measureHandshakes measures what the good client gets, at half the rate that it
// reaches when it is alone: undisturbed, and with the attackers.
func (b *bench) measureHandshakes(ctx context.Context) error {
	if b.rate == 0 {
		rate, err := b.fullRate(ctx)
		if err != nil {
			return err
		}
		b.rate = rate / 2
	}
	for _, side := range []string{undisturbed, bansOff, bansUserSpace, bansXDP} {
		if err := b.measureSide(ctx, side); err != nil {
			return fmt.Errorf("good client, %s: %w", side, err)
		}
	}
	return nil
}

// fullRate is what the good client reaches in closed loop, in handshakes a second.
func (b *bench) fullRate(ctx context.Context) (float64, error) {
	dir, err := os.MkdirTemp(b.dir, "full-")
	if err != nil {
		return 0, err
	}
	e, err := b.startEdge(ctx, dir, bansOff)
	if err != nil {
		return 0, err
	}
	defer e.Stop()
	p, err := b.startGood(dir, b.goodPlan(0, b.calm))
	if err != nil {
		return 0, err
	}
	var g good
	if err := p.result(ctx, &g); err != nil {
		return 0, err
	}
	if g.Rate < 2 {
		return 0, fmt.Errorf("good client, alone: %d of %d handshakes were done%s", g.Done, g.Due, e.Said())
	}
	return g.Rate, nil
}

func (b *bench) startGood(dir string, p loadtest.Plan) (*child, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "plan.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	return b.cable.client.startSelf(dir, b.nice(goodNice), roleGood, file)
}

// measureSide measures one side of the comparison on an edge of its own.
func (b *bench) measureSide(ctx context.Context, side string) error {
	dir, err := os.MkdirTemp(b.dir, "flood-")
	if err != nil {
		return err
	}
	bans := side
	if side == undisturbed {
		bans = bansOff
	}
	e, err := b.startEdge(ctx, dir, bans)
	if err != nil {
		return err
	}
	defer e.Stop()
	start := time.Now()
	client, err := b.startGood(dir, b.goodPlan(b.rate, b.flood))
	if err != nil {
		return err
	}
	defer client.Stop()
	var attackers *child
	if side != undisturbed {
		attackers, err = b.cable.client.startSelf(dir, b.nice(attackNice), roleAttack, edgeAddress, b.attacked().String(), strconv.Itoa(b.atOnce))
		if err != nil {
			return err
		}
		defer attackers.Stop()
	}
	busy, err := b.settledBusy(ctx, e, start)
	if err != nil {
		return err
	}
	b.sheet.add(serverBusy, side, busy)
	if attackers != nil {
		if err := b.noteAttack(ctx, attackers, side); err != nil {
			return err
		}
	}
	var g good
	if err := client.result(ctx, &g); err != nil {
		return err
	}
	// What was banned last may be on its way to the kernel.
	if err := e.await(ctx, 10*time.Second, bans, attackerCount); err != nil {
		return err
	}
	b.noteGood(side, &g)
	if bans == bansOff {
		return nil
	}
	return b.checkBanned(ctx, e, side)
}

// checkBanned is an error unless all attackers were banned. That the good client
// was is a finding.
func (b *bench) checkBanned(ctx context.Context, e *edge, side string) error {
	banned, err := e.banned(ctx)
	if err != nil {
		return err
	}
	for i := range attackerCount {
		if a := attacker(i).String(); !banned[a] {
			return fmt.Errorf("%s is not banned: want all attackers to be%s", a, e.Said())
		}
	}
	if banned[clientIP] {
		b.notes = append(b.notes, fmt.Sprintf("bans, %s: the good client was banned itself, for what it gave up while the edge was busy", side))
	}
	return nil
}

func (b *bench) noteGood(side string, g *good) {
	b.sheet.add(goodShare, side, g.share())
	b.sheet.add(goodP50, side, g.P50.Seconds()*1e3)
	b.sheet.add(goodP99, side, g.P99.Seconds()*1e3)
	b.sheet.add(goodSettled, side, g.SettledP99.Seconds()*1e3)
}

// settling is how much of a flood it may take until all attackers are banned:
// what costs the server afterwards is what a ban costs.
func settling(flood time.Duration) time.Duration { return flood / 5 }

// settledBusy is the share of the server's core, in percent, that the edge and
// receiving for it have had from when a flood has settled until before its end.
func (b *bench) settledBusy(ctx context.Context, e *edge, start time.Time) (float64, error) {
	var spent [2]time.Duration
	var at [2]time.Time
	for i, when := range []time.Duration{settling(b.flood), b.attacked()} {
		wait := time.NewTimer(time.Until(start.Add(when)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return 0, ctx.Err()
		case <-e.Done:
			return 0, fmt.Errorf("the edge has ended: %w%s", e.Err, e.Said())
		case <-wait.C:
		}
		var err error
		if spent[i], err = e.spent(b.cable.server); err != nil {
			return 0, err
		}
		at[i] = time.Now()
	}
	return 100 * (spent[1] - spent[0]).Seconds() / at[1].Sub(at[0]).Seconds(), nil
}

// attacked is how long a flood lasts: the good client's time, but for what the
// start of a process may take.
func (b *bench) attacked() time.Duration { return b.flood - b.flood/20 }

// noteAttack waits for the end of the attack.
func (b *bench) noteAttack(ctx context.Context, attackers *child, side string) error {
	var a attack
	if err := attackers.result(ctx, &a); err != nil {
		return err
	}
	if a.Answered == 0 {
		return fmt.Errorf("no attacker was answered, of %.0f connections tried a second: want an attack%s", a.Tried, attackers.Said())
	}
	b.sheet.add(attackTried, side, a.Tried)
	b.sheet.add(attackAnswered, side, a.Answered)
	return nil
}

package ban

import (
	"github.com/sallyport/sallyport/edge/config"
)

// The kernel has bans of a dry run, too, so that it counts what they would drop.
// Therefore it leaves enforcing before it is told of any, and enforces again only
// when it has none.

// calmKernel has the kernel drop nothing, where that is the mode. The caller holds
// telling.
func (k *Keeper) calmKernel(mode config.BanMode) error {
	if mode == config.BanEnforce {
		return nil
	}
	return k.setKernelMode(mode)
}

// armKernel has the kernel drop what it was told, where that is the mode and all
// that it was told of under another is gone from it. The caller holds telling, and
// has told of all that was dirty.
func (k *Keeper) armKernel(mode config.BanMode) error {
	if mode != config.BanEnforce || k.keepsTooMuch() {
		return nil
	}
	return k.setKernelMode(mode)
}

// keepsTooMuch tells whether the kernel has failed to lift a ban.
func (k *Keeper) keepsTooMuch() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, s := k.clock.instant(), k.settings.Load()
	for n := range k.stuck {
		if e := k.table.find(n); e == nil || !s.belongs(e, now) {
			return true
		}
	}
	return false
}

func (k *Keeper) setKernelMode(mode config.BanMode) error {
	if k.kernelMode == mode {
		return nil
	}
	if err := k.kernel.SetMode(mode); err != nil {
		k.kernelTrouble(err)
		return err
	}
	k.kernelMode = mode
	return nil
}

// tellNow tells the kernel of all changes, if it may be told already: who has
// banned or lifted by hand is answered when that is so.
func (k *Keeper) tellNow() {
	if k.kernel == nil {
		return
	}
	k.telling.Lock()
	defer k.telling.Unlock()
	if k.adopted {
		k.syncKernel()
	}
}

// stillDropped tells whether the kernel could not be told that a ban within n is
// lifted.
func (k *Keeper) stillDropped(n key) bool {
	if k.kernel == nil {
		return false
	}
	k.telling.Lock()
	defer k.telling.Unlock()
	if !k.adopted || k.kernelMode != config.BanEnforce {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, untold := range []map[key]struct{}{k.dirty, k.stuck} {
		for of := range untold {
			if of.within(n) && k.table.find(of) == nil {
				return true
			}
		}
	}
	return false
}

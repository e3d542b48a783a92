package ban

import (
	"container/heap"
	"fmt"
	"net/netip"
	"time"
)

// departing is the part of a Keeper that hands its bans to one in another
// process, which has the same directory. The file is written by one of the two at
// any time, and what changes after the other has read it is told. Guarded by
// Keeper.mu.
type departing struct {
	noted map[key]struct{} // changed since Depart or Changes; nil: nobody wants to know
	left  bool             // the file and the kernel are the other's
}

// Change is what became of a network's ban.
type Change struct {
	Prefix netip.Prefix `json:"prefix"`
	// Ban is a line of the file; "" for none.
	Ban string `json:"ban,omitempty"`
}

// note remembers that a network's ban has changed. The caller holds mu.
func (k *Keeper) note(n key) {
	if k.noted != nil {
		k.noted[n] = struct{}{}
	}
}

// Depart has every change on disk, for another process to read, and remembers
// those from here on for Changes. The Keeper goes on as before.
func (k *Keeper) Depart() error {
	k.mu.Lock()
	k.noted = map[key]struct{}{}
	k.mu.Unlock()
	if !k.unsaved() {
		return nil
	}
	if _, err := k.save(); err != nil {
		k.Stay()
		return fmt.Errorf("hand bans over: %w", err)
	}
	return nil
}

// Leave leaves the file and the kernel to the other process: when it has returned,
// nothing is written or told any more. The Keeper goes on otherwise, and Changes too.
func (k *Keeper) Leave() {
	k.telling.Lock()
	defer k.telling.Unlock()
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left = true
}

// Stay undoes Depart and Leave: the other process is gone, whatever it may have
// written.
func (k *Keeper) Stay() {
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noted = nil
	if k.left {
		k.left = false
		k.recent.follow("") // it may belong to another file by now
		k.changes++         // so that the file is written anew
		k.wakeKernel()      // which has not been told meanwhile
	}
}

// mostChanges are returned at once.
const mostChanges = 256

// Changes returns some of what changed since Depart, each network once; none if
// that was all. It takes them for told.
func (k *Keeper) Changes() []Change {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Change
	now := k.clock.instant()
	for n := range k.noted {
		if len(list) == mostChanges {
			break
		}
		delete(k.noted, n)
		list = append(list, k.state(n, now))
	}
	return list
}

// State is what has become of these networks' bans, as Changes has it.
func (k *Keeper) State(networks []netip.Prefix) []Change {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Change
	now := k.clock.instant()
	for _, p := range networks {
		list = append(list, k.state(keyOf(p), now))
	}
	return list
}

func (k *Keeper) state(n key, now instant) Change {
	c := Change{Prefix: n.prefix()}
	if e := k.table.find(n); e != nil {
		r := e.record(now)
		line := r.append(nil)
		c.Ban = string(line[:len(line)-1])
	}
	return c
}

// Apply takes over changes that another process has made since it wrote the file
// that this Keeper has read. OnBan is not called. A change that is malformed is
// an error, and those behind it are not applied.
func (k *Keeper) Apply(list []Change) error {
	k.mu.Lock()
	defer k.unlock()
	now := k.clock.instant()
	defer func() { heap.Init(&k.ends) }()
	for _, c := range list {
		if err := k.applyOne(c, now); err != nil {
			return fmt.Errorf("take over ban of %v: %w", c.Prefix, err)
		}
	}
	return nil
}

func (k *Keeper) applyOne(c Change, now instant) error {
	r, err := c.record()
	if err != nil {
		return err
	}
	n := keyOf(r.prefix)
	if old := k.table.find(n); old != nil {
		k.remove(old)
	}
	if c.Ban != "" {
		if err := k.restore(&r, now); err != nil {
			return err
		}
	}
	k.tellKernel(n)
	return nil
}

// record is the ban of a change; without one, it has the network alone.
func (c *Change) record() (r record, err error) {
	p, err := normal(c.Prefix)
	if err != nil || c.Ban == "" {
		r.prefix = p
		return r, err
	}
	if err = r.parse([]byte(c.Ban)); err == nil && r.prefix != p {
		err = fmt.Errorf("%q: it is of another network", c.Ban)
	}
	return r, err
}

// Merge is Apply where both processes make bans: what the other tells may add a ban
// or make one longer, and ends none. It says whether it has done so. Changes returns
// what was taken from here only if pass says so: the other is not told its own.
func (k *Keeper) Merge(list []Change, pass bool) (changed bool, err error) {
	k.mu.Lock()
	defer k.unlock()
	now := k.clock.instant()
	defer func() { heap.Init(&k.ends) }()
	for _, c := range list {
		r, err := c.record()
		if err != nil {
			return changed, fmt.Errorf("take over ban of %v: %w", c.Prefix, err)
		}
		n := keyOf(r.prefix)
		if c.Ban == "" || !k.outlasts(&r, now) {
			k.tellKernel(n) // which the other may have told what it holds itself
			continue
		}
		_, noted := k.noted[n]
		err = k.applyOne(c, now)
		if pass {
			k.note(n)
		} else if !noted {
			delete(k.noted, n)
		}
		if err != nil {
			return changed, fmt.Errorf("take over ban of %v: %w", c.Prefix, err)
		}
		changed = true
	}
	return changed, nil
}

// outlasts says whether a ban that was told adds to what is here. A person's word is
// no matter of time: it stays, and goes before policy's.
func (k *Keeper) outlasts(r *record, now instant) bool {
	until := int64(0)
	if r.until != 0 {
		until = now.of(time.UnixMilli(r.until))
	}
	told := entry{until: until, flags: r.flags, by: r.by}
	if !told.inForce(now.ns) {
		return false
	}
	old := k.table.find(keyOf(r.prefix))
	switch {
	case old == nil || old.is(lapsed) || !old.inForce(now.ns):
		return true
	case old.is(dryRun) != told.is(dryRun):
		return old.is(dryRun)
	case old.byHand() != told.byHand():
		return told.byHand()
	}
	return old.until != 0 && (told.until == 0 || told.until > old.until+int64(time.Second))
}

package ban

import (
	"container/heap"
	"log/slog"
)

// kept is what is known of the table as a whole. All of it is guarded by
// Keeper.mu, as is every method here.
type kept struct {
	ends   ends
	tally  tally
	crowds map[key]crowd

	changes, savedChanges uint64 // to what the file holds, and those it has

	handChanges, savedByHand uint64   // changes by hand, and those of them that are on disk
	unsavedByHand            []change // what is to be appended to the recent ones

	unanswered map[key]int // bans lifted by hand, by network, whose answer was an error

	departing
}

// crowd counts the banned addresses of a network.
type crowd struct{ addresses, direct int }

// tally counts the entries of the table.
type tally struct {
	policy, hand, dryRun int // in force, or as it were
	lapsed               int
	inKernel             int
}

func (t *tally) inForce() int { return t.policy + t.hand + t.dryRun }

func (t *tally) add(e *entry, n int) {
	switch {
	case e.is(lapsed):
		t.lapsed += n
	case e.is(dryRun):
		t.dryRun += n
	case e.byHand():
		t.hand += n
	default:
		t.policy += n
	}
	if e.inKernel {
		t.inKernel += n
	}
}

// put puts an entry in the place of the one of its network, or anew.
func (k *Keeper) put(e *entry) {
	if old := k.table.find(e.key); old != nil {
		e.inKernel = old.inKernel
		k.tally.add(old, -1)
		k.join(old, -1)
	}
	k.putNew(e)
	k.note(e.key)
	if e.until != 0 {
		heap.Push(&k.ends, end{e.until, e})
	}
	k.tellKernel(e.key)
}

// putNew is put for a network that is not there, or not counted any more. Its
// end and the kernel are the caller's.
func (k *Keeper) putNew(e *entry) {
	k.table.put(e)
	k.tally.add(e, 1)
	k.join(e, 1)
	k.changes++
}

// remove forgets an entry.
func (k *Keeper) remove(e *entry) {
	k.tally.add(e, -1)
	k.join(e, -1)
	k.table.remove(e.key)
	k.changes++
	k.note(e.key)
	k.tellKernel(e.key)
}

// lift ends a ban before its time, and what is remembered of it.
func (k *Keeper) lift(e *entry, cause string) {
	k.remove(e)
	if e.is(lapsed) {
		return
	}
	k.counters.lifted.add(e)
	k.say(slog.LevelInfo, k.clock.instant(), "ban lifted", "prefix", e.key.prefix(), "cause", cause)
}

// noteByHand has a change by hand saved before it is answered.
func (k *Keeper) noteByHand(c change) {
	k.handChanges++
	if k.path != "" {
		k.unsavedByHand = append(k.unsavedByHand, c)
	}
}

// join counts an address in the network around it.
func (k *Keeper) join(e *entry, n int) {
	around, ok := k.settings.Load().around(e.key)
	if !ok || e.byHand() || e.is(lapsed) || !k.isUnit(e.key) {
		return
	}
	c := k.crowds[around]
	c.addresses += n
	if e.is(direct) {
		c.direct += n
	}
	if c.addresses == 0 {
		delete(k.crowds, around)
		return
	}
	k.crowds[around] = c
}

// countCrowds is for when the settings have changed that join goes by.
func (k *Keeper) countCrowds() {
	clear(k.crowds)
	for e := range k.table.all() {
		k.join(e, 1)
	}
}

// sweep ends what is over by now. Nobody waits for it: a ban that is over turns
// nobody away, in the table or in the kernel.
func (k *Keeper) sweep(now instant) {
	for len(k.ends) > 0 && k.ends[0].at <= now.ns {
		e := heap.Pop(&k.ends).(end).e
		if k.table.find(e.key) != e {
			continue // something else has taken its place
		}
		if e.is(lapsed) {
			k.remove(e)
			continue
		}
		k.counters.expired.add(e)
		k.say(slog.LevelInfo, now, "ban ended", "prefix", e.key.prefix())
		k.lapse(e)
	}
}

// lapse turns a ban that is over into one that is remembered, as long as there
// is room for that.
func (k *Keeper) lapse(e *entry) {
	s := k.settings.Load()
	k.tally.add(e, -1)
	k.join(e, -1)
	k.changes++
	if e.byHand() || s.remember == 0 || k.tally.lapsed >= k.most {
		k.table.remove(e.key)
		return
	}
	e = e.changed(lapsed)
	e.inKernel = false // or soon: it is over there, too, and is reaped
	k.table.put(e)
	k.tally.add(e, 1)
	heap.Push(&k.ends, end{e.until + s.remember, e})
}

// ends are when entries end, the soonest first. One whose entry has left the
// table is passed over.
type ends []end

type end struct {
	at int64
	e  *entry
}

func (h ends) Len() int           { return len(h) }
func (h ends) Less(i, j int) bool { return h[i].at < h[j].at }
func (h ends) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ends) Push(x any)        { *h = append(*h, x.(end)) }
func (h *ends) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = end{}
	*h = old[:len(old)-1]
	return last
}

// ban is what others see of an entry.
func (e *entry) ban(now instant, s *settings) Ban {
	return Ban{
		Prefix: e.key.prefix(),
		Since:  now.time(e.since),
		Until:  now.time(e.until),
		Reason: e.code,
		Why:    e.why,
		By:     e.by,
		Repeat: int(e.repeat),
		Score:  float64(e.score) / float64(ordinary),
		Direct: e.is(direct),
		DryRun: !s.enforces(e),
	}
}

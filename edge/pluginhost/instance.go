package pluginhost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// instance is one process that serves: a plugin between two of its starts.
type instance struct {
	plugin  *Plugin
	process Process
	hello   frame.HelloBody
	needs   *needs
	longest int // frame that either side sends
	cache   *cache
	breaker breaker
	started time.Time
	took    time.Duration // from when the start was due

	out *outbox
	// Under out.mu.
	waiting map[uint32]*call
	lastID  uint32
	given   cancelled
	leaving bool // no call is made any more

	lasting atomic.Bool   // some verdict was to be kept
	alive   atomic.Uint64 // counts verdicts and pongs
	suspect chan struct{} // asks for a PING now
	pongs   chan uint32
	pinged  atomic.Uint32 // id of the PING that is out; 0 for none

	end   sync.Once
	dead  chan struct{} // closed when no call will be answered any more
	cause error         // why, once dead is closed
	group sync.WaitGroup
}

// errLies is for what no plugin of good faith sends.
var errLies = errors.New("answer to a call that was not made")

// call asks, and waits for the answer until the deadline. It does not retry.
func (i *instance) call(k *call, timeout time.Duration) (*verdict, Failure) {
	if failure := i.send(k); failure != 0 {
		return nil, failure
	}
	k.timer.Reset(timeout)
	select {
	case <-k.answered:
		k.timer.Stop()
	case <-k.timer.C:
		if i.giveUp(k) {
			i.suspectIt()
			return nil, Timeout
		}
		<-k.answered // it is on its way already
	}
	return k.verdict, k.failure
}

// send puts a call on its way, and does not wait for it. The frame must not be
// longer than the plugin takes.
func (i *instance) send(k *call) Failure {
	o := i.out
	o.mu.Lock()
	switch {
	case o.closed || i.leaving:
		o.mu.Unlock()
		return Down
	case len(i.waiting) >= i.plugin.cfg.InFlight || len(o.buf) > maxBacklog:
		o.mu.Unlock()
		return Overload
	}
	k.id = i.nextID()
	binary.LittleEndian.PutUint32(k.frame[8:], k.id)
	i.waiting[k.id] = k
	o.buf = append(o.buf, k.frame...)
	if err := o.flush(); err != nil {
		i.stop(fmt.Errorf("write to plugin: %w", err)) // which answers k
	}
	return 0
}

// nextID returns an id that is not in use. The caller holds out.mu.
func (i *instance) nextID() uint32 {
	for {
		i.lastID++
		if i.lastID != 0 && i.waiting[i.lastID] == nil {
			return i.lastID
		}
	}
}

// giveUp takes a call back. It says no if its answer has come meanwhile.
func (i *instance) giveUp(k *call) bool {
	o := i.out
	o.mu.Lock()
	if i.waiting[k.id] != k {
		o.mu.Unlock()
		return false
	}
	delete(i.waiting, k.id)
	i.given.add(k.id)
	i.tell(frame.Cancel, k.id)
	return true
}

// tell sends a frame that nobody waits for, if there is room. The caller holds
// out.mu, and has it no more when tell returns.
func (i *instance) tell(t frame.Type, id uint32) {
	o := i.out
	if o.closed || len(o.buf) > maxBacklog {
		o.mu.Unlock()
		return
	}
	o.buf = frame.Append(o.buf, t, id)
	if err := o.flush(); err != nil {
		i.stop(fmt.Errorf("write to plugin: %w", err))
	}
}

// observe sends a frame that may be lost, and says whether it was sent.
func (i *instance) observe(k *call) bool {
	o := i.out
	if len(k.frame)-4 > i.longest {
		return false
	}
	o.mu.Lock()
	if o.closed || len(o.buf) > maxBacklog/4 {
		o.mu.Unlock()
		return false
	}
	o.buf = append(o.buf, k.frame...)
	if err := o.flush(); err != nil {
		i.stop(fmt.Errorf("write to plugin: %w", err))
	}
	return true
}

// stop ends the instance: what it was asked is answered by Down, or by Malformed
// where it is ended for what it has sent, as that may have been meant for a
// denial. The first cause counts. It does not wait.
func (i *instance) stop(cause error) {
	i.end.Do(func() {
		o := i.out
		o.mu.Lock()
		o.closed = true
		o.writing = true // whatever is left, nobody writes it
		waiting := i.waiting
		i.waiting = nil
		o.mu.Unlock()
		i.cause = cause
		close(i.dead)
		o.conn.Close()
		failure := Down
		if errors.Is(cause, frame.ErrMalformed) {
			failure = Malformed
		}
		for _, k := range waiting {
			k.failure = failure
			k.answered <- struct{}{}
		}
		// Killing takes a moment, and whoever found out may be serving a request.
		i.group.Go(func() {
			if errors.Is(cause, errHungUp) {
				i.linger()
			}
			i.process.Kill()
		})
	})
}

// linger gives a process that has hung up the time to end by itself: how it ended
// then says more.
func (i *instance) linger() {
	const moment = 50 * time.Millisecond
	select {
	case <-i.process.Done():
	case <-time.After(moment):
	}
}

func (i *instance) isDead() bool {
	select {
	case <-i.dead:
		return true
	default:
		return false
	}
}

// run starts what an instance does by itself. It ends after stop; wait waits for
// it.
func (i *instance) run(r *reading) {
	i.group.Go(func() { i.stop(i.read(r)) })
	i.group.Go(func() {
		if err := i.out.run(i.dead); err != nil {
			i.stop(fmt.Errorf("write to plugin: %w", err))
		}
	})
	i.group.Go(i.watch)
	i.group.Go(func() {
		select {
		case <-i.dead:
		case <-i.process.Done():
			i.stop(endOf(i.process))
		}
	})
}

func (i *instance) wait() {
	<-i.dead
	i.group.Wait()
}

func endOf(p Process) error {
	if err := p.Err(); err != nil {
		return fmt.Errorf("process ended: %w", err)
	}
	return errors.New("process ended")
}

// suspectIt asks for a PING, as a call was not answered in time.
func (i *instance) suspectIt() {
	select {
	case i.suspect <- struct{}{}:
	default: // it is being looked at already
	}
}

// cancelled remembers the ids of calls that were given up: their answers may come
// late, or never, and are dropped. Of more than it has room for, the oldest are
// taken for known.
type cancelled struct {
	ids  map[uint32]struct{}
	ring []uint32
	next int
	full bool
}

const mostCancelled = 4096

func (c *cancelled) add(id uint32) {
	if c.ids == nil {
		c.ids, c.ring = make(map[uint32]struct{}), make([]uint32, mostCancelled)
	}
	if c.full {
		delete(c.ids, c.ring[c.next])
	}
	c.ids[id] = struct{}{}
	c.ring[c.next] = id
	if c.next++; c.next == len(c.ring) {
		c.next, c.full = 0, true
	}
}

// take says whether a call of that id was given up, and forgets it: it is
// answered once.
func (c *cancelled) take(id uint32) bool {
	if _, ok := c.ids[id]; ok {
		delete(c.ids, id)
		return true
	}
	// Ids grow; what is older than all that is remembered may have been one.
	return c.full && int32(id-c.ring[c.next]) < 0
}

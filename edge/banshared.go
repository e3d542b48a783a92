package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/handoff"
)

// While an earlier process drains, each of the two bans for both: the earlier one by
// what it still sees, this one also by hand, and the connections of the banned may be
// anywhere. A ban that is lifted stays with those that drain, which let nobody in.

// takeBans takes in what the predecessor tells of bans. Until this process keeps them
// itself, that is how they are; from then on it may add to them.
func (s *Server) takeBans(list []ban.Change) error {
	select {
	case <-s.bans.ours:
		if changed, err := s.bans.keeper.Merge(list, true); err != nil || !changed {
			return err
		}
	default:
		if err := s.bans.keeper.Apply(list); err != nil {
			return err
		}
	}
	s.endBanned()
	return nil
}

// banMail is the networks whose bans a predecessor is to be told of. The zero banMail
// takes them in before it is known whether that wants them.
type banMail struct {
	mu      sync.Mutex
	waiting map[netip.Prefix]struct{}
	opened  bool
	closed  bool // nobody reads it
}

// mustKnow has a predecessor told of a network's ban, if there is one that drains.
func (p *Predecessor) mustKnow(network netip.Prefix) {
	if p == nil {
		return
	}
	p.bans.mu.Lock()
	defer p.bans.mu.Unlock()
	if p.bans.closed {
		return
	}
	if p.bans.waiting == nil {
		p.bans.waiting = map[netip.Prefix]struct{}{}
	}
	p.bans.waiting[network] = struct{}{}
}

// open has the mail sent, if Left says that it is wanted.
func (b *banMail) open(left *handoff.Message) {
	var body handoff.LeftBody
	if len(left.Body) > 0 && left.Decode(&body) == nil && body.Bans {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.opened = true
		return
	}
	b.close()
}

func (b *banMail) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.waiting = true, nil
}

// take empties the mail, if it may be sent.
func (b *banMail) take() []netip.Prefix {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.opened {
		return nil
	}
	list := slices.Collect(maps.Keys(b.waiting))
	clear(b.waiting)
	return list
}

// tellBans tells a predecessor of the bans that are made here, until what it returns
// is called.
func (s *Server) tellBans(ctx context.Context, p *Predecessor) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var teller sync.WaitGroup
	teller.Go(func() {
		defer p.bans.close()
		ticker := time.NewTicker(tailEvery)
		defer ticker.Stop()
		for {
			for part := range slices.Chunk(p.bans.take(), bansAtOnce) {
				if err := p.conn.Send(ctx, handoff.Bans, s.bans.keeper.State(part), -1); err != nil {
					return // it has ended, as Receive says
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return func() {
		cancel()
		teller.Wait()
	}
}

// hearBans follows the bans of a successor while this process drains, until what it
// returns is called.
func (s *Server) hearBans(h *heir) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			err := s.hearOne(ctx, h)
			if err == nil {
				continue
			}
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				s.log.Error("bans of the successor not followed; connections of the banned may go on here", "pid", h.pid, "cause", err)
			}
			return
		}
	})
	return func() {
		cancel()
		reader.Wait()
	}
}

func (s *Server) hearOne(ctx context.Context, h *heir) error {
	m, err := h.conn.Receive(ctx)
	if err != nil {
		return err
	}
	if m.File != nil {
		m.File.Close()
	}
	var list []ban.Change
	if m.Kind != handoff.Bans || m.File != nil {
		return fmt.Errorf("got %v out of order", m.Kind)
	}
	if err := m.Decode(&list); err != nil {
		return err
	}
	for _, c := range list {
		s.options.Predecessor.mustKnow(c.Prefix)
	}
	changed, err := s.bans.keeper.Merge(list, false)
	if changed {
		s.bans.ended.ask()
	}
	return err
}

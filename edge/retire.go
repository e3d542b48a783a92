package edge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/handoff"
)

// tailEvery is how often a predecessor that drains tells its successor of the
// sessions and bans that it still makes.
const tailEvery = 100 * time.Millisecond

// tailTime is how long it waits for a successor that does not listen. After that it
// tells it nothing more, so it is long: a machine may stand still for seconds.
const tailTime = 15 * time.Second

// retire is what is left for a process whose successor serves: it closes its
// sockets, tells the service manager, and lets its connections come to their end.
// What it still learns until then, the successor is told.
func (s *Server) retire(h *heir) {
	defer h.conn.Close()
	s.log.Info("handed over", "pid", h.pid, "version", h.program)
	s.control.retire(h.has(handoff.Admin, s.control.adminAddress))
	close(h.left)
	s.mu.Lock()
	for _, r := range s.sockets {
		r.patient.Store(true)
	}
	s.mu.Unlock()
	var orders sync.WaitGroup
	orders.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.longestDrain())
		defer cancel()
		s.managed.Leave(ctx)
	})
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.finish()
		orders.Wait()
		if p := s.options.Predecessor; p != nil {
			<-p.gone // what that still learns goes through here
		}
	}()
	s.manager.HandOver(h.pid)
	defer s.hearBans(h)()
	err := h.tell(handoff.Left, handoff.LeftBody{Bans: true})
	select {
	case <-s.draining: // asked for in the last moment: nobody asks the successor
		err = errors.Join(err, h.say(handoff.Drain))
	default:
	}
	scored := false
	ticker := time.NewTicker(tailEvery)
	defer ticker.Stop()
	for ended := false; !ended; {
		if err == nil {
			if err = h.tail(); err == nil && !scored {
				scored = true
				err = h.giveScores()
			}
			if err != nil {
				s.log.Error("successor not told what this process still learns", "pid", h.pid, "cause", err)
			}
		}
		select {
		case <-over:
			ended = true
		case <-ticker.C:
		case <-s.tickets.Fresh(): // its client may come back at once, to the successor
		}
	}
	if err == nil { // the last of it; to whom is seen by now
		h.tail()
		h.giveScores() // of handshakes that were under way
	}
}

func (h *heir) say(kind handoff.Kind) error { return h.tell(kind, nil) }

func (h *heir) tell(kind handoff.Kind, body any) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	return h.conn.Send(ctx, kind, body, -1)
}

func (h *heir) tail() error {
	ctx, cancel := context.WithTimeout(context.Background(), tailTime)
	defer cancel()
	if err := errors.Join(h.giveSessions(ctx), h.giveBans(ctx)); err != nil {
		return err
	}
	now := h.s.drains()
	if h.told != nil && now.Connections == h.told.Connections && slices.Equal(now.Earlier, h.told.Earlier) {
		return nil
	}
	h.told = &now
	return h.conn.Send(ctx, handoff.Draining, now, -1)
}

// mostEarlier bounds a message; a chain of so many processes that all drain is for
// nobody to read.
const mostEarlier = 100

// drains is what this process still has, and those before it.
func (s *Server) drains() handoff.DrainingBody {
	body := handoff.DrainingBody{Connections: s.connections.count()}
	p := s.options.Predecessor.status()
	if p == nil {
		return body
	}
	for _, one := range append([]admin.Predecessor{*p}, p.Earlier...) {
		if len(body.Earlier) < mostEarlier {
			body.Earlier = append(body.Earlier, handoff.EarlierBody{PID: one.PID, Connections: one.Connections})
		}
	}
	return body
}

// giveScores gives the failures that have not led to a ban. It is called once there
// is no way back, since they are forgotten here.
func (h *heir) giveScores() error {
	if !h.scores {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), tailTime)
	defer cancel()
	taken := h.s.bans.keeper.TakeScores()
	for part := range slices.Chunk(taken.List, scoresAtOnce) {
		if err := h.conn.Send(ctx, handoff.Scores, ban.Scores{Slot: taken.Slot, List: part}, -1); err != nil {
			return err
		}
	}
	return nil
}

// scoresAtOnce fit into a message: one has less than 300 bytes of JSON.
const scoresAtOnce = 200

// longestDrain is how long the most patient listener lets connections finish.
func (s *Server) longestDrain() (longest time.Duration) {
	for _, l := range s.generation.Load().cfg.Listeners {
		longest = max(longest, l.Timeouts.Drain.Std())
	}
	return longest
}

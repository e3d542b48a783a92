package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Reload reads the configuration again and puts it in force whole, or leaves the
// one in force alone and says why. Log files are opened anew in either case, so
// that one signal serves rotation too.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.draining:
		return errors.New("reload: the edge is draining")
	default:
	}
	if err := s.gate.moved(); err != nil {
		return errors.Join(fmt.Errorf("reload: %w", err), s.reopenLogs()) // until the last connection ends
	}
	if s.upgrading.Load() {
		return errors.New("reload: an upgrade is under way, which reads the configuration too")
	}
	err := s.reload()
	err = errors.Join(err, s.reopenLogs())
	s.reloadError = err
	s.metrics.reload(err)
	if err != nil {
		s.log.Error("reload refused; the old configuration stays", "cause", err)
		return err
	}
	s.log.Info("reloaded", "generation", s.generation.Load().number)
	return nil
}

func (s *Server) reload() error {
	cfg, problems := s.options.Load()
	if problems.Err() != nil {
		if cfg != nil { // all at once, those of the files that it names too
			problems = problems.With(Check(cfg))
		}
		return problems.Err()
	}
	old := s.generation.Load()
	if err := unchangeable(old, cfg); err != nil {
		return err
	}
	b := builder{cfg: cfg, old: old, log: s.log, version: s.options.Version, spans: &s.spans, page: s.page, sweep: s.sweepLater, manager: s.managed}
	next, found := b.build()
	if err := found.Err(); err != nil {
		return err
	}
	for _, w := range append(problems.Warnings(), found.Warnings()...) {
		s.log.Warn("configuration", slog.String("warning", w.String()))
	}
	return s.apply(next, old)
}

// apply puts next in force. Everything that can go wrong is tried first; from
// there on it cannot fail. The caller holds mu.
func (s *Server) apply(next, old *generation) error {
	l, err := s.settle(next)
	if err != nil {
		return err
	}
	l.tenant = cmp.Or(tenant(next, old), s.options.Predecessor.tenant())
	opened, err := s.openSockets(l)
	if err != nil {
		return err
	}
	steer, err := s.prepareSteering(l, opened)
	if err != nil {
		closeSockets(opened)
		return err
	}
	plugins, err := s.preparePlugins(next, old)
	if err == nil {
		if err = next.openLogs(old, s.log); err != nil {
			plugins.Abandon()
		}
	}
	if err != nil {
		steer.Abandon()
		closeSockets(opened)
		return err
	}

	for address, p := range l.sockets {
		if r := s.sockets[address]; r != nil {
			r.policy.Store(p)
		} else {
			opened[address].policy.Store(p)
		}
	}
	for _, assume := range next.assumed {
		assume()
	}
	s.generation.Store(next)
	s.metrics.expect(slices.Collect(maps.Keys(next.policies)))
	plugins.Commit()
	s.tasks.set(s.tasksOf(next))
	for address, sock := range opened {
		s.serveOn(sock)
		if old != nil {
			s.manager.Keep(storedName(address), sock.net)
		}
	}
	s.commitSteering(l, steer, old == nil)
	for address, r := range maps.Clone(s.sockets) {
		if l.sockets[address] == nil {
			s.manager.Forget(storedName(address))
			s.take(address, r)
		}
	}
	if err := s.configureBans(next.cfg, s.listening()); err != nil {
		s.log.Error("listening addresses not told to XDP: bans are enforced in user space where it does not know them", "cause", err)
	}
	for _, part := range next.reused {
		part.Reload() // logs and remembers what it refuses: a CRL gone back, say
	}
	s.sweepLater()
	if old != nil {
		s.parting.add(old, next, time.Now())
		old.closeGroups(next)
	}
	return nil
}

// openSockets opens those of a layout that are not open yet, all or none.
func (s *Server) openSockets(l layout) (map[string]*socket, error) {
	opened := map[string]*socket{}
	for _, address := range slices.Sorted(maps.Keys(l.sockets)) {
		if s.sockets[address] != nil {
			continue
		}
		sock, err := s.given.listen(address, l)
		if err != nil {
			sock, err = s.listenBeside(address, l, err)
		}
		if err != nil {
			closeSockets(opened)
			return nil, err
		}
		opened[address] = sock
	}
	return opened, nil
}

func closeSockets(opened map[string]*socket) {
	for _, sock := range opened {
		sock.net.Close()
	}
}

// closeGroups lets go of the target groups that next has not taken over.
func (g *generation) closeGroups(next *generation) {
	for name, group := range g.groups {
		if next.groups[name] != group {
			group.Close()
		}
	}
}

// tasksOf is what must run for a generation, by what it runs for: parts that
// two generations share run on.
func (s *Server) tasksOf(g *generation) map[any]func(context.Context) error {
	list := map[any]func(context.Context) error{}
	for _, store := range g.stores {
		list[store] = store.Run
		list[alone{sweeper{store}}] = func(ctx context.Context) error { return s.sweepOnChange(ctx, store) }
	}
	for _, responder := range g.responders {
		list[responder] = responder.Run
	}
	for _, certificate := range g.certificates {
		list[certificate] = certificate.Run
	}
	for _, sink := range g.logs.all() {
		list[sink.file] = sink.file.Run
	}
	if g.tracer != nil {
		list[alone{g.tracer}] = g.tracer.Run
	}
	s.healthTasks(g, list)
	return list
}

package edge

// heirloom is what an edge leaves to its successor beside its sockets, and what
// lives outside of the process: bans on disk and in XDP, steering. The first three
// are called in the predecessor, the last one in the successor.
type heirloom interface {
	// settle has ready what the successor reads when it starts. This process goes
	// on as before.
	settle() error
	// leave is called when the successor has opened everything: from here on this
	// process changes nothing outside of itself.
	leave()
	// reclaim undoes settle and leave, and what a successor has done that is gone.
	reclaim() error
	// takeOver is called before the first connection is accepted, in a successor
	// and at any other start: from here on it is this process that changes things.
	takeOver() error
}

// heirlooms are all there are.
func (s *Server) heirlooms() []heirloom {
	return []heirloom{s.bans, steered{s}}
}

func (b *bans) settle() error {
	if filter := b.datapath.filter.Load(); filter != nil {
		var err error
		if b.mode, err = filter.Mode(); err != nil {
			return err
		}
	}
	return b.keeper.Depart()
}

func (b *bans) leave() { b.keeper.Leave() }

func (b *bans) reclaim() error {
	b.keeper.Stay()
	return b.datapath.reclaim(b.mode)
}

func (b *bans) takeOver() error {
	close(b.ours)
	return nil
}

// steered is steering as an heirloom: the successor prepares it beside what is in
// force, and takeOver is one update of a map.
type steered struct{ s *Server }

func (steered) settle() error { return nil }

func (steered) leave() {}

func (t steered) reclaim() error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	kernel := t.s.steering.kernel.Load()
	if kernel == nil {
		t.s.steer(layout{}, nil) // removes what the successor has left
		return nil
	}
	return kernel.Reclaim()
}

func (t steered) takeOver() error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.s.takeOverSteering()
	return nil
}

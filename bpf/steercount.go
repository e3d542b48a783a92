package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Steered is what became of connection attempts to a destination. An attempt is
// a SYN, sent again ones included.
type Steered struct {
	Steered  uint64 // given to its socket
	NoSocket uint64 // refused: nobody has it open
	Failed   uint64 // refused: the kernel would not give it to the socket
}

// Counts returns them for each destination of the table that this process has put
// in force. They count from when the destination was first steered, by whatever
// process.
func (s *Steering) Counts() (map[Destination]Steered, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("read steering's counts: %w", ErrClosed)
	}
	if s.current == nil {
		return nil, nil
	}
	all := map[Destination]Steered{}
	for _, d := range s.current.table.destinations {
		var counts []steerSteeredCount
		if err := s.counts.Lookup(d.key(), &counts); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("read steering's count of %v: %w", d, err)
		}
		var sum Steered
		for _, n := range counts {
			sum.Steered += n.Steered
			sum.NoSocket += n.NoSocket
			sum.Failed += n.Failed
		}
		all[d] = sum
	}
	return all, nil
}

// countFor makes room for the counts of a table; those that are there go on.
func (s *Steering) countFor(t *Table) error {
	zero := make([]steerSteeredCount, ebpf.MustPossibleCPU())
	for _, d := range t.destinations {
		if err := s.counts.Update(d.key(), zero, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("count %v: %w", d, full(err))
		}
	}
	return nil
}

// forget removes the counts of what a table has no more.
func (s *Steering) forget(t *Table) error {
	keep := map[steerDestination]bool{}
	for _, d := range t.destinations {
		keep[d.key()] = true
	}
	have, err := keysOf[steerDestination](s.counts)
	if err != nil {
		return fmt.Errorf("list steering's counts: %w", err)
	}
	for k := range have {
		if keep[k] {
			continue
		}
		if err := s.counts.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget a count of steering: %w", err)
		}
	}
	return nil
}

// SteeringStatus is what the kernel says of a Steering.
type SteeringStatus struct {
	Program uint32 // its number in the kernel
	Problem string // why nothing is steered by this process, "" when all is well
}

// Status asks the kernel.
func (s *Steering) Status() SteeringStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return SteeringStatus{Problem: ErrClosed.Error()}
	}
	info, err := s.link.Info()
	if err != nil {
		return SteeringStatus{Problem: err.Error()}
	}
	status := SteeringStatus{Program: uint32(info.Program)}
	ours, err := s.ours()
	switch {
	case err != nil:
		status.Problem = err.Error()
	case info.NetNs().NetnsInode == 0:
		status.Problem = "the program was detached"
	case !ours:
		status.Problem = "another process steers"
	}
	return status
}

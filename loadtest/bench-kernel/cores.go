package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// cores says who runs where.
type cores struct{ server, client int }

// splitCores takes the first two cores that this process may run on.
func splitCores() (cores, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return cores{}, fmt.Errorf("get CPU affinity: %w", err)
	}
	var found []int
	for n := 0; n < 64*len(allowed) && len(found) < 2; n++ {
		if allowed.IsSet(n) {
			found = append(found, n)
		}
	}
	if len(found) < 2 {
		return cores{}, fmt.Errorf("%d cores: want two, one for the server and one for its clients", allowed.Count())
	}
	return cores{server: found[0], client: found[1]}, nil
}

// pin puts a thread on a core; 0 is the calling one.
func pin(thread, core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(thread, &set); err != nil {
		return fmt.Errorf("put thread %d on core %d: %w", thread, core, err)
	}
	return nil
}

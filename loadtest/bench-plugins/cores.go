package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores says who runs where: on one core the server, whoever decides for it and
// the target, on the other the load.
type cores struct {
	server, client unix.CPUSet
	text           string
}

// splitCores takes the first two cores that this process may run on. Where there
// is one only, everybody runs on it.
func splitCores() (c cores, err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return c, fmt.Errorf("get CPU affinity: %w", err)
	}
	var found []int
	for n := 0; n < 64*len(allowed) && len(found) < 2; n++ {
		if allowed.IsSet(n) {
			found = append(found, n)
		}
	}
	if len(found) < 2 {
		c.server, c.client, c.text = allowed, allowed, "one core for all"
		return c, nil
	}
	c.server.Set(found[0])
	c.client.Set(found[1])
	c.text = fmt.Sprintf("server, decider and target on core %d, load on core %d", found[0], found[1])
	return c, nil
}

// pinSelf puts this process on the client's core, where it must not have a second
// processor, until the function it returns is called.
func (c *cores) pinSelf() (unpin func(), err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("get CPU affinity: %w", err)
	}
	processors := runtime.GOMAXPROCS(1)
	unpin = func() {
		_ = moveSelf(&before) // it may run there, so nothing refuses
		runtime.GOMAXPROCS(processors)
	}
	if err := moveSelf(&c.client); err != nil {
		unpin()
		return nil, err
	}
	return unpin, nil
}

// moveSelf puts every thread of this process on cpus. Threads that start later
// inherit that.
func moveSelf(cpus *unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("list own threads: %w", err)
		}
		if err := unix.SchedSetaffinity(id, cpus); err != nil && err != unix.ESRCH { // it may have ended
			return fmt.Errorf("set CPU affinity: %w", err)
		}
	}
	return nil
}

// on calls start on a thread that has cpus, which a process that start makes
// inherits from its first instruction on, and its children from it.
func (c *cores) on(cpus *unix.CPUSet, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, cpus); err != nil {
		return fmt.Errorf("set CPU affinity: %w", err)
	}
	err := start()
	if back := unix.SchedSetaffinity(0, &c.client); back != nil && err == nil {
		err = fmt.Errorf("set CPU affinity: %w", back)
	}
	return err
}

package benchmark

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Cores says who runs where: on one core the server, with all that it asks, on the
// other the load.
type Cores struct {
	Server, Client unix.CPUSet
	Text           string
}

// SplitCores takes the first two cores that this process may run on. Where there
// is one only, everybody runs on it. Servers
// is what runs on the first, for Text.
func SplitCores(servers string) (c Cores, err error) {
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
		c.Server, c.Client, c.Text = allowed, allowed, "one core for all"
		return c, nil
	}
	c.Server.Set(found[0])
	c.Client.Set(found[1])
	c.Text = fmt.Sprintf("%s on core %d, load on core %d", servers, found[0], found[1])
	return c, nil
}

// PinSelf puts this process on the client's core, where it must not have a second
// processor, until the function it returns is called.
func (c *Cores) PinSelf() (unpin func(), err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("get CPU affinity: %w", err)
	}
	processors := runtime.GOMAXPROCS(1)
	unpin = func() {
		_ = moveSelf(&before) // it may run there, so nothing refuses
		runtime.GOMAXPROCS(processors)
	}
	if err := moveSelf(&c.Client); err != nil {
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

// On calls start on a thread that has cpus, which a process that start makes
// inherits from its first instruction on, and its children from it.
func (c *Cores) On(cpus *unix.CPUSet, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, cpus); err != nil {
		return fmt.Errorf("set CPU affinity: %w", err)
	}
	err := start()
	if back := unix.SchedSetaffinity(0, &c.Client); back != nil && err == nil {
		err = fmt.Errorf("set CPU affinity: %w", back)
	}
	return err
}

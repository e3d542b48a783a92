package peers

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// cpuSet is the kernel's cpu_set_t, for 8192 CPUs.
type cpuSet [128]uint64

func oneCPU(n int) *cpuSet {
	var s cpuSet
	s[n/64] |= 1 << (n % 64)
	return &s
}

// cores says who runs where. Both are nil on a machine, or in a container, with
// one core only: then everybody runs on it.
type cores struct {
	server, client *int
	all            cpuSet // what this process had before
}

// splitCores takes the first two cores that this process may run on.
func splitCores() (cores, error) {
	var c cores
	if err := affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &c.all); err != nil {
		return cores{}, fmt.Errorf("get CPU affinity: %w", err)
	}
	var found []int
	for n := range len(c.all) * 64 {
		if c.all[n/64]&(1<<(n%64)) != 0 {
			found = append(found, n)
		}
	}
	if len(found) >= 2 {
		c.server, c.client = &found[0], &found[1]
	}
	return c, nil
}

func (c cores) String() string {
	if c.server == nil {
		return "one core for server, load and target"
	}
	return fmt.Sprintf("server on core %d, load and target on core %d", *c.server, *c.client)
}

// pinSelf puts this process on the client's core, where it must not have a
// second processor, until the function it returns is called.
func (c cores) pinSelf() (unpin func(), err error) {
	processors := runtime.GOMAXPROCS(1)
	unpin = func() {
		_ = c.moveSelf(&c.all) // it may run there, so nothing refuses
		runtime.GOMAXPROCS(processors)
	}
	if c.client != nil {
		if err := c.moveSelf(oneCPU(*c.client)); err != nil {
			unpin()
			return nil, err
		}
	}
	return unpin, nil
}

// moveSelf puts every thread of this process on cpus. Threads that start later
// inherit that.
func (c cores) moveSelf(cpus *cpuSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("list own threads: %w", err)
		}
		err = affinity(syscall.SYS_SCHED_SETAFFINITY, id, cpus)
		if err != nil && err != syscall.ESRCH { // the thread may have ended
			return fmt.Errorf("set CPU affinity: %w", err)
		}
	}
	return nil
}

// on calls start on a thread that has the given core, which a process that start
// makes inherits from its first instruction on.
func (c cores) on(core *int, start func() error) error {
	if core == nil {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := affinity(syscall.SYS_SCHED_SETAFFINITY, 0, oneCPU(*core)); err != nil {
		return fmt.Errorf("set CPU affinity: %w", err)
	}
	err := start()
	if back := affinity(syscall.SYS_SCHED_SETAFFINITY, 0, oneCPU(*c.client)); back != nil && err == nil {
		err = fmt.Errorf("set CPU affinity: %w", back)
	}
	return err
}

func affinity(call uintptr, thread int, set *cpuSet) error {
	_, _, errno := syscall.RawSyscall(call, uintptr(thread), unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	if errno != 0 {
		return errno
	}
	return nil
}

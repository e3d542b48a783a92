package main

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
type cores struct{ server, client *int }

// splitCores takes the first two cores that this process may run on.
func splitCores() (cores, error) {
	var allowed cpuSet
	if err := affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &allowed); err != nil {
		return cores{}, fmt.Errorf("get CPU affinity: %w", err)
	}
	var found []int
	for n := range len(allowed) * 64 {
		if allowed[n/64]&(1<<(n%64)) != 0 {
			found = append(found, n)
		}
	}
	if len(found) < 2 {
		return cores{}, nil
	}
	return cores{server: &found[0], client: &found[1]}, nil
}

func (c cores) String() string {
	if c.server == nil {
		return "one core for server, client and backend"
	}
	return fmt.Sprintf("server on core %d, client and backend on core %d", *c.server, *c.client)
}

// pinSelf puts every thread of this process on the client's core. Threads that
// start later inherit it.
func (c cores) pinSelf() error {
	if c.client == nil {
		return nil
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("list own threads: %w", err)
		}
		err = affinity(syscall.SYS_SCHED_SETAFFINITY, id, oneCPU(*c.client))
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

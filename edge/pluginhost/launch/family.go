package launch

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// goneWithin bounds the wait for processes that were killed. One that the kernel
// does not let go of (a network file system that hangs) is not waited for longer.
const goneWithin = 5 * time.Second

// family is the launcher's children: the program and, the launcher being the
// subreaper, whatever descends from it and has lost its parent.
type family struct {
	first     int           // the program
	firstGone chan struct{} // closed when it has been reaped
	gone      chan struct{} // closed when there are no children any more

	mu     sync.Mutex
	status *unix.WaitStatus // of the program
}

// newFamily takes over all waiting for children, of which the first has been
// started: no other may be waited for, or be started.
func newFamily(first int) *family {
	f := &family{first: first, firstGone: make(chan struct{}), gone: make(chan struct{})}
	go f.reap()
	return f
}

// reap ends when there are no children: later than the first has gone, since
// others become children only by its end or before it.
func (f *family) reap() {
	defer close(f.gone)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil { // ECHILD
			return
		}
		if pid == f.first {
			f.mu.Lock()
			f.status = &status
			f.mu.Unlock()
			close(f.firstGone)
		}
	}
}

func (f *family) firstStatus() (unix.WaitStatus, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.status == nil {
		return 0, false
	}
	return *f.status, true
}

// kill kills the program's process group and then, generation by generation as
// they become ours, all others. It returns when they are gone.
func (f *family) kill() {
	deadline := time.NewTimer(goneWithin)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		// While it has members its number is no other group's.
		_ = unix.Kill(-f.first, unix.SIGKILL)
		for _, pid := range children(os.Getpid()) {
			killChild(pid)
		}
		select {
		case <-f.gone:
			return
		case <-deadline.C:
			return
		case <-again.C:
		}
	}
}

// killChild kills a child of ours, and no other process that has got its number
// in the meantime.
func killChild(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // gone
	}
	defer unix.Close(fd)
	if parentOf(pid) == os.Getpid() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

func children(of int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && parentOf(pid) == of {
			list = append(list, pid)
		}
	}
	return list
}

// parentOf is 0 for a process that is not there.
func parentOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	return parentIn(stat)
}

// parentIn reads the fourth field of proc_pid_stat(5). The second, the name, is in
// parentheses and may have anything in it, spaces and parentheses among it.
func parentIn(stat []byte) int {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace, with mounts of its own so that /sys shows
// its interfaces and what is pinned in /sys/fs/bpf ends with it. It is one
// thread, which runs what it is given, and whose children are in the namespace.
// Nothing has a name that could be left behind.
type namespace struct {
	calls  chan func()
	thread int
}

// newNamespace starts the thread; close ends it.
func newNamespace() (*namespace, error) {
	n := &namespace{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		n.thread = unix.Gettid()
		ready <- isolate()
		for call := range n.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		n.close()
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	if err := n.ip("link", "set", "lo", "up"); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// isolate takes the calling thread out of the process's namespaces.
func isolate() error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return err
	}
	// Otherwise the mounts below would be everybody's.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount /sys/fs/bpf: %w", err)
	}
	return nil
}

// close ends the thread. The namespace is gone when its last process is.
func (n *namespace) close() { close(n.calls) }

// do runs f on the thread, after what it was given before.
func (n *namespace) do(f func() error) error {
	done := make(chan error, 1)
	n.calls <- func() { done <- f() }
	return <-done
}

func (n *namespace) ip(args ...string) error { return n.command("ip", args, nil) }

// command runs a command in the namespace, which gets input.
func (n *namespace) command(name string, args []string, input []byte) error {
	return n.do(func() error {
		cmd := exec.Command(name, args...)
		cmd.Stdin = bytes.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %q: %w: %s", name, args, err, bytes.TrimSpace(out))
		}
		return nil
	})
}

// as runs f on the thread while that has a core to itself and a niceness, which
// a child that f starts has from its first instruction on.
func (n *namespace) as(core, nice int, f func() error) error {
	return n.do(func() error {
		if err := pin(0, core); err != nil {
			return err
		}
		if nice == 0 {
			return f()
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
			return fmt.Errorf("set niceness %d: %w", nice, err)
		}
		defer unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
		return f()
	})
}

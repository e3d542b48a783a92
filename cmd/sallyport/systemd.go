package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// systemd is the service manager, by the protocol of sd_notify(3). Where there is
// none, nothing is said to anybody.
type systemd struct {
	log     *slog.Logger
	serving atomic.Bool // the watchdog is to be told
}

// onStage is called at each stage of a takeover; tests use it.
var onStage = func(string) {}

func (m *systemd) Stage(stage string) {
	m.notify("STATUS=" + stage)
	onStage(stage)
}

func (m *systemd) Ready() {
	m.notify("READY=1\nSTATUS=serving")
	m.serving.Store(true)
}

func (m *systemd) HandOver(pid int) {
	m.serving.Store(false)
	m.notify(fmt.Sprintf("STATUS=handed over to process %d; draining\nMAINPID=%d", pid, pid))
}

func (m *systemd) Stopping() { m.notify("STOPPING=1\nSTATUS=draining") }

func (m *systemd) Keep(name string, l net.Listener) {
	c, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) { err = notifyWith("FDSTORE=1\nFDNAME="+name, int(fd)) })
		err = errors.Join(err, controlErr)
	}
	if err != nil {
		m.log.Warn("socket not left with the service manager", "name", name, "cause", err)
	}
}

func (m *systemd) Forget(name string) { m.notify("FDSTOREREMOVE=1\nFDNAME=" + name) }

func (m *systemd) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.log.Warn("service manager not notified", "state", state, "cause", err)
	}
}

// notifyWith is notify with a descriptor.
func notifyWith(state string, fd int) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	// Package net sends no descriptors on a datagram socket that is connected.
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	return unix.Sendmsg(socket, []byte(state), unix.UnixRights(fd), &unix.SockaddrUnix{Name: name}, unix.MSG_NOSIGNAL)
}

// watchdog tells the service manager that the process is alive, while it serves
// and as long as alive returns, three times in the time it is given, until ctx is
// done.
func (m *systemd) watchdog(ctx context.Context, alive func()) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("no watchdog", "cause", err)
	}
	if every <= 0 || err != nil {
		return
	}
	ticker := time.NewTicker(every / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if m.serving.Load() {
			alive()
			m.notify(daemon.SdNotifyWatchdog)
		}
	}
}

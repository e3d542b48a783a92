package loadtest

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes at a moment, to within some ten microseconds. A time.Timer would
// do so to within a millisecond: the runtime's poller waits in whole ones, which
// at 2000 units a second would be most of the latency measured.
type alarm struct {
	fd   int // of file; taken before file was made, since File.Fd would block it
	file *os.File
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make timer: %w", err)
	}
	return &alarm{fd: fd, file: os.NewFile(uintptr(fd), "timer")}, nil
}

// sleep returns after d, or when stop was called.
func (a *alarm) sleep(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(d), 1))}
	if err := unix.TimerfdSettime(a.fd, 0, &spec, nil); err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	var count [8]byte
	if _, err := a.file.Read(count[:]); err != nil {
		return fmt.Errorf("wait for timer: %w", err)
	}
	return nil
}

// stop ends sleep, with an error, now and from now on.
func (a *alarm) stop() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }

func (a *alarm) close() { a.file.Close() }

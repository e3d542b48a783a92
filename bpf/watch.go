package bpf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// healSpacing is the least time between two looks at the interfaces: whoever
	// makes and removes them without end costs no more than that.
	healSpacing = 100 * time.Millisecond
	// healEvery is when they are looked at without being asked: detaching a
	// program from outside is no link event, and an attach that failed may work.
	healEvery = 2 * time.Second
)

// Watch attaches the program anew to interfaces that were removed and made again
// by the same name, or from which somebody has detached it, until ctx is done. It
// calls tell, one call at a time, with the state of each interface that has lost
// the program (Problem says why) or has it back (Problem is ""). While an
// interface has none, nothing is dropped there.
//
// It hears of link events of the calling goroutine's network namespace, looks
// every two seconds besides, and tries no more often than ten times a second. One
// call may run at a time. It returns ctx's error when ctx is done, ErrClosed when
// the Filter is closed, and another when the kernel tells it nothing.
func (f *Filter) Watch(ctx context.Context, tell func(InterfaceStatus)) error {
	events, err := linkEvents()
	if err != nil {
		return fmt.Errorf("watch interfaces: %w", err)
	}
	woken := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() { ended <- f.readLinkEvents(events, woken) }()
	defer func() {
		events.Close() // ends the reading
		if ended != nil {
			<-ended
		}
	}()
	again := time.NewTicker(healEvery)
	defer again.Stop()
	for {
		// Also at the beginning: what went before the socket was there made no event.
		if err := f.heal(tell); err != nil {
			return err
		}
		rest := time.NewTimer(healSpacing)
		select {
		case <-ctx.Done():
			rest.Stop()
			return ctx.Err()
		case <-rest.C:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			ended = nil
			return fmt.Errorf("watch interfaces: %w", err)
		case <-woken:
		case <-again.C:
		}
	}
}

// linkEvents opens a socket to which the kernel writes what becomes of
// interfaces.
func linkEvents() (*os.File, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(s), "link events")
	if err := unix.Bind(s, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// readLinkEvents fills woken when something becomes of an interface of f's, until
// reading fails.
func (f *Filter) readLinkEvents(events *os.File, woken chan<- struct{}) error {
	names := make(map[string]bool)
	for _, name := range f.options.Interfaces {
		names[name] = true
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := events.Read(buffer)
		lost := errors.Is(err, unix.ENOBUFS) // too many at once: ours may be among them
		if err != nil && !lost {
			return err
		}
		if lost || concern(buffer[:n], names) {
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	}
}

// concern says whether link messages are about one of the interfaces, or not to
// be understood.
func concern(b []byte, names map[string]bool) bool {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK && m.Header.Type != unix.RTM_DELLINK {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return true
		}
		for _, a := range attributes {
			if a.Attr.Type == unix.IFLA_IFNAME && names[unix.ByteSliceToString(a.Value)] {
				return true
			}
		}
	}
	return false
}

// heal looks at all interfaces, and attaches to those that have no program. What
// another process has taken over is left to that one.
func (f *Filter) heal(tell func(InterfaceStatus)) error {
	changed, err := f.healAll()
	for _, s := range changed {
		tell(s)
	}
	return err
}

func (f *Filter) healAll() (changed []InterfaceStatus, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	for i, a := range f.attachments {
		if ours, err := a.ours(&f.maps); err == nil && !ours {
			return changed, nil
		}
		problem, again := a.lost()
		if again != nil {
			if anew, err := f.attachAgain(a, again); errors.Is(err, unix.ENODEV) {
				problem = problemGone
			} else if err != nil {
				problem = err.Error()
			} else {
				f.attachments[i] = anew
				changed = append(changed, anew.status(false))
				continue
			}
		}
		if known := a.problem; known != problem {
			a.problem = problem
			changed = append(changed, a.status(false))
		}
	}
	return changed, nil
}

const problemGone = "the interface is gone"

// lost returns why a's interface does not have a's program, "" if it has, and the
// interface that has the name now, if it is to be attached to. An interface that
// was renamed keeps its program until another takes the name.
func (a *attachment) lost() (problem string, again *net.Interface) {
	program, err := a.linked()
	if err != nil {
		return err.Error(), nil
	}
	device, err := net.InterfaceByName(a.name)
	switch {
	case err != nil && program != 0:
		return "", nil
	case err != nil:
		return problemGone, nil
	case program == 0:
		return "the program was detached from it", device
	case device.Index != a.index:
		return "another interface has its name", device
	}
	hook, err := hookOf(device.Index)
	switch {
	case errors.Is(err, unix.ENODEV): // since it was found
		return problemGone, nil
	case err != nil:
		return err.Error(), nil
	case hook.program != program: // ours went to another network namespace
		return "another interface has its name and number", device
	}
	return "", nil
}

// attachAgain attaches the program to the interface that has old's name now. What
// old is attached to, if anything, is not meant any more.
func (f *Filter) attachAgain(old *attachment, device *net.Interface) (*attachment, error) {
	if f.pins != nil {
		if err := f.pins.lock(); err != nil {
			return nil, err
		}
		defer f.pins.unlock()
	}
	// Its pin is named by a number that the new interface may have, too.
	if err := errors.Join(old.unpin(), old.link.Detach()); err != nil {
		return nil, fmt.Errorf("leave interface %d: %w", old.index, err)
	}
	a := &attachment{name: old.name, index: device.Index, since: time.Now()}
	if err := a.attach(f.maps.SallyportBan, f.options.Attach, f.pins); err != nil {
		return nil, err
	}
	_ = old.link.Close() // it is of nothing any more
	return a, nil
}

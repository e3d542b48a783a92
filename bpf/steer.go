package bpf

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -tags linux -type address -type destination -type steering -type place -type port_classes -type steered_count steer steer.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v2

// Steering gives connections to any address of a prefix and any port of a range
// to one listening socket, by sk_lookup, in one network namespace. It may be used
// by many goroutines.
//
// It outlives the process that opened it where it is pinned: then the next process
// of the same Pin takes it over in one step, and until then what is steered to the
// sockets of a process that has ended is refused, not given to anybody else.
//
//	PIN/link
//	PIN/steered-VERSION
//
// It needs Linux 5.13, CAP_BPF and CAP_NET_ADMIN. See [SteeringSupported].
type Steering struct {
	pins *pins // nil: nothing is pinned

	mu      sync.Mutex
	closed  bool
	link    *link.NetNsLink
	current *steered // in force by this process; nil before the first Commit
	counts  *ebpf.Map
}

// steeredVersion is raised when the pinned counts change what they hold.
const steeredVersion = 1

// OpenSteering takes over what an earlier process has pinned in the directory
// pin, and leaves in force for now what that steers; without any it attaches a
// program that steers nothing, to the network namespace of the calling thread. An
// empty pin pins nothing: then steering ends with the process.
func OpenSteering(pin string) (*Steering, error) {
	s := &Steering{}
	if pin != "" {
		s.pins = &pins{dir: pin}
		if err := s.pins.lock(); err != nil {
			return nil, fmt.Errorf("open steering: %w", err)
		}
		defer s.pins.unlock()
	}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open steering: %w", errors.Join(err, s.release()))
	}
	return s, nil
}

func (s *Steering) open() error {
	if err := s.openCounts(); err != nil {
		return err
	}
	l, err := s.pinnedLink()
	if err != nil {
		return err
	}
	if l != nil {
		s.link = l
		return nil
	}
	empty, err := NewTable(nil)
	if err != nil {
		return err
	}
	first, err := s.load(empty, nil)
	if err != nil {
		return err
	}
	if err := s.attach(first); err != nil {
		return errors.Join(err, first.close())
	}
	s.current = first
	return nil
}

// openCounts opens the counts that all tables share, or makes them.
func (s *Steering) openCounts() error {
	spec, err := loadSteer()
	if err != nil {
		return err
	}
	if s.pins == nil {
		s.counts, err = ebpf.NewMap(spec.Maps[steerMapSteered])
		return err
	}
	counts := spec.Maps[steerMapSteered]
	counts.Name, counts.Pinning = fmt.Sprintf("steered-%d", steeredVersion), ebpf.PinByName
	s.counts, err = ebpf.NewMapWithOptions(counts, ebpf.MapOptions{PinPath: s.pins.dir})
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Join(s.pins.dir, counts.Name), err)
	}
	return nil
}

func (s *Steering) linkPin() string { return filepath.Join(s.pins.dir, "link") }

// pinnedLink returns what an earlier process has attached, nil if nothing.
func (s *Steering) pinnedLink() (*link.NetNsLink, error) {
	if s.pins == nil {
		return nil, nil
	}
	l, err := link.LoadPinnedLink(s.linkPin(), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.linkPin(), err)
	}
	at, ok := l.(*link.NetNsLink)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("%s: is no link to a network namespace: remove it", s.linkPin())
	}
	info, err := at.Info()
	if err != nil {
		at.Close()
		return nil, err
	}
	here, err := networkNamespace()
	if err != nil {
		at.Close()
		return nil, err
	}
	defer unix.Close(here.fd)
	switch inode := info.NetNs().NetnsInode; inode {
	case here.inode:
		return at, nil
	case 0: // the namespace is gone
		err := at.Unpin()
		return nil, errors.Join(err, at.Close())
	default:
		at.Close()
		return nil, fmt.Errorf("%s is the link of another network namespace, %d: want a directory for each", s.linkPin(), inode)
	}
}

type namespaceID struct {
	fd    int
	inode uint32
}

// networkNamespace opens that of the calling thread.
func networkNamespace() (namespaceID, error) {
	const path = "/proc/thread-self/ns/net"
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return namespaceID{}, fmt.Errorf("open %s: %w", path, err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		unix.Close(fd)
		return namespaceID{}, fmt.Errorf("stat %s: %w", path, err)
	}
	return namespaceID{fd, uint32(stat.Ino)}, nil
}

// attach makes the link, and pins it.
func (s *Steering) attach(t *steered) error {
	here, err := networkNamespace()
	if err != nil {
		return err
	}
	defer unix.Close(here.fd)
	l, err := link.AttachNetNs(here.fd, t.objects.SallyportSteer)
	if err != nil {
		return fmt.Errorf("attach sk_lookup: %w", err)
	}
	if s.pins != nil {
		if err := l.Pin(s.linkPin()); err != nil {
			return errors.Join(fmt.Errorf("pin sk_lookup: %w", err), l.Close())
		}
	}
	s.link = l
	return nil
}

// steered is a table in the kernel: a program with maps of its own.
type steered struct {
	table   *Table
	objects steerObjects
}

func (t *steered) close() error { return t.objects.Close() }

// Prepared is a table that the kernel knows and nobody asks yet. It must be
// committed or abandoned.
type Prepared struct {
	of  *Steering
	new *steered
}

// Prepare tells the kernel of a table whose destination i goes to sockets[i];
// what goes to a nil socket is refused. The sockets must be listening already,
// not be MPTCP ones (net.ListenConfig.SetMultipathTCP), and be of the
// destination's family, or of IPv6 for both. They stay the caller's, and may be
// closed.
func (s *Steering) Prepare(t *Table, sockets []*net.TCPListener) (*Prepared, error) {
	if len(sockets) != len(t.destinations) {
		return nil, fmt.Errorf("prepare steering: %d sockets for %d destinations", len(sockets), len(t.destinations))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("prepare steering: %w", ErrClosed)
	}
	next, err := s.load(t, sockets)
	if err != nil {
		return nil, fmt.Errorf("prepare steering: %w", err)
	}
	return &Prepared{s, next}, nil
}

// Commit puts the table in force, in one step, in place of the one of this
// process or of an earlier one. Connections that the old table gave to a socket
// are still that one's to accept. When Commit fails, the old table stays.
func (p *Prepared) Commit() error {
	s := p.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("put steering in force: %w", errors.Join(ErrClosed, p.new.close()))
	}
	err := s.lock()
	if err != nil {
		return fmt.Errorf("put steering in force: %w", errors.Join(err, p.new.close()))
	}
	defer s.unlock()
	if err := s.put(p.new); err != nil {
		return fmt.Errorf("put steering in force: %w", errors.Join(err, p.new.close()))
	}
	old := s.current
	s.current = p.new
	// The table is in force: what cannot be tidied up behind it changes nothing.
	if old != nil {
		old.close()
	}
	s.forget(p.new.table)
	return nil
}

// put makes t's program that of the link.
func (s *Steering) put(t *steered) error {
	err := s.link.Update(t.objects.SallyportSteer)
	if errors.Is(err, unix.ENOLINK) {
		// Another process took the link out after we had opened it.
		s.link.Close()
		return s.attach(t)
	}
	return err
}

// Reclaim puts the table of this process in force again, if one has been, after
// another process has taken over and failed.
func (s *Steering) Reclaim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("reclaim steering: %w", ErrClosed)
	}
	if s.current == nil {
		return nil
	}
	if err := s.lock(); err != nil {
		return fmt.Errorf("reclaim steering: %w", err)
	}
	defer s.unlock()
	if err := errors.Join(s.put(s.current), s.countFor(s.current.table)); err != nil {
		return fmt.Errorf("reclaim steering: %w", err)
	}
	return nil
}

// Abandon leaves all as it is. A nil Prepared has nothing to abandon.
func (p *Prepared) Abandon() error {
	if p == nil {
		return nil
	}
	return p.new.close()
}

func (s *Steering) lock() error {
	if s.pins == nil {
		return nil
	}
	return s.pins.lock()
}

func (s *Steering) unlock() {
	if s.pins != nil {
		s.pins.unlock()
	}
}

// Close steers no more, and removes what was pinned. What another process has
// taken over meanwhile is left to that one.
func (s *Steering) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if s.pins == nil {
		return s.release()
	}
	if err := s.pins.lock(); err != nil {
		return fmt.Errorf("close steering: %w", err)
	}
	defer s.pins.unlock()
	ours, err := s.ours()
	if err == nil && ours {
		if err = s.link.Unpin(); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		err = errors.Join(err, s.link.Detach(), os.RemoveAll(s.pins.dir))
	} else {
		os.Remove(s.pins.dir) // if it is empty: the other process has ended, and the lock has made it anew
	}
	if err := errors.Join(err, s.release()); err != nil {
		return fmt.Errorf("close steering: %w", err)
	}
	return nil
}

// ours says whether what is in force is of this process.
func (s *Steering) ours() (bool, error) {
	if s.current == nil {
		return false, nil
	}
	linked, err := s.link.Info()
	if err != nil {
		return false, err
	}
	info, err := s.current.objects.SallyportSteer.Info()
	if err != nil {
		return false, err
	}
	id, _ := info.ID()
	return linked.Program == id, nil
}

// Release ends the use of the Steering and leaves it in force where it is pinned:
// what it steers goes to its sockets as long as any process has them open, and is
// refused from then on, until the next one takes over.
func (s *Steering) Release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.release()
}

func (s *Steering) release() error {
	s.closed = true
	var errs []error
	if s.link != nil {
		errs = append(errs, s.link.Close())
	}
	if s.current != nil {
		errs = append(errs, s.current.close())
	}
	if s.counts != nil {
		errs = append(errs, s.counts.Close())
	}
	return errors.Join(errs...)
}

// SteeringSupported returns nil where a Steering can work, and otherwise what is
// missing: a right, or something of the kernel. It leaves nothing behind.
func SteeringSupported() error {
	if err := rights(); err != nil {
		return fmt.Errorf("steering cannot work here: %w", err)
	}
	s := &Steering{}
	err := s.openCounts()
	if err == nil {
		var empty *Table
		var t *steered
		if empty, err = NewTable(nil); err == nil {
			if t, err = s.load(empty, nil); err == nil {
				err = t.close()
			}
		}
	}
	if err = errors.Join(err, s.release()); err != nil {
		return fmt.Errorf("steering cannot work here: want Linux 5.13 or later with CONFIG_BPF_SYSCALL, have %s: %w", release(), err)
	}
	return nil
}

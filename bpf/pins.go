package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// layoutVersion is raised when the pinned maps change what they hold: a key, a
// value, the order of the verdicts.
const layoutVersion = 2

// layout is what pinned maps of one directory have in common.
type layout struct {
	version, ipv6Prefix, maxBans, maxPrefixes int
}

func layoutOf(o Options) layout {
	return layout{layoutVersion, o.IPv6Prefix, o.MaxBans, o.MaxPrefixes}
}

func (l layout) String() string {
	return fmt.Sprintf("maps-%d-%d-%d-%d", l.version, l.ipv6Prefix, l.maxBans, l.maxPrefixes)
}

// parseLayout reads a directory's name. Of another version only that is known
// to be where it is.
func parseLayout(name string) (layout, error) {
	var l layout
	fields := strings.Split(strings.TrimPrefix(name, "maps-"), "-")
	var err error
	if l.version, err = strconv.Atoi(fields[0]); err != nil {
		return layout{}, err
	}
	if l.version != layoutVersion {
		return l, nil
	}
	_, err = fmt.Sscanf(name, "maps-%d-%d-%d-%d", &l.version, &l.ipv6Prefix, &l.maxBans, &l.maxPrefixes)
	return l, err
}

// pins is the directory in which a Filter is pinned.
type pins struct {
	dir     string
	maps    string // the directory of this layout's maps
	created bool   // maps was made by openPins
	lockFD  int
}

// openPins makes the directory and keeps other processes that want to change
// what is pinned there waiting until unlock.
func openPins(dir string, l layout) (*pins, error) {
	p := &pins{dir: dir, maps: filepath.Join(dir, l.String())}
	if err := p.lock(); err != nil {
		return nil, err
	}
	switch err := os.Mkdir(p.maps, 0o700); {
	case err == nil:
		p.created = true
	case !errors.Is(err, os.ErrExist):
		p.unlock()
		return nil, fmt.Errorf("pin: %w", err)
	}
	return p, nil
}

func (p *pins) lock() error {
	for {
		if err := makePinDir(p.dir); err != nil {
			return err
		}
		fd, err := unix.Open(p.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", p.dir, err)
		}
		for {
			if err = unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
				break
			}
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("lock %s: %w", p.dir, err)
		}
		// Whoever had the lock may have removed the directory.
		var locked, there unix.Stat_t
		if unix.Fstat(fd, &locked) == nil && unix.Stat(p.dir, &there) == nil && locked.Ino == there.Ino && locked.Dev == there.Dev {
			p.lockFD = fd
			return nil
		}
		unix.Close(fd)
	}
}

func (p *pins) unlock() {
	unix.Close(p.lockFD)
}

// mountPoint is where a BPF file system is expected, as systemd mounts it.
const mountPoint = "/sys/fs/bpf"

// makePinDir makes dir, and mounts the BPF file system if it is missing from
// its usual place.
func makePinDir(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("pin in %q: want an absolute path", dir)
	}
	there := dir // the nearest directory that is there
	var fs unix.Statfs_t
	for {
		err := unix.Statfs(there, &fs)
		if err == nil {
			break
		}
		if err != unix.ENOENT || there == "/" {
			return fmt.Errorf("pin in %s: %s: %w", dir, there, err)
		}
		there = filepath.Dir(there)
	}
	if fs.Type != unix.BPF_FS_MAGIC {
		command := "mount -t bpf bpf " + mountPoint
		if there != mountPoint {
			return fmt.Errorf("pin in %s: %s is not in a BPF file system: name a directory of one, such as %s (to mount it there: %s)", dir, there, DefaultPin, command)
		}
		if err := unix.Mount("bpf", mountPoint, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RELATIME, "mode=0700"); err != nil {
			return fmt.Errorf("pin in %s: no BPF file system is mounted, and %w: as root, run: %s", dir, err, command)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("pin: %w (as root, make the directory and give it to this user)", err)
	}
	return nil
}

// linkPin returns where the link of an interface is pinned. Names of interfaces
// may have dots, names of pins may not.
func (p *pins) linkPin(index int) string {
	return filepath.Join(p.dir, "link-"+strconv.Itoa(index))
}

// linkPins returns the indexes of interfaces that have links pinned.
func (p *pins) linkPins() ([]int, error) {
	var indexes []int
	err := p.each("link-", func(name string) error {
		index, err := strconv.Atoi(strings.TrimPrefix(name, "link-"))
		indexes = append(indexes, index)
		return err
	})
	return indexes, err
}

// otherLayouts returns the directories of maps that are not of our layout.
func (p *pins) otherLayouts() ([]string, error) {
	var others []string
	err := p.each("maps-", func(name string) error {
		if path := filepath.Join(p.dir, name); path != p.maps {
			others = append(others, path)
		}
		return nil
	})
	return others, err
}

func (p *pins) each(prefix string, do func(name string) error) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if err := do(e.Name()); err != nil {
			return fmt.Errorf("pin %s: %w", filepath.Join(p.dir, e.Name()), err)
		}
	}
	return nil
}

func (p *pins) removeOtherLayouts() error {
	others, err := p.otherLayouts()
	for _, path := range others {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// undo removes what openPins and load have left behind for nothing.
func (p *pins) undo() error {
	if !p.created {
		return nil
	}
	if err := os.RemoveAll(p.maps); err != nil {
		return err
	}
	os.Remove(p.dir) // stays if somebody else has something in it
	return nil
}

// remove removes the maps and the directory.
func (p *pins) remove() error {
	return errors.Join(p.removeOtherLayouts(), os.RemoveAll(p.maps), os.Remove(p.dir))
}

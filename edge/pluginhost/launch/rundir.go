package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// runDir is one process's directory below Options.RunDir. A lock on it says that
// its edge lives: the kernel gives it up with the edge, however that ends.
//
//	RunDir/lock        held while directories are made or swept
//	RunDir/uid-61200   held by the edge that uses this dynamic user
//	RunDir/p123/       go-plugin's directory with the launcher's socket
//	RunDir/p123/lock   held for the life of the process
//	RunDir/p123/cgroup the path of its cgroup, to be ended by whoever sweeps
type runDir struct {
	base, path string
	lock       *os.File
}

// socketRest is what go-plugin appends to a run directory: /plugin-dir and
// /plugin, each with a random number of up to ten digits.
const socketRest = len("/plugin-dir0123456789/plugin0123456789")

// newRunDir makes a directory for one process, and sweeps those whose edge is no
// more.
func newRunDir(base string) (*runDir, error) {
	if !filepath.IsAbs(base) {
		return nil, fmt.Errorf("run directory %q: want an absolute path", base)
	}
	all, err := lockRunDir(base, true)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	sweep(base)
	path, err := os.MkdirTemp(base, "p")
	if err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	d := &runDir{base: base, path: path}
	if len(path)+socketRest > 107 {
		os.RemoveAll(path)
		return nil, fmt.Errorf("run directory %q: too long by %d bytes for the paths of sockets in it", base, len(path)+socketRest-107)
	}
	if d.lock, err = lockFile(filepath.Join(path, "lock"), unix.LOCK_EX); err != nil {
		os.RemoveAll(path)
		return nil, err
	}
	return d, nil
}

// lockRunDir locks a run directory that is ours alone, and makes it first, if it is
// to. It returns nil for one that is not there.
func lockRunDir(base string, make bool) (*os.File, error) {
	for {
		if make {
			if err := os.MkdirAll(base, 0o700); err != nil {
				return nil, fmt.Errorf("make run directory: %w", err)
			}
		}
		var st unix.Stat_t
		if err := unix.Lstat(base, &st); err != nil {
			if errors.Is(err, unix.ENOENT) {
				if !make {
					return nil, nil
				}
				continue // somebody has just removed it
			}
			return nil, fmt.Errorf("look at run directory %s: %w", base, err)
		}
		// Whoever may write there could put a socket of their own in the launcher's place.
		if int(st.Uid) != os.Geteuid() || st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o077 != 0 {
			return nil, fmt.Errorf("run directory %s: want a directory of user %d with mode 0700, found one of user %d with mode %#o", base, os.Geteuid(), st.Uid, st.Mode&0o7777)
		}
		name := filepath.Join(base, "lock")
		lock, err := lockFile(name, unix.LOCK_EX)
		if errors.Is(err, unix.ENOENT) {
			continue // likewise
		}
		if err != nil {
			return nil, err
		}
		if isAt(lock, name) {
			return lock, nil
		}
		lock.Close() // of a directory that is no more
	}
}

// isAt says whether an open file is still the one of that name.
func isAt(f *os.File, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(held, there)
}

// RemoveRunDir ends and removes what dead edges have left in a run directory, and
// the directory itself, unless a process is in it whose edge lives, or something that
// is not ours. Whoever needs it next makes it again. One that is not there is well.
func RemoveRunDir(base string) error {
	lock, err := lockRunDir(base, false)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	sweep(base)
	entries, err := os.ReadDir(base)
	if err != nil {
		return fmt.Errorf("remove run directory: %w", err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "lock" && !strings.HasPrefix(name, "uid-") {
			return nil // in use
		}
	}
	// The lock last: whoever comes then makes another one, and is in nobody's way. A
	// dynamic user is held only by who has a process here.
	for _, entry := range entries {
		if entry.Name() == "lock" {
			continue
		}
		if err := os.Remove(filepath.Join(base, entry.Name())); err != nil {
			return fmt.Errorf("remove run directory: %w", err)
		}
	}
	if err := os.Remove(filepath.Join(base, "lock")); err != nil {
		return fmt.Errorf("remove run directory: %w", err)
	}
	if err := os.Remove(base); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("remove run directory: %w", err)
	}
	return nil
}

// remember notes the process's cgroup for who comes after us.
func (d *runDir) remember(cgroup string) error {
	if err := os.WriteFile(filepath.Join(d.path, "cgroup"), []byte(cgroup), 0o600); err != nil {
		return fmt.Errorf("note the plugin's cgroup: %w", err)
	}
	return nil
}

func (d *runDir) remove() {
	os.RemoveAll(d.path)
	d.lock.Close()
}

// leave is for a process whose cgroup is not gone yet: a sweep will see to it.
func (d *runDir) leave() { d.lock.Close() }

// sweep removes what edges have left that were killed, processes in their
// plugins' cgroups among it. What cannot be removed is left for the next time.
func sweep(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), "p") {
			continue
		}
		path := filepath.Join(base, entry.Name())
		lock, err := tryLock(filepath.Join(path, "lock"))
		if err != nil || lock == nil {
			continue // somebody's
		}
		group, err := os.ReadFile(filepath.Join(path, "cgroup"))
		if err != nil || (&cgroup{path: string(group)}).end() {
			os.RemoveAll(path)
		}
		lock.Close()
	}
}

// tryLock returns nil for a file that is locked by another.
func tryLock(path string) (*os.File, error) {
	f, err := lockFile(path, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return f, err
}

func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

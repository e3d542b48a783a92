package segment

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// tempSuffix is what a file's name ends with until it is whole.
const tempSuffix = ".segment.tmp"

// CleanDir removes what writers left in dir when they were killed: files named
// *.segment.tmp. Those that a living process is writing stay. It is safe at any
// time.
func CleanDir(dir string) error {
	if err := cleanDir(dir); err != nil {
		return fmt.Errorf("clean segment directory: %w", err)
	}
	return nil
}

func cleanDir(path string) error {
	d, err := openDir(path)
	if err != nil {
		return err
	}
	defer d.close()
	names, err := d.f.Readdirnames(-1)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if strings.HasSuffix(name, tempSuffix) {
			errs = append(errs, d.removeLeft(name))
		}
	}
	return errors.Join(errs...)
}

// removeLeft removes a temporary file that nobody has locked.
func (d *dir) removeLeft(name string) error {
	f, err := d.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil
	case err != nil:
		return &fs.PathError{Op: "lock", Path: d.join(name), Err: err}
	}
	if err := d.remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// dir is an open directory of segments. Files are named in it by its descriptor:
// whoever moves it meanwhile does not change what they are.
type dir struct {
	f    *os.File
	path string
}

// openDir opens a directory that nobody but this user and root can change.
func openDir(path string) (*dir, error) {
	f, err := os.OpenFile(path, unix.O_DIRECTORY|os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		if err = trusted(info); err != nil {
			err = fmt.Errorf("directory %s %w", path, err)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &dir{f, path}, nil
}

// trusted tells why others than this user and root can write to the file.
func trusted(info fs.FileInfo) error {
	owner := info.Sys().(*syscall.Stat_t).Uid
	if user := os.Geteuid(); owner != 0 && int(owner) != user {
		return fmt.Errorf("belongs to user %d: want %d or 0", owner, user)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("has mode %04o: want no write permission for group and others", mode)
	}
	return nil
}

func (d *dir) close() { d.f.Close() }

func (d *dir) join(name string) string { return filepath.Join(d.path, name) }

// plainName says whether name is one that a segment may have in its directory.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") && !strings.HasSuffix(name, tempSuffix)
}

// open opens a file for reading; a pipe would not make it wait.
func (d *dir) open(name string) (*os.File, error) {
	return d.openat(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
}

func (d *dir) openat(name string, flags int) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(d.f.Fd()), name, flags|unix.O_CLOEXEC, 0o600)
		if err == nil {
			return os.NewFile(uintptr(fd), d.join(name)), nil
		}
		if err != unix.EINTR {
			return nil, &fs.PathError{Op: "open", Path: d.join(name), Err: err}
		}
	}
}

// temp makes a file that is to become name. It is locked, so that CleanDir can
// tell it from a left-over.
func (d *dir) temp(name string) (*os.File, string, error) {
	for {
		temp := name + "." + rand.Text() + tempSuffix
		f, err := d.openat(temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW)
		if err != nil {
			return nil, "", err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			f.Close()
			return nil, "", errors.Join(&fs.PathError{Op: "lock", Path: d.join(temp), Err: err}, d.remove(temp))
		}
		// A cleaner may have come between making and locking.
		if info, err := f.Stat(); err == nil && info.Sys().(*syscall.Stat_t).Nlink > 0 {
			return f, temp, nil
		}
		f.Close()
	}
}

// nameless makes a file that is gone when it is closed.
func (d *dir) nameless() (*os.File, error) {
	if f, err := d.openat(".", unix.O_RDWR|unix.O_TMPFILE); err == nil {
		return f, nil
	}
	// Not every file system has O_TMPFILE.
	f, temp, err := d.temp("staged")
	if err != nil {
		return nil, err
	}
	if err := d.remove(temp); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (d *dir) rename(from, to string) error {
	if err := unix.Renameat(int(d.f.Fd()), from, int(d.f.Fd()), to); err != nil {
		return &os.LinkError{Op: "rename", Old: d.join(from), New: d.join(to), Err: err}
	}
	return nil
}

func (d *dir) remove(name string) error {
	if err := unix.Unlinkat(int(d.f.Fd()), name, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: d.join(name), Err: err}
	}
	return nil
}

// sync makes the names of files last.
func (d *dir) sync() error { return d.f.Sync() }

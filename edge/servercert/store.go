package servercert

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Store keeps what must outlive the process: keys, certificates, accounts with
// CAs, challenges under way. A key is names with / between them; no name is empty
// or begins with a dot. Any number of goroutines, and of processes, may use it.
type Store interface {
	// Load returns a value; the error of one that is not there wraps
	// fs.ErrNotExist.
	Load(key string) ([]byte, error)
	// Save puts a value in the place of an older one, whole or not at all.
	Save(key string, value []byte) error
	// Delete removes a value. That there is none is no error.
	Delete(key string) error
	// List returns the names directly below a key, in order.
	List(key string) ([]string, error)
	// Lock waits until nobody else has the lock of that name, or ctx is done.
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// Dir is a Store of files with mode 0600 below a directory with mode 0700, which
// is made with the first of them.
type Dir string

func (d Dir) path(key string) (string, error) {
	for name := range strings.SplitSeq(key, "/") {
		if name == "" || name[0] == '.' || len(name) > 255 || strings.ContainsAny(name, "\x00\\") {
			return "", fmt.Errorf("store key %q: want names without a dot at their beginning", key)
		}
	}
	return filepath.Join(string(d), filepath.FromSlash(key)), nil
}

// Load implements Store.
func (d Dir) Load(key string) ([]byte, error) {
	path, err := d.path(key)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Save implements Store.
func (d Dir) Save(key string, value []byte) (err error) {
	path, err := d.path(key)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save %s: %w", key, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("save %s: %w", key, err)
		}
	}()
	f, err := os.OpenFile(filepath.Join(dir, ".new-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // best effort: it is of no use, and of no harm
		return err
	}
	return syncDir(dir)
}

// syncDir puts a rename on disk: without it a power cut could bring back a
// certificate whose key the CA has been told to forget.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Delete implements Store.
func (d Dir) Delete(key string) error {
	path, err := d.path(key)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List implements Store.
func (d Dir) List(key string) ([]string, error) {
	path, err := d.path(key)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.Name()[0] != '.' {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// lockInterval is how often a lock that somebody else has is asked for.
const lockInterval = 100 * time.Millisecond

// Lock implements Store. The kernel gives it back when the process ends, however
// it does. The file goes with the lock.
func (d Dir) Lock(ctx context.Context, name string) (func(), error) {
	path, err := d.path("locks/" + name)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	again := time.NewTicker(lockInterval)
	defer again.Stop()
	for {
		f, err := tryLock(path)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if f != nil {
			return func() {
				os.Remove(path) // while it is ours; best effort, as an empty file does no harm
				f.Close()
			}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", name, ctx.Err())
		case <-again.C:
		}
	}
}

// tryLock returns the file with its lock, nil if somebody else has that.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		f.Close()
		return nil, nil
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	// Whoever had it before may have removed the file after we opened it: the lock
	// of a file that is not there is nobody's.
	mine, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, nil
	}
	return f, nil
}

// maxHost bounds a host, in bytes: with what the store puts around it, it must be a
// file's name.
const maxHost = 240

// fileName is a host's in keys of a Store: * would be a pattern in a shell.
func fileName(host string) string {
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		return "+." + rest
	}
	return host
}

// hostOf is the host of a file name.
func hostOf(name string) string {
	if rest, ok := strings.CutPrefix(name, "+."); ok {
		return "*." + rest
	}
	return name
}

package edge

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile is in the state directory; who has locked it (flock(2)) uses the
// directory, and is named in it.
const lockFile = "lock"

// openStateDir makes the state directory, refuses one that others can use, and
// locks it for this process. The lock goes with the process, however that ends; a
// successor is given it.
func openStateDir(dir string, p *Predecessor) (*os.File, error) {
	if err := makeStateDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockFile)
	if lock := p.takeLock(path); lock != nil {
		return lock, nil
	}
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	for {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer lock.Close()
		return nil, fmt.Errorf("%s is in use by another edge%s: want a directory for each", dir, holder(lock))
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock state directory %s: %w", dir, err)
	}
	if err := sign(lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock state directory %s: %w", dir, err)
	}
	return lock, nil
}

// holder says who has the lock, as far as it has said so.
func holder(lock *os.File) string {
	text, err := io.ReadAll(io.LimitReader(lock, 32))
	pid, parseErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || parseErr != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

// sign writes into the lock that this process has it.
func sign(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

package revocation

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// Dir is a directory that keeps lists from one run to the next. It may be used
// by many goroutines, and the directory by several processes.
//
// Whoever can write to it decides who is revoked: what it keeps of a list has
// checksums against accidents, and no signature. So it has to be ours alone.
type Dir struct {
	path string
	// lock is held shared as long as the Dir is in use, so that nobody takes what
	// is being written for what a crash left behind.
	lock *os.File
}

// OpenDir opens the directory at path, and makes it, for its owner only, if it
// is not there. It refuses one that is not ours or that others may write to, and
// removes what a crash left behind. Other Dirs of the same path, in this process
// or another, are not disturbed.
func OpenDir(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("open CRL directory: %w", err)
	}
	lock, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open CRL directory: %w", err)
	}
	d := &Dir{path: path, lock: lock}
	if err := d.prepare(); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("open CRL directory %s: %w", path, err)
	}
	return d, nil
}

func (d *Dir) prepare() error {
	info, err := d.lock.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to another user: want user %d", os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("mode %04o lets others write to it: want 0700", mode)
	}
	if err := segment.CleanDir(d.path); err != nil {
		return err
	}
	if syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		if err := d.removeDrafts(); err != nil {
			return err
		}
	}
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_SH); err != nil {
		return fmt.Errorf("lock it: %w", err)
	}
	return nil
}

// removeDrafts removes what was being written when a process was killed.
func (d *Dir) removeDrafts() error {
	entries, err := os.ReadDir(d.path)
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), draftSuffix) {
			err = errors.Join(err, os.Remove(d.file(entry.Name())))
		}
	}
	return err
}

// The names of files in a Dir: a list's is of its digest, a source's of its path.
const (
	segmentSuffix = ".segment"
	sourceSuffix  = ".json"
	draftSuffix   = ".json.tmp" // of a file that is being written
)

func segmentName(digest [sha256.Size]byte) string {
	return hex.EncodeToString(digest[:]) + segmentSuffix
}

// segments is where segments go; a nil Dir keeps them in memory.
func (d *Dir) segments() string {
	if d == nil {
		return ""
	}
	return d.path
}

func (d *Dir) file(name string) string { return filepath.Join(d.path, name) }

func (d *Dir) remove(names []string) {
	for _, name := range names {
		_ = os.Remove(d.file(name)) // Prune tries again
	}
}

// nameless makes a file that is gone when it is closed.
func (d *Dir) nameless() (*os.File, error) {
	f, err := os.CreateTemp(d.path, "*"+draftSuffix)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Prune removes the files of lists that are not among keep, and what is known of
// the files that had any of these. Lists that are in use stay so; they only have
// to be read after a restart.
func (d *Dir) Prune(keep []*List) error {
	kept := make(map[string]bool, len(keep))
	for _, l := range keep {
		if l != nil {
			kept[segmentName(l.digest)] = true
		}
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("prune CRL directory: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		name := entry.Name()
		wanted := true
		switch {
		case strings.HasSuffix(name, segmentSuffix):
			wanted = kept[name]
		case strings.HasSuffix(name, sourceSuffix):
			wanted = d.wantsSource(name, kept)
		}
		if wanted {
			continue
		}
		if err := os.Remove(d.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("prune CRL directory: %w", err)
	}
	return nil
}

package truststore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/edge/filewatch"
)

// In a state directory, versionFile is the versionLog and uploadDir holds what
// was uploaded, each under the SHA-256 of its bytes, CRLs compressed: versions
// share what they have in common. An upload is on disk before the log that refers to it, and the
// log is replaced whole: after a crash at any moment there is the last complete
// version, and perhaps an upload that nothing refers to.
const (
	versionFile = "versions.json"
	uploadDir   = "uploads"
)

// versionDir is a state directory with versions.
type versionDir string

func (d versionDir) logPath() string { return filepath.Join(string(d), versionFile) }

// paths are the files to watch: a new version is a new log.
func (d versionDir) paths() []string {
	if d == "" {
		return nil
	}
	return []string{d.logPath()}
}

// load reads the log. Where none was ever written it is empty.
func (d versionDir) load() (*versionLog, error) {
	data, err := os.ReadFile(d.logPath())
	if errors.Is(err, fs.ErrNotExist) {
		return &versionLog{}, nil
	}
	if err != nil {
		return nil, err
	}
	log, err := parseVersionLog(data)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", d.logPath(), err)
	}
	return log, nil
}

// save makes log the one that load reads.
func (d versionDir) save(log *versionLog) error {
	data, err := json.MarshalIndent(log, "", "\t")
	if err != nil {
		return err
	}
	return replaceFile(d.logPath(), append(data, '\n'))
}

// prepare makes the folder of uploads, durably: a log must not be there without
// it after a crash.
func (d versionDir) prepare() error {
	uploads := filepath.Join(string(d), uploadDir)
	if info, err := os.Stat(uploads); err == nil && info.Mode().Perm() == 0o700 {
		return nil
	}
	if err := os.MkdirAll(uploads, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(uploads, 0o700); err != nil {
		return err
	}
	// The folders above may be as new.
	dir := string(d)
	for range 3 {
		if err := syncDir(dir); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

// keep writes a bundle and returns its digest. One that is there already, whole,
// is not written again.
func (d versionDir) keep(data []byte) (string, error) {
	digest := sha256.Sum256(data)
	sum := hex.EncodeToString(digest[:])
	if _, err := d.content(sum, int64(len(data))); err == nil {
		// It may have been left by a crash, in a folder that is not on disk yet.
		return sum, syncDir(filepath.Join(string(d), uploadDir))
	}
	if err := d.prepare(); err != nil {
		return "", err
	}
	return sum, replaceFile(filepath.Join(string(d), uploadDir, sum), data)
}

// content reads a bundle, and refuses one that is not what was uploaded.
func (d versionDir) content(sum string, size int64) ([]byte, error) {
	path := filepath.Join(string(d), uploadDir, sum)
	data, err := filewatch.ReadFile(path, maxBundleSize)
	if err != nil {
		return nil, err
	}
	if digest := sha256.Sum256(data); int64(len(data)) != size || hex.EncodeToString(digest[:]) != sum {
		return nil, fmt.Errorf("read %s: its %d bytes are not the %d that were uploaded, whose SHA-256 is its name", path, len(data), size)
	}
	return data, nil
}

// sweep removes uploads that no version of log refers to, and what a crash has
// left half written.
func (d versionDir) sweep(log *versionLog) error {
	var errs []error
	remove := func(dir string, unwanted func(name string) bool) {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		errs = append(errs, err)
		for _, e := range entries {
			if unwanted(e.Name()) {
				errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
			}
		}
	}
	used := log.contents()
	remove(filepath.Join(string(d), uploadDir), func(name string) bool {
		return !used[strings.TrimSuffix(name, compressed)] && !stagedNow(filepath.Join(string(d), uploadDir, name))
	})
	remove(string(d), func(name string) bool {
		return strings.HasPrefix(name, versionFile+".") && strings.HasSuffix(name, ".tmp")
	})
	return errors.Join(errs...)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

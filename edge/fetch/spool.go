package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// spool is where the files of one URL are.
type spool struct{ dir, name string }

func spoolOf(dir, url string) spool {
	sum := sha256.Sum256([]byte(url))
	return spool{dir, hex.EncodeToString(sum[:16])}
}

const factsSuffix = ".json"

func (s spool) body() string  { return filepath.Join(s.dir, s.name+".body") }
func (s spool) facts() string { return filepath.Join(s.dir, s.name+factsSuffix) }

// kept is what is known of the file that was accepted last, and is kept beside it.
type kept struct {
	URL          string    `json:"url"`
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	SHA256       string    `json:"sha256"`
	Size         int64     `json:"size"`
	Fetched      time.Time `json:"fetched"`
	Checked      time.Time `json:"checked"` // when the server last said that it is the newest
}

// prepareDir makes dir ours alone: whoever can write to it chooses what is read.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user: want user %d", dir, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s has mode %#o: want one that others cannot write to", dir, mode)
	}
	return nil
}

// load says what is kept; nil: nothing. Of a body that is not the one that the
// facts are of, since a crash came between the two, only the bytes count: the
// server is not asked whether they are the newest.
func (s spool) load() (*kept, error) {
	s.removeParts()
	f, err := os.Open(s.body())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return nil, err
	}
	found := &kept{SHA256: hex.EncodeToString(h.Sum(nil)), Size: size, Fetched: info.ModTime()}
	if data, err := os.ReadFile(s.facts()); err == nil {
		k := &kept{}
		if json.Unmarshal(data, k) == nil && k.SHA256 == found.SHA256 {
			if len(k.ETag) > maxETag {
				k.ETag = ""
			}
			return k, nil
		}
	}
	return found, nil
}

// save writes what is known of the body that is there.
func (s spool) save(k *kept) error {
	data, err := json.MarshalIndent(k, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, s.name+".*.part") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.facts())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.facts(), err)
	}
	return syncDir(s.dir)
}

// replace puts a part, which is on the disk, in the place of the body.
func (s spool) replace(p *part, k *kept) error {
	if err := os.Rename(p.file.Name(), s.body()); err != nil {
		return err
	}
	return s.save(k)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (s spool) remove() {
	_ = os.Remove(s.facts())
	_ = os.Remove(s.body())
	s.removeParts()
}

// removeParts removes what a crash left behind.
func (s spool) removeParts() {
	left, _ := filepath.Glob(filepath.Join(s.dir, s.name+".*.part"))
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// keptURLs are those that dir has facts of.
func keptURLs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), factsSuffix) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		k := kept{}
		if err == nil && json.Unmarshal(data, &k) == nil && k.URL != "" {
			urls = append(urls, k.URL)
		}
	}
	return urls, nil
}

// part is a download so far, in a file of its own. The nil part is none.
type part struct {
	file               *os.File
	hash               hash.Hash
	size, total        int64 // total: of the whole, -1 where it is not known
	etag, lastModified string

	room  *room // nil before it is begun
	claim claim
}

func (s spool) part() (*part, error) {
	f, err := os.CreateTemp(s.dir, s.name+".*.part") // mode 0600
	if err != nil {
		return nil, err
	}
	return &part{file: f, hash: sha256.New(), total: -1}, nil
}

func (p *part) write(b []byte) error {
	if err := p.room.reserve(p, int64(len(b))); err != nil {
		return err
	}
	n, err := p.file.Write(b)
	p.hash.Write(b[:n])
	p.size += int64(n)
	return err
}

func (p *part) length() int64 {
	if p == nil {
		return 0
	}
	return p.size
}

// discard removes the file, unless it has become another one.
func (p *part) discard() {
	if p != nil {
		if p.room != nil {
			p.room.release(p)
		}
		_ = p.file.Close()
		_ = os.Remove(p.file.Name())
	}
}

func (p *part) kept(url string, now time.Time) *kept {
	return &kept{URL: url, ETag: p.etag, LastModified: p.lastModified, Size: p.size,
		SHA256: hex.EncodeToString(p.hash.Sum(nil)), Fetched: now, Checked: now}
}

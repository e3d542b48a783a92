package revocation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// source is what a Dir knows of where lists were read from.
type source struct {
	Version int      `json:"version"`
	Of      string   `json:"of"` // fileSource or nameSource
	File    identity `json:"file,omitzero"`
	Read    int64    `json:"read,omitzero"` // when the reading of File began, in Unix nanoseconds
	Lists   []string `json:"lists"`         // names of their files, in the order of the lists
}

const sourceVersion = 1

// maxSource bounds a source's file: some ten thousand lists.
const maxSource = 1 << 20

// clockGrain is how long after a change of a file another one may leave no trace
// in its times: the coarsest clock of a file system.
const clockGrain = 2 * time.Second

// settled says whether the file's times would tell of every change since it was
// read.
func (s *source) settled() bool { return s.Read-s.File.Changed > int64(clockGrain) }

// fileSource is the source of ReadFile's lists.
func fileSource(path string) (of string, err error) {
	path, err = filepath.Abs(path)
	return "file " + path, err
}

// nameSource is the source of Keep's.
func nameSource(name string) string { return "name " + name }

// sourceFile is the path of what is known of a source.
func (d *Dir) sourceFile(of string) string {
	digest := sha256.Sum256([]byte(of))
	return filepath.Join(d.path, hex.EncodeToString(digest[:])+sourceSuffix)
}

// source returns what is known of a source.
func (d *Dir) source(of string) (*source, error) {
	s, err := readSource(d.sourceFile(of))
	if err == nil && s.Of != of {
		err = fmt.Errorf("source of %q: want %q", s.Of, of)
	}
	return s, err
}

func readSource(file string) (*source, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxSource))
	if err != nil {
		return nil, err
	}
	return parseSource(data)
}

func parseSource(data []byte) (*source, error) {
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	s := new(source)
	if err := in.Decode(s); err != nil {
		return nil, err
	}
	if s.Version != sourceVersion || len(s.Lists) == 0 {
		return nil, fmt.Errorf("version %d with %d lists: want version %d with a list", s.Version, len(s.Lists), sourceVersion)
	}
	for _, name := range s.Lists {
		if _, err := segmentDigest(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// segmentDigest is the digest that segmentName made the name of.
func segmentDigest(name string) (digest [sha256.Size]byte, err error) {
	octets, _ := hex.DecodeString(strings.TrimSuffix(name, segmentSuffix))
	copy(digest[:], octets)
	if segmentName(digest) != name {
		return digest, fmt.Errorf("name %q: want a digest and %s", name, segmentSuffix)
	}
	return digest, nil
}

// remember writes down that these lists were read from the file, unless it
// changed meanwhile or a list cannot be opened again.
func (d *Dir) remember(of string, f *os.File, id identity, began time.Time, lists []*List) error {
	after, err := identify(f)
	if err != nil || after != id || slices.ContainsFunc(lists, func(l *List) bool { return !l.keepable() }) {
		return err
	}
	return d.write(&source{Of: of, File: id, Read: began.UnixNano()}, lists)
}

// write writes down what is known of a source of these lists.
func (d *Dir) write(s *source, lists []*List) error {
	s.Version = sourceVersion
	for _, l := range lists {
		s.Lists = append(s.Lists, segmentName(l.digest))
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if len(data) > maxSource {
		return nil // would not be read
	}
	draft, err := os.CreateTemp(d.path, "*"+draftSuffix)
	if err != nil {
		return err
	}
	_, err = draft.Write(append(data, '\n'))
	if err == nil {
		err = draft.Sync()
	}
	err = errors.Join(err, draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), d.sourceFile(s.Of))
	}
	if err != nil {
		_ = os.Remove(draft.Name())
		return fmt.Errorf("keep CRL: %w", err)
	}
	return nil
}

// wantsSource says whether all lists of a source are kept.
func (d *Dir) wantsSource(name string, kept map[string]bool) bool {
	s, err := readSource(filepath.Join(d.path, name))
	return err == nil && !slices.ContainsFunc(s.Lists, func(list string) bool { return !kept[list] })
}

// reopen returns the lists of a file from what is kept of them, or nil when the
// file has to be read.
func (d *Dir) reopen(ctx context.Context, of string, f *os.File, id identity, o Options) []*List {
	s, err := d.source(of)
	if err != nil || s.File.Size != id.Size {
		return nil
	}
	lists, err := d.openLists(s)
	if err != nil || slices.ContainsFunc(lists, func(l *List) bool { return l.size > o.MaxSize || l.entries > o.MaxEntries }) {
		return nil
	}
	if s.File == id && s.settled() {
		return lists
	}
	began := time.Now()
	if got, err := digests(ctx, f); err != nil || !slices.Equal(got, digestsOf(lists)) {
		return nil
	}
	if err := d.remember(of, f, id, began, lists); err != nil {
		return nil
	}
	return lists
}

func (d *Dir) openLists(s *source) (lists []*List, err error) {
	lists = make([]*List, len(s.Lists))
	for i, name := range s.Lists {
		if lists[i], err = d.openList(name); err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// openList opens the list that has a file of this name.
func (d *Dir) openList(name string) (*List, error) {
	entries, head, err := segment.Open(d.path, name)
	if err != nil {
		return nil, err
	}
	l, _, err := decodeHead(head)
	if err != nil {
		return nil, err
	}
	if segmentName(l.digest) != name || entries.Stats().Entries != l.entries {
		return nil, fmt.Errorf("file %s is of list %x with %d entries: it has %d", name, l.digest, l.entries, entries.Stats().Entries)
	}
	l.segment, l.file = entries, d.file(name)
	return l, nil
}

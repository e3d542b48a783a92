package truststore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/sallyport/sallyport/revocation"
)

// memoryFile is where a store's state directory keeps, for crl: auto, whose
// lists each configured file has ever held. Without it a file that loses a list
// before a restart would take the need for that list away with it.
const memoryFile = "crl-issuers.json"

// memory is a set of issuers by source, and its file.
type memory struct {
	path     string // "" keeps nothing
	readOnly bool
	sources  map[string]issuers // written under Store.mu
}

// issuers is a set of issuers; the names are for whoever reads the file.
type issuers map[revocation.NameKey]string

// memoryJSON is the file's content.
type memoryJSON struct {
	Version int                     `json:"version"`
	Sources map[string][]issuerJSON `json:"sources"`
}

type issuerJSON struct {
	Key  string `json:"key"` // revocation.NameKey in hex
	Name string `json:"name"`
}

// saving serializes the writers of one process: a reload makes a second Store
// of the same directory while the first still runs.
var saving sync.Mutex

// openMemory reads what is remembered. A directory is made with mode 0700, and
// an unreadable memory is an error: to forget is to fail open.
func openMemory(dir string, readOnly bool) (*memory, error) {
	m := &memory{readOnly: readOnly, sources: map[string]issuers{}}
	if dir == "" {
		return m, nil
	}
	m.path = filepath.Join(dir, memoryFile)
	if !readOnly {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	m.sources, err = readMemory(m.path)
	return m, err
}

func readMemory(path string) (map[string]issuers, error) {
	sources := map[string]issuers{}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sources, nil
	}
	if err != nil {
		return nil, err
	}
	var content memoryJSON
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	if content.Version != 1 {
		return nil, fmt.Errorf("parse %s: version %d, want 1", path, content.Version)
	}
	for name, list := range content.Sources {
		sources[name] = issuers{}
		for _, issuer := range list {
			key, err := parseNameKey(issuer.Key)
			if err != nil {
				return nil, fmt.Errorf("parse %s: source %q: %w", path, name, err)
			}
			sources[name][key] = issuer.Name
		}
	}
	return sources, nil
}

// remember adds the issuers that a source names. It is never undone while the
// source is configured.
func (m *memory) remember(source string, lists []*revocation.List) {
	if m.sources[source] == nil {
		m.sources[source] = issuers{}
	}
	for _, l := range lists {
		m.sources[source][l.IssuerKey()] = issuerOf(l)
	}
}

// named returns the issuers that any of these sources has ever named.
func (m *memory) named(sources []string) map[revocation.NameKey]bool {
	named := map[revocation.NameKey]bool{}
	for _, source := range sources {
		for key := range m.sources[source] {
			named[key] = true
		}
	}
	return named
}

// save writes what is remembered of these sources, and forgets all others if
// prune is set. Without it, they stay as the file has them: whether a
// configuration that leaves a source out will come into force is not known
// before Run. What the file knows beyond m is kept.
func (m *memory) save(sources []string, prune bool) error {
	if m.path == "" || m.readOnly {
		return nil
	}
	saving.Lock()
	defer saving.Unlock()
	before, err := readMemory(m.path)
	if err != nil {
		return err
	}
	after := map[string]issuers{}
	if !prune {
		maps.Copy(after, before)
	}
	for _, source := range sources {
		all := maps.Clone(m.sources[source])
		if all == nil {
			all = issuers{}
		}
		maps.Copy(all, before[source])
		after[source] = all
	}
	if maps.EqualFunc(before, after, func(a, b issuers) bool { return maps.Equal(a, b) }) {
		return nil
	}
	return writeMemory(m.path, after)
}

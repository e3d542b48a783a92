package truststore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// editionsFile is where a store's state directory keeps the newest editions that
// each configured CRL file has ever held: without it a restart would take an
// older list, and so un-revoke. To delete it is the operator's way to say that
// the older one is meant.
const editionsFile = "crl-editions.json"

// editions are by source, and their file.
type editions struct {
	path     string // "" keeps nothing
	readOnly bool
	sources  map[string][]edition
}

type editionsJSON struct {
	Version int                      `json:"version"`
	Sources map[string][]editionJSON `json:"sources"`
}

type editionJSON struct {
	Key        string    `json:"key"` // revocation.NameKey of the issuer in hex
	Name       string    `json:"name"`
	KeyID      string    `json:"key_id,omitempty"`
	Signer     string    `json:"signer,omitempty"` // SHA-256 of the signer's SubjectPublicKeyInfo in hex
	Scope      string    `json:"scope"`
	Delta      bool      `json:"delta,omitempty"`
	Number     *big.Int  `json:"number,omitempty"`
	ThisUpdate time.Time `json:"this_update"`
}

// openEditions reads what is kept in dir. A file that cannot be read is an
// error: to forget is to fail open.
func openEditions(dir string, readOnly bool) (*editions, error) {
	e := &editions{readOnly: readOnly, sources: map[string][]edition{}}
	if dir == "" {
		return e, nil
	}
	e.path = filepath.Join(dir, editionsFile)
	data, err := os.ReadFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	if e.sources, err = parseEditions(data); err != nil {
		return nil, fmt.Errorf("parse %s: %w", e.path, err)
	}
	return e, nil
}

func parseEditions(data []byte) (map[string][]edition, error) {
	var content editionsJSON
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	if content.Version != 1 {
		return nil, fmt.Errorf("version %d, want 1", content.Version)
	}
	sources := make(map[string][]edition, len(content.Sources))
	for source, list := range content.Sources {
		for _, e := range list {
			issuer, err := parseNameKey(e.Key)
			if err != nil {
				return nil, fmt.Errorf("source %q: %w", source, err)
			}
			sources[source] = append(sources[source], edition{
				issuer: issuer, name: e.Name, keyID: e.KeyID, signer: e.Signer, scope: e.Scope,
				delta: e.Delta, number: e.Number, thisUpdate: e.ThisUpdate,
			})
		}
	}
	return sources, nil
}

// save makes newest, by source, what is kept. Nothing is written that is there
// already.
func (e *editions) save(newest map[string][]edition) error {
	same := func(a, b []edition) bool { return slices.EqualFunc(a, b, edition.equal) }
	if e.path == "" || e.readOnly || maps.EqualFunc(e.sources, newest, same) {
		return nil
	}
	content := editionsJSON{Version: 1, Sources: make(map[string][]editionJSON, len(newest))}
	for source, list := range newest {
		for _, n := range list {
			content.Sources[source] = append(content.Sources[source], editionJSON{
				Key: n.issuer.String(), Name: n.name, KeyID: n.keyID, Signer: n.signer, Scope: n.scope,
				Delta: n.delta, Number: n.number, ThisUpdate: n.thisUpdate,
			})
		}
	}
	data, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		return err
	}
	if err := replaceFile(e.path, append(data, '\n')); err != nil {
		return err
	}
	e.sources = newest
	return nil
}

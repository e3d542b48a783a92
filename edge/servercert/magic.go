package servercert

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/sallyport/sallyport/edge/config"
)

// bundle is a certificate with its key as it is kept: one file, so that a
// renewal that a full disk or a power cut interrupts leaves the old certificate
// and its key together. openssl and people can read it.
type bundle struct {
	meta []byte // of certmagic, JSON
	cert []byte // PEM, the leaf first
	key  []byte // PEM

	ordered    time.Time // when it came, by this machine's clock; zero if not known
	forRevoked time.Time // when an order last took a revoked certificate's place
}

const metaBlock = "SALLYPORT CERTIFICATE METADATA"

// Headers of the metadata's block.
const (
	orderedHeader    = "Ordered"
	forRevokedHeader = "Replaced-Revoked"
)

func (b *bundle) encode() []byte {
	meta := &pem.Block{Type: metaBlock, Bytes: b.meta, Headers: map[string]string{}}
	for name, at := range map[string]time.Time{orderedHeader: b.ordered, forRevokedHeader: b.forRevoked} {
		if !at.IsZero() {
			meta.Headers[name] = at.UTC().Format(time.RFC3339)
		}
	}
	return bytes.Join([][]byte{b.cert, b.key, pem.EncodeToMemory(meta)}, nil)
}

// headerTime reads a time that encode has written; zero for any other text.
func headerTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// decodeBundle reads what encode has written.
func decodeBundle(data []byte) (*bundle, error) {
	b := &bundle{}
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		switch {
		case block.Type == metaBlock:
			b.meta = block.Bytes
			b.ordered, b.forRevoked = headerTime(block.Headers[orderedHeader]), headerTime(block.Headers[forRevokedHeader])
		case block.Type == "CERTIFICATE":
			b.cert = append(b.cert, pem.EncodeToMemory(block)...)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			b.key = pem.EncodeToMemory(block)
		}
	}
	if len(b.meta) == 0 || len(b.cert) == 0 || len(b.key) == 0 {
		return nil, errors.New("parse kept certificate: want a certificate, its key and metadata")
	}
	return b, nil
}

// issuedBy is the directory of the CA that issued it, "" if that is not known.
func (b *bundle) issuedBy() string {
	var meta struct {
		IssuerData struct {
			CA string `json:"ca"`
		} `json:"issuer_data"`
	}
	json.Unmarshal(b.meta, &meta) // of no importance
	return meta.IssuerData.CA
}

// magicStorage is what certmagic sees of the store for one name: it saves a
// certificate as three values, of which the last, the metadata, completes it.
type magicStorage struct {
	store Store
	key   string // of the bundle

	mu         sync.Mutex
	forRevoked time.Time // for the bundle
	pending    bundle
	complete   *bundle // what came, nil for nothing
	err        error   // why the store has not taken it
}

var _ certmagic.Storage = (*magicStorage)(nil)

func (s *magicStorage) load() (*bundle, error) {
	data, err := s.store.Load(s.key)
	if err != nil {
		return nil, err
	}
	return decodeBundle(data)
}

func (s *magicStorage) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch path.Ext(key) {
	case ".key":
		s.pending.key = bytes.Clone(value)
	case ".crt":
		s.pending.cert = bytes.Clone(value)
	case ".json":
		s.pending.meta = bytes.Clone(value)
		if len(s.pending.key) == 0 || len(s.pending.cert) == 0 {
			return fmt.Errorf("keep certificate: %s came before certificate and key", key)
		}
		complete := s.pending
		complete.ordered, complete.forRevoked = time.Now(), s.forRevoked
		s.pending, s.complete = bundle{}, &complete
		// A CA counts what it has issued: what the disk does not take serves from
		// memory, and certmagic is not told, since it would order again.
		s.err = s.store.Save(s.key, complete.encode())
	default:
		return fmt.Errorf("keep certificate: %s has no place", key)
	}
	return nil
}

func (s *magicStorage) Load(_ context.Context, key string) ([]byte, error) {
	b, err := s.load()
	if err != nil {
		return nil, err
	}
	switch path.Ext(key) {
	case ".key":
		return b.key, nil
	case ".crt":
		return b.cert, nil
	case ".json":
		return b.meta, nil
	}
	return nil, fmt.Errorf("load %s: %w", key, fs.ErrNotExist)
}

// Delete forgets what a save that failed had begun. What is complete is never
// taken away by a part.
func (s *magicStorage) Delete(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = bundle{}
	return nil
}

func (s *magicStorage) Exists(ctx context.Context, key string) bool {
	_, err := s.Load(ctx, key)
	return err == nil
}

func (s *magicStorage) List(context.Context, string, bool) ([]string, error) {
	return nil, errors.ErrUnsupported
}

func (s *magicStorage) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	return certmagic.KeyInfo{}, errors.ErrUnsupported
}

// Lock and Unlock do nothing: the order for a name is made under the store's lock
// already, one for all entries that have the name.
func (s *magicStorage) Lock(context.Context, string) error   { return nil }
func (s *magicStorage) Unlock(context.Context, string) error { return nil }

// keyTypes are certmagic's names.
var keyTypes = map[config.KeyType]certmagic.KeyType{
	config.KeyP256:    certmagic.P256,
	config.KeyP384:    certmagic.P384,
	config.KeyRSA2048: certmagic.RSA2048,
	config.KeyRSA4096: certmagic.RSA4096,
}

// keyOf names the type of a certificate's key as the configuration does.
func keyOf(leaf *x509.Certificate) string {
	switch key := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa-p%d", key.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", key.N.BitLen())
	}
	return strings.ToLower(leaf.PublicKeyAlgorithm.String())
}

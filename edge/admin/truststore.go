package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// MaxBundleSize is how large an uploaded CA bundle may be. A CRL is read as it
// comes in, and bounded by its trust store.
const MaxBundleSize config.Size = 16 << 20

// TrustStore is one with source api, which the API fills. Its methods may be
// called concurrently. An error leaves it as it was; a *NotFoundError says that
// there is no such version or CRL.
type TrustStore interface {
	// Put replaces the CA bundle.
	Put(ctx context.Context, bundle []byte, now time.Time) (TrustStoreVersion, error)
	// AddCRL adds an upload of CRLs under a new id, which the version has as its
	// RevocationID.
	AddCRL(ctx context.Context, data io.Reader, now time.Time) (TrustStoreVersion, error)
	// RemoveCRL takes out what was added under id.
	RemoveCRL(ctx context.Context, id int64, now time.Time) (TrustStoreVersion, error)
	// Rollback makes a new version with the content of an old one.
	Rollback(ctx context.Context, version uint64, now time.Time) (TrustStoreVersion, error)
	// History lists the versions kept, newest first: the first is in force.
	History() ([]TrustStoreVersion, error)
	// Bundle returns a version's CA bundle as it was uploaded; 0 is the version in
	// force.
	Bundle(version uint64) ([]byte, error)
	// CRL opens an upload of CRLs as it was uploaded, of size bytes.
	CRL(id int64) (data io.ReadCloser, size int64, err error)
}

// TrustStoreVersion is one state of a trust store with source api.
type TrustStoreVersion struct {
	Version      uint64          `json:"version"`
	Time         time.Time       `json:"time"`
	Action       string          `json:"action"`                   // put, crl-add, crl-remove or rollback
	RevocationID int64           `json:"revocation_id,omitempty"`  // of crl-add and crl-remove
	RolledBackTo uint64          `json:"rolled_back_to,omitempty"` // of rollback
	CABundle     TrustStoreCAs   `json:"ca_bundle"`
	CRLs         []TrustStoreCRL `json:"crls"`
	// Warnings tell, where the version was just made, what of it does not work.
	Warnings []string `json:"warnings,omitempty"`
}

// TrustStoreCAs is an uploaded CA bundle.
type TrustStoreCAs struct {
	SHA256 string `json:"sha256"` // of the bytes, in hex
	Size   int64  `json:"size"`   // bytes
	CAs    int    `json:"cas"`
}

// TrustStoreCRL is an upload of CRLs.
type TrustStoreCRL struct {
	ID      int64     `json:"id"`
	SHA256  string    `json:"sha256"` // of the bytes, in hex
	Size    int64     `json:"size"`   // bytes
	Lists   int       `json:"lists"`
	Entries int       `json:"entries"`
	Added   time.Time `json:"added"`
}

// NotFoundError is about something that does not exist.
type NotFoundError struct{ Err error }

func (e *NotFoundError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *NotFoundError) Unwrap() error { return e.Err }

// handleTrustStores adds what fills trust stores and gives back what they were
// filled with.
func (s *Server) handleTrustStores(mux *http.ServeMux) {
	mux.HandleFunc("PUT /truststores/{name}/ca-bundle", s.uploadBundle(MaxBundleSize))
	mux.HandleFunc("POST /truststores/{name}/crls", s.onTrustStore(func(store TrustStore, r *http.Request) (any, error) {
		return store.AddCRL(r.Context(), r.Body, time.Now())
	}))
	mux.HandleFunc("DELETE /truststores/{name}/crls/{id}", s.onTrustStore(func(store TrustStore, r *http.Request) (any, error) {
		id, err := number(r, "id")
		if err != nil {
			return nil, err
		}
		note(r, slog.Int64("id", id))
		return store.RemoveCRL(r.Context(), id, time.Now())
	}))
	mux.HandleFunc("POST /truststores/{name}/rollback", s.onTrustStore(func(store TrustStore, r *http.Request) (any, error) {
		version, err := number(r, "version")
		if err != nil {
			return nil, err
		}
		note(r, slog.Int64("rolled_back_to", version))
		return store.Rollback(r.Context(), uint64(version), time.Now())
	}))
	mux.HandleFunc("GET /truststores/{name}/history", s.onTrustStore(func(store TrustStore, _ *http.Request) (any, error) {
		return store.History()
	}))
	mux.HandleFunc("GET /truststores/{name}/ca-bundle", s.onTrustStore(func(store TrustStore, r *http.Request) (any, error) {
		if !r.URL.Query().Has("version") {
			return store.Bundle(0)
		}
		version, err := number(r, "version")
		if err != nil {
			return nil, err
		}
		return store.Bundle(uint64(version))
	}))
	mux.HandleFunc("GET /truststores/{name}/crls/{id}", s.onTrustStore(func(store TrustStore, r *http.Request) (any, error) {
		id, err := number(r, "id")
		if err != nil {
			return nil, err
		}
		data, size, err := store.CRL(id)
		return &download{data, size}, err
	}))
}

// badRequest is a request that makes no sense, whatever the store.
type badRequest struct{ error }

// number reads a number from 1 out of a request's path or query.
func number(r *http.Request, key string) (int64, error) {
	text := r.PathValue(key)
	if text == "" {
		text = r.URL.Query().Get(key)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, badRequest{fmt.Errorf("%s %q: want a number from 1", key, text)}
	}
	return n, nil
}

// download is an answer that is not held in memory.
type download struct {
	data io.ReadCloser
	size int64
}

func (d *download) send(w http.ResponseWriter) {
	defer d.data.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(d.size, 10))
	if _, err := io.Copy(w, d.data); err != nil {
		panic(http.ErrAbortHandler) // so that the client does not take it for whole
	}
}

// onTrustStore answers with what do returns: bytes and downloads as they are,
// anything else as JSON.
func (s *Server) onTrustStore(do func(TrustStore, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		store, ok := s.edge.TrustStore(name)
		if !ok {
			refuse(w, &NotFoundError{fmt.Errorf("no trust store has the name %q", name)})
			return
		}
		result, err := do(store, r)
		if err != nil {
			refuse(w, err)
			return
		}
		noteMade(r, result)
		switch result := result.(type) {
		case []byte:
			(&download{io.NopCloser(bytes.NewReader(result)), int64(len(result))}).send(w)
		case *download:
			result.send(w)
		default:
			answer(w, result)
		}
	}
}

// uploadBundle hands a request's body, of at most that many bytes, to a store.
// The store is looked up only once the body is there: a reload meanwhile may have
// put another in its place.
func (s *Server) uploadBundle(most config.Size) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			http.Error(w, fmt.Sprintf("the upload has more than %v", most), http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, fmt.Sprintf("read upload: %v", err), http.StatusBadRequest)
			return
		}
		s.onTrustStore(func(store TrustStore, r *http.Request) (any, error) { return store.Put(r.Context(), data, time.Now()) })(w, r)
	}
}

// refuse tells an error: 400 for a request without sense, 404 for what does not
// exist, 503 for what another process is to be asked, 422 for what was refused or could not be done.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusUnprocessableEntity
	var bad badRequest
	var notFound *NotFoundError
	var moved *MovedError
	switch {
	case errors.As(err, &moved):
		status = http.StatusServiceUnavailable
	case errors.As(err, &bad):
		status = http.StatusBadRequest
	case errors.As(err, &notFound):
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

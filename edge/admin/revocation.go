package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Revoker revokes certificates of one trust store by hand, above all CRLs. Its
// methods may be called concurrently.
type Revoker interface {
	// Revoke puts a revocation in force, and returns it as a JSON object. An error
	// may come with an object: then it is in force, but not saved.
	Revoke(ctx context.Context, what RevokeRequest, now time.Time) (json.RawMessage, error)
	// Unrevoke undoes the revocation of that id.
	Unrevoke(ctx context.Context, id, why string, now time.Time) error
	// Revocations lists those in force and those undone, in the order made.
	Revocations() []json.RawMessage
}

// RevokeRequest names a certificate: by itself, or by serial number and issuer.
type RevokeRequest struct {
	Certificate string `json:"certificate,omitempty"` // PEM
	Serial      string `json:"serial,omitempty"`      // hex
	Issuer      string `json:"issuer,omitempty"`      // PEM, of the CA
	Why         string `json:"why,omitempty"`
}

// maxRevokeRequest bounds a request's body, in bytes.
const maxRevokeRequest = 1 << 20

// handleRevocations adds what revokes by hand.
func (s *Server) handleRevocations(mux *http.ServeMux) {
	mux.HandleFunc("GET /truststores/{name}/revocations", s.onRevoker(func(store Revoker, _ *http.Request) (any, error) {
		return store.Revocations(), nil
	}))
	mux.HandleFunc("POST /truststores/{name}/revocations", s.onRevoker(func(store Revoker, r *http.Request) (any, error) {
		var what RevokeRequest
		decoder := json.NewDecoder(io.LimitReader(r.Body, maxRevokeRequest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&what); err != nil {
			return nil, badRequest{fmt.Errorf("decode request: %w", err)}
		}
		note(r, slog.String("why", what.Why))
		made, err := store.Revoke(r.Context(), what, time.Now())
		noteMade(r, made)
		return made, err
	}))
	mux.HandleFunc("DELETE /truststores/{name}/revocations/{id}", s.onRevoker(func(store Revoker, r *http.Request) (any, error) {
		why := r.URL.Query().Get("why")
		note(r, slog.String("id", r.PathValue("id")), slog.String("why", why))
		if why == "" {
			return nil, badRequest{errors.New("undo a revocation: want why")}
		}
		return struct{}{}, store.Unrevoke(r.Context(), r.PathValue("id"), why, time.Now())
	}))
}

func (s *Server) onRevoker(do func(Revoker, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		store, ok := s.edge.Revoker(r.PathValue("name"))
		if !ok {
			refuse(w, &NotFoundError{fmt.Errorf("no trust store has the name %q", r.PathValue("name"))})
			return
		}
		result, err := do(store, r)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, result)
	}
}

package admin

import (
	"context"
	"fmt"
	"net/http"
)

// Renewer is an entry of certificates. Its methods may be called concurrently.
type Renewer interface {
	// Renew has all certificates of the entry renewed now, and waits for them until
	// ctx is done. The old ones stay until there are new ones.
	Renew(ctx context.Context) error
}

// handleCertificates adds the listing of certificates and their renewal by hand.
func (s *Server) handleCertificates(mux *http.ServeMux) {
	mux.HandleFunc("GET /certificates", func(w http.ResponseWriter, r *http.Request) { answer(w, s.edge.Certificates("")) })
	mux.HandleFunc("POST /certificates/{name}/renew", s.untilShutdown(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		entry, ok := s.edge.Renewer(name)
		if !ok {
			refuse(w, &NotFoundError{fmt.Errorf("no certificate has the name %q", name)})
			return
		}
		if err := entry.Renew(r.Context()); err != nil {
			refuse(w, err)
			return
		}
		answer(w, s.edge.Certificates(name))
	}))
}

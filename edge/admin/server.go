// Package admin is the way to speak to a running edge: JSON over HTTP on a unix
// socket that only its owner can open. It can do everything, so nothing of it is
// ever served elsewhere.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Edge is what the API speaks for. Its methods may be called concurrently.
type Edge interface {
	// Status says whether the edge is ready and what it runs.
	Status() Status
	// Connections lists the open connections, oldest first.
	Connections() []Connection
	// Failures returns the last n refused connections that q asks for, newest
	// first, as JSON objects of the connection log with advice.
	Failures(q FailureQuery, n int) []json.RawMessage
	// FollowFailures sends those that q asks for as they happen, until ctx is
	// done; then it closes the channel.
	FollowFailures(ctx context.Context, q FailureQuery) <-chan FailureEvent
	// TrustStores describes the trust stores, as JSON objects.
	TrustStores() []json.RawMessage
	// Plugins describes the plugins in force, as JSON objects.
	Plugins() []json.RawMessage
	// TrustStore finds one by its name.
	TrustStore(name string) (TrustStore, bool)
	// Revoker finds one by its name, to revoke certificates of by hand.
	Revoker(name string) (Revoker, bool)
	// Certificates describes those that clients are shown, host by host, as JSON
	// objects; of one entry, if name is not empty.
	Certificates(name string) []json.RawMessage
	// Renewer finds an entry of certificates by its name.
	Renewer(name string) (Renewer, bool)
	// Bans are those of clients' addresses.
	Bans() Bans
	// Reload reads the configuration again; the error says why it was refused.
	Reload() error
	// Drain makes the edge finish its connections and end; the error says that it
	// is not this process any more.
	Drain() error
	// Upgrade hands over to a new process; an error leaves the edge as it was.
	Upgrade(context.Context, UpgradeRequest) (Upgraded, error)
}

// Server serves the API.
type Server struct {
	edge   Edge
	socket string
	page   http.Handler
	log    *slog.Logger
	ending chan struct{} // closed when answers that have no end must come to one
}

// New returns a server of edge's API on the unix socket of that name. page, which
// may be nil, is served at / and under /page/, for a browser that comes by a
// forwarded port. Every change that is asked for gets a record in log, with the
// message AuditMessage.
func New(socket string, edge Edge, page http.Handler, log *slog.Logger) *Server {
	return &Server{edge: edge, socket: socket, page: page, log: log, ending: make(chan struct{})}
}

// Listen makes the socket: its directory with mode 0700 where it is missing, the
// socket with 0600. A socket that a dead process left is replaced; one that
// answers is an error.
func (s *Server) Listen() (net.Listener, error) {
	dir := filepath.Dir(s.socket)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of admin socket: %w", err)
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("look at directory of admin socket: %w", err)
	} else if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("open admin socket %s: directory %s has mode %#o: want 0700, so that nobody else can reach the socket",
			s.socket, dir, info.Mode().Perm())
	}
	if conn, err := net.DialTimeout("unix", s.socket, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("open admin socket %s: another edge answers on it", s.socket)
	} else if info, statErr := os.Lstat(s.socket); statErr == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("open admin socket %s: it is there and no socket: want a name that is free", s.socket)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		if err := os.Remove(s.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove dead admin socket: %w", err)
		}
	}
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	if err := os.Chmod(s.socket, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("protect admin socket: %w", err)
	}
	return listener, nil
}

// answerTime is how long calls under way may take when the edge ends: the one
// that drained it is among them.
const answerTime = 2 * time.Second

// Serve answers on listener until ctx is done and calls under way have had their
// answer.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           noteRequest(sameSite(readWhole(s.audited(s.handler())))),
		ReadHeaderTimeout: 10 * time.Second,
		ConnContext:       withConn,
	}
	server.RegisterOnShutdown(sync.OnceFunc(func() { close(s.ending) }))
	ended := make(chan struct{})
	counted := &countedListener{Listener: listener}
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		listener.Close()
		counted.settle(answerTime / 2)
		patience, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		if server.Shutdown(patience) != nil {
			server.Close()
		}
	})
	if err := server.Serve(counted); ctx.Err() == nil && !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve admin socket: %w", err)
	}
	<-ended
	return nil
}

// readWhole reads what a handler left of a request's body before the answer
// goes out. An answer that comes while the client still writes ends in a broken
// pipe there, which hides what the edge had to say.
func readWhole(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		handler.ServeHTTP(w, r)
		io.Copy(io.Discard, body) // the client is gone if this fails
	})
}

// sameSite refuses what a page of another site has a browser ask for, under a
// name of its own that leads here too: a socket that somebody has forwarded to a
// port of theirs is within reach of every page they visit.
func sameSite(handler http.Handler) http.Handler {
	handler = http.NewCrossOriginProtection().Handler(handler)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if host, _, err := net.SplitHostPort(name); err == nil {
			name = host
		}
		_, err := netip.ParseAddr(strings.Trim(name, "[]"))
		if err != nil && !strings.EqualFold(name, "localhost") && name != clientHost {
			http.Error(w, fmt.Sprintf("host %q: want localhost, %s or an IP address", r.Host, clientHost), http.StatusMisdirectedRequest)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// untilShutdown serves what has no end by itself.
func (s *Server) untilShutdown(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			select {
			case <-s.ending:
				cancel()
			case <-ctx.Done():
			}
		}()
		handler(w, r.WithContext(ctx))
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { answer(w, s.edge.Status()) })
	mux.HandleFunc("GET /connections", func(w http.ResponseWriter, r *http.Request) { answer(w, s.edge.Connections()) })
	mux.HandleFunc("GET /truststores", func(w http.ResponseWriter, r *http.Request) { answer(w, s.edge.TrustStores()) })
	mux.HandleFunc("GET /plugins", func(w http.ResponseWriter, r *http.Request) { answer(w, s.edge.Plugins()) })
	s.handleFailures(mux)
	if s.page != nil {
		mux.HandleFunc("GET /{$}", s.page.ServeHTTP)
		mux.HandleFunc("/page/", s.untilShutdown(s.page.ServeHTTP))
	}
	s.handleTrustStores(mux)
	s.handleRevocations(mux)
	s.handleBans(mux)
	s.handleCertificates(mux)
	s.handleUpgrade(mux)
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		if err := s.edge.Reload(); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		answer(w, struct{}{})
	})
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, r *http.Request) {
		if err := s.edge.Drain(); err != nil {
			refuse(w, err)
			return
		}
		answer(w, struct{}{})
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.Encode(v) // the client is gone if this fails
}

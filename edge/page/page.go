// Package page is the edge's status page: one embedded HTML page that follows
// what happens by server-sent events. It needs no network but the edge's, and no
// script but its own.
//
// Whoever can reach the handler may see everything on the page and end bans, so
// it is to be served on the admin socket, or behind client certificates of
// operators.
package page

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Edge is what the page shows. Its methods may be called concurrently.
type Edge interface {
	// Snapshot returns how the edge is now.
	Snapshot() Snapshot
	// Unban ends the bans of a network and of all within it, and returns how many
	// there were. What Wide says is wide is refused unless force is set.
	Unban(ctx context.Context, prefix netip.Prefix, force bool) (int, error)
	// Wide says whether a network is so large that to end all bans within it is
	// hardly meant.
	Wide(netip.Prefix) bool
}

// interval is how often an open page is told what has changed.
const interval = 2 * time.Second

//go:embed assets
var embedded embed.FS

// Page is the handler's parts.
type Page struct {
	edge Edge
	log  *slog.Logger
	html *template.Template
	now  func() time.Time

	mu       sync.Mutex // held while a snapshot is taken, so that it is taken once
	snapshot Snapshot
	taken    time.Time
}

// New returns the page of an edge. Now is the clock that ages are told by.
func New(edge Edge, log *slog.Logger, now func() time.Time) *Page {
	p := &Page{edge: edge, log: log, now: now}
	p.html = template.Must(template.New("page").Funcs(template.FuncMap{
		"ago":   func(t time.Time) string { return ago(p.now().Sub(t)) },
		"left":  func(t time.Time) string { return left(t.Sub(p.now())) },
		"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"soon":  func(t time.Time) string { return urgency(t.Sub(p.now())) },
		"fresh": func(from, to time.Time) string { return freshness(from, to, p.now()) },
		"sound": sound,
		"wide":  edge.Wide,
		"join":  strings.Join,
	}).ParseFS(embedded, "assets/*.html"))
	return p
}

// Access is what visitors may do. The zero Access lets them look, under localhost
// and IP addresses.
type Access struct {
	// Actions lets them end bans.
	Actions bool
	// Host says whether browsers may ask under this host name; no other than
	// localhost and IP addresses if nil.
	Host func(name string) bool
}

// Handler serves GET / and everything under /page/. A page of another site that has
// the visitor's browser ask for it, also by a name of its own that leads here, gets
// nothing.
func (p *Page) Handler(a Access) http.Handler {
	assets, err := fs.Sub(embedded, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { p.serve(w, a) })
	mux.HandleFunc("GET /page/stream", func(w http.ResponseWriter, r *http.Request) { p.stream(w, r, a) })
	if a.Actions {
		mux.HandleFunc("POST /page/unban", p.unban)
	}
	for _, name := range []string{"page.js", "page.css", "uplot.js", "uplot.css"} {
		mux.HandleFunc("GET /page/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, assets, name)
		})
	}
	sameOrigin := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.namesUs(r.Host) {
			http.Error(w, fmt.Sprintf("host %q: want localhost or an IP address", r.Host), http.StatusMisdirectedRequest)
			return
		}
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "+
			"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		sameOrigin.ServeHTTP(w, r)
	})
}

// namesUs says whether a Host header could have been written by the operator.
func (a Access) namesUs(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return true
	}
	return host != "" && a.Host != nil && a.Host(host)
}

// shown is a snapshot as a visitor sees it.
type shown struct {
	Snapshot
	Actions bool
}

// fresh is how old a snapshot may be that several visitors share.
const fresh = interval / 2

func (p *Page) look() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.taken) > fresh {
		p.snapshot, p.taken = p.edge.Snapshot(), now
	}
	return p.snapshot
}

// sections are the templates that an open page is sent anew.
var sections = []string{"state", "failing", "bans", "truststores", "certificates", "plugins", "targets"}

func (p *Page) serve(w http.ResponseWriter, a Access) {
	var out bytes.Buffer
	if err := p.html.ExecuteTemplate(&out, "page.html", shown{p.look(), a.Actions}); err != nil {
		p.log.Error("status page not rendered", "error", err)
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	out.WriteTo(w)
}

// update is what one event carries.
type update struct {
	Sections map[string]string `json:"sections"` // HTML by id; those that changed
	History  History           `json:"history"`
}

// stream sends what has changed until the browser goes away.
func (p *Page) stream(w http.ResponseWriter, r *http.Request, a Access) {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	sent := map[string]string{}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		event, err := p.update(sent, a)
		if err != nil {
			p.log.Error("status page not rendered", "error", err)
			return
		}
		// A browser that does not read must not keep this here for ever.
		if err := control.SetWriteDeadline(time.Now().Add(5 * interval)); err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", event); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// update renders the sections and returns those that are not as in sent.
func (p *Page) update(sent map[string]string, a Access) ([]byte, error) {
	snapshot := shown{p.look(), a.Actions}
	u := update{Sections: map[string]string{}, History: snapshot.History}
	for _, name := range sections {
		var out bytes.Buffer
		if err := p.html.ExecuteTemplate(&out, name, snapshot); err != nil {
			return nil, err
		}
		if text := out.String(); text != sent[name] {
			u.Sections[name], sent[name] = text, text
		}
	}
	return json.Marshal(u)
}

func (p *Page) unban(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
	text := r.PostFormValue("prefix")
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		http.Error(w, fmt.Sprintf("prefix %q: want ADDRESS/BITS", text), http.StatusBadRequest)
		return
	}
	n, err := p.edge.Unban(r.Context(), prefix, r.PostFormValue("force") != "")
	p.noteUnban(r.Context(), prefix, n, err)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	p.mu.Lock()
	p.taken = time.Time{}
	p.mu.Unlock()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/sallyport/sallyport/loadtest/pki"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page.html").Parse(pageHTML))

// page is the web page that hands out client certificates. It speaks plain HTTP
// and only to who calls it by its own address: a name that somebody else's DNS
// points here (DNS rebinding) is refused, and so is a request that another
// page's script sends.
type page struct {
	demo    *demo
	address string
	hosts   map[string]bool
	issued  atomic.Int64
}

func newPage(d *demo, address string) *page {
	p := &page{demo: d, address: address, hosts: map[string]bool{address: true}}
	_, port, _ := net.SplitHostPort(address)
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		p.hosts[host+":"+port] = true
	}
	return p
}

func (p *page) serve(ctx context.Context, l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show)
	mux.HandleFunc("POST /certificate", p.issue)
	mux.HandleFunc("GET /received", p.received)
	mux.HandleFunc("GET /server-ca.pem", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		w.Write(p.demo.pki.serverCA.CertPEM())
	})
	serveHTTP(ctx, l, p.guard(mux))
}

func (p *page) guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.hosts[r.Host] {
			http.Error(w, fmt.Sprintf("Host %q: this page answers to its own address only", r.Host), http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		sameOrigin.Handler(next).ServeHTTP(w, r)
	})
}

func (p *page) show(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	pageTemplate.Execute(w, struct{ Dir, VerifyPort, PassthroughPort string }{
		p.demo.dir, portOf(p.demo.verify), portOf(p.demo.passthrough),
	})
}

// credential is what the page hands out.
type credential struct {
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key"`
	Subject     string `json:"subject"`
}

// issue makes a key and a client certificate. The key is nowhere kept.
func (p *page) issue(w http.ResponseWriter, r *http.Request) {
	name := "demo client " + strconv.FormatInt(p.issued.Add(1), 10)
	leaf, err := p.demo.pki.ca.Issue(pki.CommonName(name))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	key, err := leaf.KeyPEM()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(credential{string(leaf.ChainPEM()), string(key), "CN=" + name})
}

// received tells the page what the target has received since it last asked.
func (p *page) received(w http.ResponseWriter, r *http.Request) {
	since, err := strconv.Atoi(r.FormValue("since"))
	if err != nil {
		http.Error(w, fmt.Sprintf("since=%q: want a number", r.FormValue("since")), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(p.demo.echo.since(since))
}

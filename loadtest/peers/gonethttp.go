package peers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// goNetHTTP is what a Go programmer would write with the standard library alone:
// crypto/tls verifies the chain at every handshake, a map holds the CRLs,
// ReverseProxy passes requests on and sets the identity headers of each. It runs
// in a process of the calling program; see Child.
var goNetHTTP = &kind{
	name: "Go net/http",
	find: func(context.Context, *Options) (program, error) {
		self, err := os.Executable()
		return program{binary: self, version: runtime.Version()}, err
	},
	file: "edge.json",
	log:  "access.log",
	args: func(binary string, _ site, config string) []string {
		return []string{binary, asChild, childEdge, config}
	},
	config: configuration(`{
  "address": "{{.Address}}",
  "target": "http://{{.Target}}",
  "access_log": "{{.Dir}}/access.log",
  "client_ca": "{{.PKI}}/` + rootFile + `",
  "crls": "{{.PKI}}/` + allCRLsFile + `",
  "certificate": "{{.PKI}}/` + serverCertFile + `",
  "key": "{{.PKI}}/` + serverKeyFile + `"
}
`),
}

// runEdge serves as the configuration in file says, until there is an error.
func runEdge(file string) error {
	var c struct {
		Address     string `json:"address"`
		Target      string `json:"target"`
		AccessLog   string `json:"access_log"`
		ClientCA    string `json:"client_ca"`
		CRLs        string `json:"crls"`
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("parse %s: %w", filepath.Base(file), err)
	}
	roots, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return fmt.Errorf("no certificate in %s", c.ClientCA)
	}
	revoked, err := readCRLs(c.CRLs)
	if err != nil {
		return err
	}
	target, err := url.Parse(c.Target)
	if err != nil {
		return err
	}
	access, err := os.OpenFile(c.AccessLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer access.Close()
	server := &http.Server{
		Addr:              c.Address,
		Handler:           reverseProxy(target, log.New(access, "", log.LstdFlags|log.Lmicroseconds|log.LUTC)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
		ErrorLog:          log.New(access, "", log.LstdFlags|log.Lmicroseconds|log.LUTC), // refused handshakes
		TLSConfig: &tls.Config{
			CurvePreferences: []tls.CurveID{tls.X25519},
			ClientAuth:       tls.RequireAndVerifyClientCert,
			ClientCAs:        pool,
			VerifyConnection: func(s tls.ConnectionState) error { return revoked.check(s.VerifiedChains) },
		},
	}
	return server.ListenAndServeTLS(c.Certificate, c.Key)
}

func reverseProxy(target *url.URL, access *log.Logger) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// The default of 2 would make it open a connection for most requests.
	transport.MaxIdleConnsPerHost = 256
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			setIdentity(r.Out.Header, r.In.TLS.PeerCertificates[0])
		},
		ModifyResponse: func(r *http.Response) error {
			access.Printf("%s %s %d %d", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.ContentLength)
			return nil
		},
	}
}

func setIdentity(h http.Header, leaf *x509.Certificate) {
	h.Set(identityName("Serial-Number"), leaf.SerialNumber.Text(16))
	h.Set(identityName("Issuer"), leaf.Issuer.String())
	h.Set(identityName("Subject"), leaf.Subject.String())
	h.Set(identityName("Validity"), "NotBefore="+leaf.NotBefore.Format(time.RFC3339)+";NotAfter="+leaf.NotAfter.Format(time.RFC3339))
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	h.Set(identityName("Leaf"), url.PathEscape(string(encoded)))
}

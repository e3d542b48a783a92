package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/loadtest/pki"
)

var two = big.NewInt(2)

// noAddr stands for every client.
var noAddr netip.AddrPort

// patience is how long a test waits for what should happen at once.
const patience = 25 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a running edge in a directory of its own, with an echo target behind
// it and a PKI around it.
type rig struct {
	t        *testing.T
	dir      string
	ca       *pki.CA
	serverCA *pki.CA
	target   *httptest.Server
	server   *Server
	ended    chan error
	log      slog.Handler // the edge's; nil for none
}

// newRig writes the PKI and starts the target. The directory has ca.pem,
// server.crt and server.key for localhost.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), ca: pki.Must(pki.NewRoot()), serverCA: pki.Must(pki.NewRoot())}
	r.write("ca.pem", r.ca.CertPEM())
	server := pki.Must(r.serverCA.Issue(pki.Server("localhost", "127.0.0.1")))
	if err := server.WriteFiles(r.dir, "server"); err != nil {
		t.Fatal(err)
	}
	r.target = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		req.Header.Write(w)
	}))
	t.Cleanup(r.target.Close)
	return r
}

func (r *rig) write(name string, data []byte) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// verifying is a configuration with the trust store clients and one listener,
// verify, that lets only its clients in; lines are more of the listener's keys.
func verifying(lines ...string) string {
	return "trust_stores: {clients: {ca_bundle: {file: ca.pem}}}\n" + verifyListener + indented(lines)
}

func indented(lines []string) (text string) {
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return text
}

// configure writes the configuration: these sections, in which $TARGET is the
// target's address, beside those that every test has.
func (r *rig) configure(sections string) {
	r.t.Helper()
	text := `
state_dir: state
admin: {socket: run/admin.sock}
logs: {connection: {file: connection.log, format: json}}
certificates: [{name: localhost, file: {cert: server.crt, key: server.key}}]
target_groups: {app: {targets: ["$TARGET"], timeouts: {connect: 60s}}}
` + sections
	r.write("sallyport.yaml", []byte(strings.ReplaceAll(text, "$TARGET", r.target.URL)))
}

// start configures the edge and runs it.
func (r *rig) start(sections string) {
	r.t.Helper()
	r.configure(sections)
	r.run()
}

// run runs the edge as it is configured.
func (r *rig) run() {
	r.t.Helper()
	load := func() (*config.Config, config.Problems) { return config.Load(filepath.Join(r.dir, "sallyport.yaml")) }
	cfg, problems := load()
	if err := problems.Err(); err != nil {
		r.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if r.log != nil {
		log = slog.New(r.log)
	}
	server, problems := New(cfg, Options{Log: log, Load: load})
	if err := problems.Err(); err != nil {
		r.t.Fatal(err)
	}
	r.server, r.ended = server, make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- server.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-r.ended; err != nil {
			r.t.Errorf("edge ended: %v", err)
		}
	})
	r.await("ready", func() bool { return server.ready.Load() })
}

// await waits until a condition holds.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	for over := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(over) {
			r.t.Fatalf("not %s within %s", what, patience)
		}
	}
}

// address is where a listener listens.
func (r *rig) address(listener string) string {
	r.t.Helper()
	for _, l := range (adminView{r.server}).Status().Listeners {
		if l.Name == listener {
			return l.Address
		}
	}
	r.t.Fatalf("no listener %q", listener)
	return ""
}

// client is a TLS configuration that trusts the edge and shows cert.
func (r *rig) client(cert *tls.Certificate) *tls.Config {
	conf := &tls.Config{RootCAs: r.serverCA.Pool(), ServerName: "localhost"}
	if cert != nil {
		conf.GetClientCertificate = pki.PresentAlways(*cert)
	}
	return conf
}

// try makes one request on a connection of its own. It returns the connection's
// record and the response's body, "" if there was none.
func (r *rig) try(listener string, conf *tls.Config) (connlog.Record, string) {
	r.t.Helper()
	begun := time.Now()
	raw, err := net.DialTimeout("tcp", r.address(listener), patience)
	if err != nil {
		r.t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(patience))
	conn := tls.Client(raw, conf)
	var body string
	if err := conn.Handshake(); err == nil {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			text, _ := io.ReadAll(response.Body)
			body = string(text)
		}
	}
	raw.Close()
	return r.recordOf(raw.LocalAddr(), begun), body
}

// recordOf waits for the one record of the connection from local that was begun
// then: the kernel gives the port of one that is over to another.
func (r *rig) recordOf(local net.Addr, begun time.Time) connlog.Record {
	r.t.Helper()
	from := netip.MustParseAddrPort(local.String())
	var record connlog.Record
	r.await("logged", func() bool {
		list := slices.DeleteFunc(r.records(from), func(of connlog.Record) bool {
			return of.Time.Before(begun.Truncate(time.Microsecond)) // the log's precision
		})
		if len(list) > 1 {
			r.t.Fatalf("%d records of the connection from %s", len(list), from)
		}
		if len(list) == 1 {
			record = list[0]
		}
		return len(list) == 1
	})
	return record
}

// records returns the connection log's records, of one client or of all.
func (r *rig) records(from netip.AddrPort) []connlog.Record {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, "connection.log"))
	if err != nil {
		r.t.Fatal(err)
	}
	var list []connlog.Record
	for line := range strings.Lines(string(data)) {
		if !strings.HasSuffix(line, "\n") || strings.Contains(line, `"event":"end"`) {
			continue
		}
		var record connlog.Record
		if err := record.UnmarshalJSON([]byte(line)); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		if !from.IsValid() || record.Client == from {
			list = append(list, record)
		}
	}
	return list
}

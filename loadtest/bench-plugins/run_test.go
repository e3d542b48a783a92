package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// buildSallyport builds the edge, which is a few seconds' work once a day.
func buildSallyport(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sallyport")
	build := exec.Command("go", "build", "-o", path, "github.com/sallyport/sallyport/cmd/sallyport")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build Sallyport: %v\n%s", err, out)
	}
	return path
}

// Every side starts, decides as the rule says, and is measured: the whole program
// but for the length of windows.
func TestMeasureAll(t *testing.T) {
	o := options{
		sallyport: buildSallyport(t), examples: "../../plugins/examples",
		rounds: 1, connections: 4, warmUp: 10 * time.Millisecond, length: time.Second,
	}
	r, err := measureAll(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.sides {
		v := r.sheet.values[s.name]
		if len(v) != 1 || v[0].each <= 0 || v[0].rate <= 0 || v[0].busy <= 0 || v[0].load <= 0 {
			t.Errorf("%s: %+v: want one value, and nothing of it 0", s.name, v)
		}
	}
	ours := slices.DeleteFunc(slices.Clone(r.sides), func(s *side) bool { return s.row == "" })
	if rows := r.sheet.rows(r.sides); len(rows) < len(ours) || len(ours) < 3 {
		t.Errorf("rows %v of sides %v", rows, ours)
	}
	if len(r.notes) > 0 {
		lack(t, strings.Join(r.notes, " "))
	}
}

func TestChoose(t *testing.T) {
	b := &bench{options: options{only: "SPOE$"}}
	all := []*side{{name: plainHAProxy}, {name: "HAProxy SPOE", base: plainHAProxy}, {name: plainNginx}}
	chosen, notes, err := b.choose(all)
	if err != nil || len(notes) > 0 || len(chosen) != 2 || chosen[0] != all[0] || chosen[1] != all[1] {
		t.Errorf("%v, %v, %v: want HAProxy with and without", chosen, notes, err)
	}
	all[0].missing = func(*bench) string { return "HAProxy is not installed" }
	b.only = plainHAProxy
	if _, _, err = b.choose(all); err == nil || !strings.Contains(err.Error(), "HAProxy is not installed") {
		t.Errorf("%v: want it said that nothing is left, and why", err)
	}
	b.only = "("
	if _, _, err = b.choose(all); err == nil {
		t.Error("no error for an expression that is none")
	}
}

// A side that does not decide as it should is not measured.
func TestProveRefuses(t *testing.T) {
	b := &bench{options: options{rounds: 1, connections: 1, warmUp: time.Millisecond, length: time.Second}}
	stop, err := b.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	lax := &side{name: "lax", base: plainStandIn, command: standInCommand(nobody)}
	if _, err := b.measure(t.Context(), lax); err == nil || !strings.Contains(err.Error(), "target was told") {
		t.Errorf("an edge that lets everybody in: %v", err)
	}
	strict := &side{name: "strict", command: standInCommand(deciderGo)}
	if _, err := b.measure(t.Context(), strict); err == nil || !strings.Contains(err.Error(), "status 403, want 200") {
		t.Errorf("an edge that refuses while nobody should: %v", err)
	}
	unchecked := &side{name: "unchecked", command: standInCommand(nobody), check: func(context.Context, *bench, site, int64) error { return io.ErrNoProgress }}
	if _, err := b.measure(t.Context(), unchecked); err == nil || !strings.Contains(err.Error(), io.ErrNoProgress.Error()) {
		t.Errorf("a check that fails: %v", err)
	}
	dead := &side{name: "dead", command: func(*bench, site) ([]string, error) { return []string{"/bin/false"}, nil }}
	if _, err := b.measure(t.Context(), dead); err == nil || !strings.Contains(err.Error(), "ended before it answered") {
		t.Errorf("a server that ends: %v", err)
	}
	if left, err := os.ReadDir(b.dir); err != nil || len(left) != 2 { // the PKI and the target
		t.Errorf("left are %v, %v: want nothing of servers", left, err)
	}
}

func TestCheck(t *testing.T) {
	well := func() *loadtest.Result {
		return &loadtest.Result{Units: loadtest.Units{Done: 10}, Server: &loadtest.Usage{User: 1}}
	}
	if err := check(well()); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*loadtest.Result){
		"not accounted": func(r *loadtest.Result) { r.Server = nil },
		"failed":        func(r *loadtest.Result) { r.Units.Failed = 1 },
		"refused":       func(r *loadtest.Result) { r.Units.Refused = 1 },
		"nothing done":  func(r *loadtest.Result) { r.Units.Done = 0 },
		"no time":       func(r *loadtest.Result) { r.Server.User = 0 },
	} {
		r := well()
		if spoil(r); check(r) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseCounts(t *testing.T) {
	const plugin = `{"name":"policy","stats":{"request":{"calls":12,"cached":3,"mean_seconds":0.1}}}`
	if got, err := parseCounts([]byte("[" + plugin + "]")); err != nil || got != (counts{Calls: 12, Cached: 3}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "[]", "[" + plugin + "," + plugin + "]"} {
		if _, err := parseCounts([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestTarget(t *testing.T) {
	ours, theirs := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- answerAll(theirs) }()
	reader := bufio.NewReader(ours)
	for _, tt := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET / HTTP/1.1\r\nX-Unit: a\r\n\r\n", 200, plainBody},
		{"GET /unit HTTP/1.1\r\nHost: b\r\nx-unit:  a b \r\nX-Units: c\r\n\r\n", 200, "a b"},
		{"GET /unit HTTP/1.1\r\nX-Unit: a\r\nX-Unit: b\r\n\r\n", 200, "a,b"},
		{"GET /unit HTTP/1.1\r\n\r\n", 200, ""},
		{"GET /other HTTP/1.1\r\n\r\n", 404, ""},
	} {
		if _, err := io.WriteString(ours, tt.request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if response.StatusCode != tt.status || string(body) != tt.body || err != nil {
			t.Errorf("%q: %d %q, %v, want %d %q", tt.request, response.StatusCode, body, err, tt.status, tt.body)
		}
	}
	ours.Close()
	if err := <-ended; err == nil {
		t.Error("the target has not noticed the end")
	}
}

// Neither is one that tells the target as it should, and admits everybody.
func TestProveRefusesWhoAdmitsAll(t *testing.T) {
	b := &bench{pki: pkiFiles{t.TempDir()}}
	var err error
	if b.clients, err = b.pki.write(); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(b.pki.path(serverCertFile), b.pki.path(serverKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, allowedUnit) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	r := &running{site: site{Address: server.Listener.Addr().String()}}
	if err := b.prove(t.Context(), &side{base: plainStandIn}, r); err == nil || !strings.Contains(err.Error(), "other client: status 200, want 403") {
		t.Errorf("%v, want it said that the other client is admitted", err)
	}
	if err := b.prove(t.Context(), &side{}, r); err != nil {
		t.Errorf("a server that is not to decide: %v", err)
	}
}

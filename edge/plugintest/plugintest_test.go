package plugintest

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process is a plugin in this process, at the other end of a real socket.
type process struct {
	conn *net.UnixConn
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func (p *process) Conn() *net.UnixConn             { return p.conn }
func (p *process) Done() <-chan struct{}           { return p.done }
func (p *process) Err() error                      { return p.err }
func (p *process) Pid() int                        { return 0 }
func (p *process) Report() []pluginhost.Protection { return nil }
func (p *process) Kill()                           { p.stop(); <-p.done }

// program starts plugins by a function instead of a command.
func program(plugin sdk.Plugin) *Program {
	return &Program{Command: []string{"/in/this/process"}, Start: func(context.Context, pluginhost.Spec) (pluginhost.Process, error) {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		var ends [2]net.Conn
		for i, fd := range fds {
			file := os.NewFile(uintptr(fd), "pair")
			ends[i], err = net.FileConn(file)
			file.Close()
			if err != nil {
				return nil, err
			}
		}
		ctx, stop := context.WithCancel(context.Background())
		p := &process{conn: ends[0].(*net.UnixConn), stop: stop, done: make(chan struct{})}
		go func() {
			defer close(p.done)
			p.err = errors.Join(errors.New("ended"), sdk.ServeConn(ctx, ends[1], plugin))
		}()
		return p, nil
	}}
}

// teller allows, and says what it was told.
type teller struct {
	mu     sync.Mutex
	fail   bool
	calls  int
	fickle bool
}

func (*teller) Manifest() sdk.Manifest {
	return sdk.Manifest{Name: "teller", Version: "2", Owns: []string{"X-A"}, Needs: []sdk.Field{
		sdk.CertCommonName, sdk.CertURIs, sdk.CertIPs, sdk.CertSerial, sdk.ClientIP, sdk.Listener, sdk.Method, sdk.Path, sdk.Query, sdk.Scheme, sdk.HTTPVersion, sdk.Header("x-in"),
	}}
}

func (p *teller) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.fail {
		return sdk.Allow().SetHeader("Content-Length", "5") // which nobody may
	}
	if p.fickle && p.calls%2 == 0 {
		return sdk.Deny(403, "changed my mind")
	}
	var ips []string
	for _, a := range r.Peer().IPs() {
		ips = append(ips, a.String())
	}
	return sdk.Allow().
		SetHeader("X-A", strings.Join([]string{r.Method(), r.Scheme(), r.Path(), r.Query(), r.Version(), r.ClientIP().String(), r.Connection.Listener()}, " ")).
		AddHeader("X-B", r.Peer().CommonName()+" "+r.Peer().Serial()).
		AddHeader("X-B", strings.Join(append(r.Peer().URIs(), ips...), ",")).
		AddHeader("X-C", strings.Join(r.HeaderValues("X-In"), "+")).
		RemoveHeader("X-Gone").Ban(2)
}

const everything = `
cases:
  - name: all of it
    connection: {client_ip: "2001:db8::1", listener: inner}
    cert: {common_name: a, serial: 255, uris: ["spiffe://a/b"], ips: [10.0.0.1]}
    request: {method: PUT, scheme: http, path: /x, query: "y=1", version: HTTP/2.0, headers: {X-In: [one, two]}}
    want:
      verdict: allow
      headers: {x-a: "PUT http /x y=1 HTTP/2.0 2001:db8::1 inner", X-B: ["a FF", "spiffe://a/b,10.0.0.1"], X-C: one+two}
      removes: [x-gone]
      ban: 2
`

func TestRun(t *testing.T) {
	for _, test := range []struct {
		what, from, to string
		plugin         *teller
		want           string // in what is wrong; nothing if nothing is
	}{
		{"as it should be", "", "", &teller{}, ""},
		{"another value", "one+two}", "one+three}", &teller{}, `header X-C: got ["one+two"], want ["one+three"]`},
		{"a header too few", "X-C: one+two", "X-A: x", &teller{}, `header x-c: got ["one+two"], want none`},
		{"another order", `["a FF", "spiffe://a/b,10.0.0.1"]`, `["spiffe://a/b,10.0.0.1", "a FF"]`, &teller{}, "header X-B"},
		{"removes", "removes: [x-gone]", "removes: [x-other]", &teller{}, `removes: got ["x-gone"], want ["x-other"]`},
		{"removes nothing", "removes: [x-gone]", "removes: []", &teller{}, `removes: got ["x-gone"], want []`},
		{"ban", "ban: 2", "ban: 3", &teller{}, "ban: got 2, want 3"},
		{"verdict", "verdict: allow", "verdict: deny", &teller{}, "verdict: got allow, want deny"},
		{"no verdict", "", "", &teller{fail: true}, "verdict: got none, want allow"},
		{"two verdicts", "", "", &teller{fickle: true}, "asked again, the answer is another one: deny 403"},
	} {
		text := everything
		if test.from != "" {
			if text = strings.Replace(everything, test.from, test.to, 1); text == everything {
				t.Fatalf("%s: nothing to replace", test.what)
			}
		}
		f, err := parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		results, err := program(test.plugin).Run(t.Context(), f)
		if err != nil || len(results) != 1 {
			t.Fatalf("%s: %v, %v", test.what, results, err)
		}
		wrong := strings.Join(results[0].Wrong, "; ")
		if !strings.Contains(wrong, test.want) || (wrong == "") != (test.want == "") || results[0].Failed != (wrong != "") {
			t.Errorf("%s: %s: wrong: %s", test.what, results[0].Got, wrong)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"cases: [{name: a, want: {verdict: allow}}]":                                          "not asked at the hook connection",
		"cases: [{name: a, request: {}, connection: {client_ip: x}, want: {verdict: allow}}]": "client_ip",
		"cases: [{name: a, request: {version: HTTP/3}, want: {verdict: allow}}]":              "want HTTP/1.0",
		"cases: [{name: a, request: {}, cert: {file: nowhere.pem}, want: {verdict: allow}}]":  "no such file",
		"cases: [{name: a, request: {}, cert: {ips: [x]}, want: {verdict: allow}}]":           "want an address",
		"config: {a: b}\ncases: [{name: a, request: {}, want: {verdict: allow}}]":             "refuses its configuration: the plugin takes no configuration",
	} {
		f, err := parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, err := program(&teller{}).Run(t.Context(), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "EOF",
		"cases: []":                         "want at least one",
		"cases: [{want: {verdict: allow}}]": "name: want one",
		"cases: [{name: a}]":                "want.verdict",
		"case: []":                          "unknown field",
		"timeout: 1h\ncases: [{name: a, want: {verdict: allow}}]":                      "want 1ms to 30s",
		"cases: [{name: a, hook: body, want: {verdict: allow}}]":                       "hook: \"body\"",
		"cases: [{name: a, want: {verdict: allow, status: 403}}]":                      "only where the verdict is deny",
		"cases: [{name: a, want: {verdict: deny, failure: down}}]":                     "only where the verdict is none",
		"cases: [{name: a, want: {verdict: deny}}, {name: a, want: {verdict: deny}}]":  "another case has that name",
		"cases: [{name: a, request: {headers: {X-A: {b: c}}}, want: {verdict: deny}}]": "want a text or a list",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestDescribeAndBench(t *testing.T) {
	d, err := program(&teller{}).Describe(t.Context())
	if err != nil || d.Name != "teller" || d.Version != "2" || len(d.Needs) != 13 || d.Owns[0] != "x-a" || d.Hooks[0] != "request" || d.Concurrency != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	f, err := parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	list, err := program(&teller{}).Bench(t.Context(), f, 20*time.Millisecond, 1, 4)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for i, m := range list {
		if m.Calls == 0 || m.P50 <= 0 || m.P99 < m.P50 || m.HostCPU < 0 || m.Failed != 0 || m.Callers != []int{1, 4}[i] {
			t.Errorf("%+v", m)
		}
	}
}

// TestNonsense has what can be tried without a process to kill.
func TestNonsense(t *testing.T) {
	f, err := parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	p := program(&teller{})
	if got, err := p.slow(t.Context(), f); err != nil {
		t.Errorf("slow: %s, %v", got, err)
	}
	for _, g := range garbage {
		if err := p.told(t.Context(), f, g.bytes); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
	}
	if err := p.left(t.Context(), f); err != nil {
		t.Errorf("left: %v", err)
	}
	// What is no nonsense it must not hang up on: this is what the others would look
	// like in a plugin that swallows everything.
	w, err := p.open(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := w.configure(f); err != nil {
		t.Fatal(err)
	}
	w.conn.SetReadDeadline(time.Now())
	if _, err := w.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a plugin that was told no nonsense: %v", err)
	}
}

func FuzzCases(f *testing.F) {
	f.Add(everything)
	f.Add("cases: [{name: a, request: {headers: {X-A: b}}, want: {verdict: deny, status: 403}}]")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parse([]byte(text))
		if err != nil {
			return
		}
		for i := range file.Cases {
			if c := &file.Cases[i]; c.Cert == nil || c.Cert.File == "" {
				c.subject("") // whatever it says, it must come back
			}
		}
	})
}

package main

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"go/build"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/loadtest/port"
	"github.com/sallyport/sallyport/sdk"
)

// patience is how long a script waits for what should happen at once; five-fold
// slack on a slow machine.
const patience = 25 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sallyport": func() {
			onStage = atStage
			os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
		},
		"probe":  func() { os.Exit(probe(os.Args[1:], os.Stdout, os.Stderr)) },
		"policy": func() { sdk.Serve(&policyPlugin{}) },
	})
}

// TestScripts runs testdata/*.txtar, each of which tells one behaviour of the
// whole product. Beside testscript's own commands there are:
//
//	mkpki            makes the PKI described at makePKI
//	port NAME...     puts a free loopback port into each variable
//	target NAME      starts an echo target, its address in the variable NAME
//	web NAME FOLDER  serves a folder over HTTP, its URL in the variable NAME
//	expand SRC DST   copies a file with $VARIABLES expanded
//	waitfor FILE RE  waits until a line of FILE matches RE
//	capture VAR RE   puts what RE's group matches in stdout into the variable
//	signal SIG SOCK  sends HUP, TERM, USR2 or KILL to the edge behind an admin socket
//	netns VAR ADDR.. makes a network namespace: exec nsenter --net=$VAR CMD...
//	until RE CMD...  runs a command until a line of its output matches RE
//	pebble start TLSPORT HTTPPORT [NAME=LIFE...] starts an ACME CA with these profiles:
//	                 its directory in $ACME, its TLS's CA in pebble-ca.pem, its root in
//	                 issued-ca.pem; pebble down and pebble up take it off the network and
//	                 back; pebble hold has orders wait until pebble up, and pebble held waits for
//	                 one; pebble orders writes the names it was asked for into orders
//	probe ...        a TLS client that can misbehave (exec probe); see probe_test.go
//
// $PLUGIN is a plugin's program; see plugin_test.go. go, where a script has it, works
// without a network; $SOURCE is the root of this repository.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("the scripts are the longest of all tests")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Defer(func() { endSuccessor(filepath.Join(env.WorkDir, "run", "admin.sock")) })
			plugin, err := exec.LookPath("policy") // by its whole name: a plugin does not get our PATH
			env.Setenv("PLUGIN", plugin)
			return errors.Join(err, goEnvironment(env))
		},
		Condition: func(name string) (bool, error) {
			if tool, ok := strings.CutPrefix(name, "ci-needs:"); ok {
				return needs(tool)
			}
			if name == "soak" {
				return os.Getenv("SALLYPORT_SOAK") != "", nil
			}
			if name == "netns" {
				return mayUseNamespaces()
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mkpki":   func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(makePKI(ts.MkAbs("."))) },
			"port":    ports,
			"target":  target,
			"web":     web,
			"expand":  expand,
			"waitfor": waitFor,
			"until":   until,
			"signal":  signalEdge,
			"netns":   netns,
			"capture": capture,
			"pebble":  startPebble,
		},
	})
}

// endSuccessor ends the edge behind an admin socket, if there is one: a successor
// is nobody's child, and a script that fails would leave it running.
func endSuccessor(socket string) {
	var status admin.Status
	if _, err := os.Stat(socket); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if admin.NewClient(socket).Get(ctx, "/status", &status) == nil && status.PID > 1 {
		syscall.Kill(status.PID, syscall.SIGKILL)
	}
}

// goEnvironment is for scripts that build plugins: with the caches of who runs the test,
// without a network, and $SOURCE for the root of this repository.
func goEnvironment(env *testscript.Env) error {
	cache := os.Getenv("GOCACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		cache = filepath.Join(dir, "go-build")
	}
	modules := os.Getenv("GOMODCACHE")
	if modules == "" {
		modules = filepath.Join(build.Default.GOPATH, "pkg", "mod")
	}
	env.Setenv("GOMODCACHE", modules)
	source, err := filepath.Abs(filepath.Join("..", ".."))
	env.Setenv("GOCACHE", cache)
	env.Setenv("GOPROXY", "off")
	env.Setenv("GOTOOLCHAIN", "local")
	env.Setenv("GOFLAGS", "-buildvcs=false")
	env.Setenv("SOURCE", source)
	return err
}

// needs says whether a program is there. In CI its absence is a failure, not a
// reason to skip.
func needs(tool string) (bool, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, tool)); err == nil {
			return true, nil
		}
	}
	if os.Getenv("CI") != "" {
		return false, fmt.Errorf("%s is missing, and CI must not skip", tool)
	}
	return false, nil
}

// makePKI writes into dir: ca.pem and ca2.pem, two client CAs; bundle.pem, both;
// garbage.pem and empty.pem, none; server-ca.pem, server.crt and server.key for
// localhost; crl.pem of the first CA, which lists revoked, and crl-none.pem,
// which lists nobody; the clients client, other, payments (a unit, too), revoked, expired, notyet and
// serveronly (EKU serverAuth) of the first CA, client2 of the second, untrusted
// of neither.
func makePKI(dir string) error {
	ca, err := pki.NewRoot(pki.CommonName("Test CA"))
	if err != nil {
		return err
	}
	ca2, err := pki.NewRoot(pki.CommonName("Second Test CA"))
	if err != nil {
		return err
	}
	stranger, err := pki.NewRoot(pki.CommonName("Stranger"))
	if err != nil {
		return err
	}
	serverCA, err := pki.NewRoot(pki.CommonName("Server CA"))
	if err != nil {
		return err
	}
	now := time.Now()
	leaves := map[string]*pki.Leaf{}
	for _, l := range []struct {
		name string
		ca   *pki.CA
		opts []pki.Option
	}{
		{"client", ca, nil},
		{"other", ca, nil},
		{"payments", ca, []pki.Option{pki.Subject(pkix.Name{CommonName: "payments", OrganizationalUnit: []string{"payments"}})}},
		{"revoked", ca, nil},
		{"expired", ca, []pki.Option{pki.NotBefore(now.AddDate(0, -2, 0)), pki.NotAfter(now.AddDate(0, -1, 0))}},
		{"notyet", ca, []pki.Option{pki.NotBefore(now.AddDate(0, 1, 0)), pki.NotAfter(now.AddDate(0, 2, 0))}},
		{"serveronly", ca, []pki.Option{pki.Server("serveronly")}},
		{"client2", ca2, nil},
		{"untrusted", stranger, nil},
		{"server", serverCA, []pki.Option{pki.Server("localhost", "127.0.0.1", "::1")}},
	} {
		subject := pki.Subject(pkix.Name{CommonName: l.name, Organization: []string{"Test"}})
		leaf, err := l.ca.Issue(append([]pki.Option{subject}, l.opts...)...)
		if err != nil {
			return fmt.Errorf("issue %s: %w", l.name, err)
		}
		if err := leaf.WriteFiles(dir, l.name); err != nil {
			return err
		}
		leaves[l.name] = leaf
	}
	crl, err := ca.CRL(pki.Revoke(leaves["revoked"]))
	if err != nil {
		return err
	}
	none, err := ca.CRL()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"ca.pem":        ca.CertPEM(),
		"ca2.pem":       ca2.CertPEM(),
		"bundle.pem":    slices.Concat(ca.CertPEM(), ca2.CertPEM()),
		"garbage.pem":   []byte("-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"),
		"empty.pem":     nil,
		"server-ca.pem": serverCA.CertPEM(),
		"crl.pem":       pki.CRLPEM(crl),
		"crl.der":       crl,
		"crl-none.pem":  pki.CRLPEM(none),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func ports(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		number, release, err := port.Reserve()
		ts.Check(err)
		ts.Defer(release) // an edge may start there again
		ts.Setenv(name, strconv.Itoa(number))
	}
}

// target starts an echo target: it answers with the request's head as it
// received it, its trailers and the size of its body. The query may ask it to
// take its time: see pause; gate=FILE makes it wait in the middle of its response
// until the file is there.
func target(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pause(r, "think") {
			return
		}
		if r.Form.Has("delay") {
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
		}
		if pause(r, "delay") {
			return
		}
		if gate := r.FormValue("gate"); gate != "" {
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
			for over := time.Now().Add(patience); time.Now().Before(over); time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(gate); err == nil {
					break
				}
			}
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.URL.RequestURI(), r.Proto, r.Host)
		r.Header.Write(w)
		for name, values := range r.Trailer {
			fmt.Fprintf(w, "trailer %s: %s\n", name, values)
		}
		fmt.Fprintf(w, "body of %d bytes\n", n)
	})}
	go server.Serve(l)
	ts.Defer(func() { server.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// pause makes the target take the time that a request's query asks for: think
// before its response, delay in the middle of it. It says whether the client
// went away meanwhile.
func pause(r *http.Request, key string) (gone bool) {
	d, err := time.ParseDuration(r.FormValue(key))
	if err != nil {
		return false
	}
	select {
	case <-time.After(min(d, patience)):
		return false
	case <-r.Context().Done():
		return true
	}
}

func expand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	for over := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		data, _ := os.ReadFile(ts.MkAbs(args[0]))
		if re.Match(data) {
			return
		}
		if time.Now().After(over) {
			ts.Fatalf("no line of %s matches %q within %s:\n%s", args[0], args[1], patience, data)
		}
	}
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	match := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if match == nil {
		ts.Fatalf("no match for %q in stdout", args[1])
	}
	ts.Setenv(args[0], match[1])
}

func signalEdge(ts *testscript.TestScript, neg bool, args []string) {
	var status admin.Status
	ts.Check(admin.NewClient(ts.MkAbs(args[1])).Get(context.Background(), "/status", &status))
	sig := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "USR2": syscall.SIGUSR2, "KILL": syscall.SIGKILL}[args[0]]
	ts.Check(syscall.Kill(status.PID, sig))
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for over := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if err == nil && re.MatchString(out) {
			return
		}
		if time.Now().After(over) {
			ts.Fatalf("no line of %q matches %q within %s: %v\n%s", args[1:], args[0], patience, err, out)
		}
	}
}

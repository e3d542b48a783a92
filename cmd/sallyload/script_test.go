package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/loadtest/report"
)

// patience is how long a script waits for what should happen at once; five-fold
// slack on a slow machine.
const patience = 25 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sallyload": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/*.txtar, each of which tells one behaviour of the
// command. Beside testscript's own commands there are:
//
//	serve VAR DIR      starts a server that wants clients of the PKI in DIR, and
//	                   puts its HOST:PORT into the variable. It answers 200, or
//	                   what the path says, and refuses the PKI's revoked clients
//	served N           waits until the server has answered N requests
//	result FILE        checks that a file, stdout say, is a result and no more
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Values["answered"] = new(atomic.Int64)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve":  serve,
			"served": served,
			"result": result,
		},
	})
}

func serve(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[1])
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	ts.Check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ts.ReadFile(filepath.Join(args[1], "ca.pem"))))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	answered := ts.Value("answered").(*atomic.Int64)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status, err := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
			if err != nil {
				status = http.StatusOK
			}
			w.WriteHeader(status)
			fmt.Fprintf(w, "%s %s\n", r.Method, r.URL.Path)
			answered.Add(1)
		}),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
			VerifyConnection: func(state tls.ConnectionState) error {
				if strings.HasPrefix(state.PeerCertificates[0].Subject.CommonName, "revoked") {
					return errors.New("revoked")
				}
				return nil
			},
		},
		ErrorLog: log.New(discard{}, "", 0),
	}
	go server.ServeTLS(listener, "", "")
	ts.Defer(func() { server.Close() })
	ts.Setenv(args[0], listener.Addr().String())
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func served(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	answered := ts.Value("answered").(*atomic.Int64)
	for over := time.Now().Add(patience); answered.Load() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			ts.Fatalf("%d requests answered within %s, want %d", answered.Load(), patience, want)
		}
	}
}

func result(ts *testscript.TestScript, _ bool, args []string) {
	r, err := report.Read(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	if r.Units.Done+r.Units.Refused+r.Units.Failed == 0 || r.Wall <= 0 || len(r.Seconds) == 0 {
		ts.Fatalf("%s is a result of nothing: %+v", args[0], r.Units)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// side is one server, set up in one way.
type side struct {
	name string
	base string // the same server when nobody decides; empty if this is it
	row  string // of ours: what comes behind the comma of its row's name
	peer bool   // a column of the rows
	// missing says what the machine lacks for it.
	missing func(b *bench) string
	// command makes what it takes in the site's directory, and says how to start it.
	command func(b *bench, s site) ([]string, error)
	// check looks, after so many requests, whether it did what it is measured for.
	check func(ctx context.Context, b *bench, s site, requests int64) error
}

// The names of sides without a decision.
const (
	plainSallyport = "Sallyport, no plugin"
	plainStandIn   = "stand-in edge, no plugin"
	plainNginx     = "nginx, no auth_request"
	plainHAProxy   = "HAProxy, no SPOE"
)

// sides are all there are, in the order of reports, each base before those that
// are compared to it.
func sides() []*side {
	all := []*side{{name: plainSallyport, missing: noSallyport, command: sallyport(nil, false)}}
	all = append(all, sallyportSides()...)
	return append(all,
		&side{name: plainStandIn, command: standInCommand(nobody)},
		&side{name: "gRPC (go-plugin)", base: plainStandIn, peer: true, command: standInCommand(deciderGo)},
		&side{name: plainNginx, missing: noNginx, command: nginxCommand(false)},
		&side{name: "nginx auth_request", base: plainNginx, peer: true, missing: noNginx, command: nginxCommand(true)},
		&side{name: plainHAProxy, missing: noHAProxy, command: haproxyCommand(false)},
		&side{name: "HAProxy SPOE", base: plainHAProxy, peer: true, missing: noHAProxy, command: haproxyCommand(true)},
	)
}

// site is where a server is set up.
type site struct {
	Address string // to listen at
	Target  string // to pass requests to
	PKI     string
	Dir     string // of its own
	Root    bool   // nginx as root has to be told to stay so, to read the files
	Decides bool
}

// socket is where whoever decides beside a server listens.
func (s site) Socket() string { return filepath.Join(s.Dir, "decider") }

// running is a side that has been started.
type running struct {
	*benchmark.Process
	site
}

// start starts a side on its core, and returns once it has answered. The caller
// stops it.
func (b *bench) start(ctx context.Context, s *side) (_ *running, err error) {
	b.started++
	dir := filepath.Join(b.dir, fmt.Sprint(b.started))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	address, err := benchmark.FreeAddress("127.0.0.1")
	if err != nil {
		return nil, err
	}
	r := &running{site: site{Address: address, Target: b.targetAddress, PKI: b.pki.dir, Dir: dir, Root: os.Geteuid() == 0}}
	args, err := s.command(b, r.site)
	if err != nil {
		return nil, err
	}
	if r.Process, err = b.startProcess(&b.cores.Server, dir, s.name, args...); err != nil {
		return nil, err
	}
	if err = b.awaitServer(ctx, r); err == nil {
		err = fault(r.Process, b.prove(ctx, s, r))
	}
	if err != nil {
		r.Process.Stop()
		return nil, err
	}
	return r, nil
}

// Stop ends the server and removes its files.
func (r *running) Stop() {
	r.Process.Stop()
	os.RemoveAll(r.Dir)
}

// configuration parses a template of a site.
func configuration(text string) *template.Template {
	return template.Must(template.New("").Option("missingkey=error").Parse(text))
}

// write renders a configuration into a file of the site's directory.
func (s site) write(name string, t *template.Template, data any) (string, error) {
	path := filepath.Join(s.Dir, name)
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	return path, errors.Join(t.Execute(f, data), f.Close())
}

// find is a program's path, empty where there is none. Debian puts servers where
// few but root look.
func find(name string) string {
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}

// self is this program as a child in a role.
func self(role string, args ...string) ([]string, error) {
	path, err := os.Executable()
	return append([]string{path, benchmark.AsChild, role}, args...), err
}

func standInCommand(decider string) func(*bench, site) ([]string, error) {
	return func(_ *bench, s site) ([]string, error) { return self(roleEdge, s.Address, s.Target, s.PKI, decider) }
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

var edgeAddress = serverIP + ":" + strconv.Itoa(serverPort)

// perAddress is how many connections the edge lets an address have: the good
// client stands for many, and none of them is to be refused for the others.
const perAddress = 10_000

// edgeConfig is Sallyport's: its defaults but for that, bans and a soon
// end. It answers itself.
var edgeConfig = template.Must(template.New("sallyport.yaml").Parse(`state_dir: {{.Dir}}/state
admin: {socket: {{.Dir}}/admin/admin.sock}
trust_stores:
  clients: {ca_bundle: {file: {{.CA}}}}
certificates:
  - {name: server, file: {cert: {{.Cert}}, key: {{.Key}}}}
listeners:
  bench:
    address: "{{.Address}}"
    mutual_authentication: {mode: verify, trust_store: clients}
    limits: {connections_per_address: {{.PerAddress}}}
    timeouts: {drain: 1s}
    default_action: {fixed_response: {status_code: 200, message_body: "admitted\n"}}
ban: {{.Ban}}
`))

// banSection is the ban section of the edge of a side.
func (b *bench) banSection(side string) string {
	datapath := "datapath: userspace"
	switch side {
	case bansOff:
		return "{mode: off}"
	case bansXDP:
		datapath = "datapath: xdp, interfaces: [" + b.cable.server.device + "]"
	}
	return fmt.Sprintf("{mode: enforce, %s, failures: %d, within: 30s, for: 10m}", datapath, b.failures)
}

// edge is Sallyport, in the server's namespace and on its core.
type edge struct {
	*benchmark.Process
	binary, config string
}

// startEdge starts it in a directory that is there, and waits until it serves.
func (b *bench) startEdge(ctx context.Context, dir, side string) (*edge, error) {
	var text bytes.Buffer
	if err := edgeConfig.Execute(&text, map[string]any{
		"Dir": dir, "CA": b.credentials.ca, "Cert": b.credentials.serverCert, "Key": b.credentials.serverKey,
		"Address": edgeAddress, "PerAddress": perAddress, "Ban": b.banSection(side),
	}); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "admin"), 0o700); err != nil {
		return nil, err
	}
	e := &edge{binary: b.sallyport, config: filepath.Join(dir, "sallyport.yaml")}
	if err := os.WriteFile(e.config, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	var err error
	if e.Process, err = b.cable.server.startProcess(dir, "sallyport", b.nice(serverNice), io.Discard, e.binary, "run", "-c", e.config); err != nil {
		return nil, err
	}
	if _, err := e.command(ctx, "status", "--wait", "60s"); err != nil {
		e.Stop()
		return nil, fmt.Errorf("start Sallyport: %w%s", err, e.Said())
	}
	return e, nil
}

// command runs one of Sallyport's on this edge.
func (e *edge) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, e.binary, append([]string{name, "-c", e.config}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("sallyport %s: %w: %s", name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// spent is the CPU time that the edge has had and receiving for it has, so far.
func (e *edge) spent(server *end) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.PID))
	if err != nil {
		return 0, err
	}
	own, err := parseStat(string(text))
	if err != nil {
		return 0, err
	}
	t, err := server.tally()
	return own + time.Duration(t.cpu), err
}

// banStatus is what the edge says of its bans.
type banStatus struct {
	Datapath   string `json:"datapath"`
	InForce    int    `json:"in_force"`
	InKernel   int    `json:"in_kernel"`
	Interfaces []struct {
		Mode string `json:"mode"`
	} `json:"interfaces"`
}

func (e *edge) bans(ctx context.Context) (banStatus, error) {
	out, err := e.command(ctx, "status", "--json")
	if err != nil {
		return banStatus{}, err
	}
	return parseBans(out)
}

func parseBans(text []byte) (banStatus, error) {
	var status struct {
		Bans *banStatus `json:"bans"`
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return banStatus{}, fmt.Errorf("parse status: %w", err)
	}
	if status.Bans == nil { // they are off
		return banStatus{}, nil
	}
	return *status.Bans, nil
}

// prove is an error unless that many bans are in force, or more, and where side
// says.
func (s banStatus) prove(side string, want int) error {
	switch {
	case side == bansOff && s.InForce > 0:
		return fmt.Errorf("%d bans in force: want none, they are off", s.InForce)
	case side == bansOff:
		return nil
	case s.InForce < want:
		return fmt.Errorf("%d bans in force: want %d", s.InForce, want)
	case side == bansXDP && (s.Datapath != "xdp" || s.InKernel != s.InForce):
		return fmt.Errorf("%d bans in force, %d in the kernel, by %s: want all there, by xdp", s.InForce, s.InKernel, s.Datapath)
	case side == bansXDP && (len(s.Interfaces) != 1 || s.Interfaces[0].Mode != "native"):
		return fmt.Errorf("XDP is attached as %+v: want native, once", s.Interfaces)
	case side == bansUserSpace && s.Datapath != "userspace":
		return fmt.Errorf("bans are in %s: want userspace", s.Datapath)
	}
	return nil
}

// banned says which of the addresses are banned.
func (e *edge) banned(ctx context.Context) (map[string]bool, error) {
	out, err := e.command(ctx, "bans", "--json")
	if err != nil {
		return nil, err
	}
	var list []struct {
		Prefix netip.Prefix `json:"prefix"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("parse bans: %w", err)
	}
	all := map[string]bool{}
	for _, b := range list {
		all[b.Prefix.Addr().String()] = true
	}
	return all, nil
}

// await asks until the bans are as prove wants them, or for the time given.
func (e *edge) await(ctx context.Context, length time.Duration, side string, want int) error {
	over := time.NewTimer(length)
	defer over.Stop()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		s, err := e.bans(ctx)
		if err == nil {
			if err = s.prove(side, want); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return fmt.Errorf("bans, %s: %w%s", side, err, e.Said())
		case <-e.Done:
			return fmt.Errorf("bans, %s: Sallyport has ended: %w%s", side, errors.Join(e.Err, err), e.Said())
		case <-again.C:
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/loadtest"
)

// planFlags make a plan, or change one that a file states. Their defaults are
// shown only: what was not given is left to the plan's own defaults.
type planFlags struct {
	file string

	name, confirmTarget, scenario, protocol, method string
	certificate, key, ca, identityFiles, serverName string
	profile, tlsVersion, rate                       string
	alpn, groups, headers, identities               []string
	bodySize, count                                 int64
	expectStatus, connections, streams, pid         int
	duration, warmUp, timeout                       time.Duration
	expectRefusal, calibrate                        bool
}

func (p *planFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&p.file, "plan", "", "plan in a YAML `file`")

	f.StringVar(&p.rate, "rate", "", "`units` a second: 2000, a ramp 100..2000, or steps 100,200,400 (default closed loop)")
	f.IntVar(&p.connections, "connections", 0, "how `many` at once (default 16)")
	f.DurationVar(&p.duration, "duration", 0, "how long (default 10s)")
	f.Int64Var(&p.count, "count", 0, "how `many` units at most")
	f.DurationVar(&p.warmUp, "warm-up", 0, "how long before anything is measured")
	f.DurationVar(&p.timeout, "timeout", 0, "of a unit (default 10s)")

	f.StringVar(&p.scenario, "scenario", "", "`name` of what a unit is: handshake, resume, request, download, upload or idle (default handshake)")
	f.StringVar(&p.protocol, "protocol", "", "`name`: http1 or http2 (default http1)")
	f.IntVar(&p.streams, "streams", 0, "requests under way on an HTTP/2 connection (default 8)")
	f.StringVar(&p.method, "method", "", "of requests (default GET, or POST with a body)")
	f.StringArrayVar(&p.headers, "header", nil, "`NAME: VALUE` to send, may be repeated")
	f.Int64Var(&p.bodySize, "body-size", 0, "`bytes` of body in each request")
	f.IntVar(&p.expectStatus, "expect-status", 0, "of a unit that is done (default 200)")
	f.BoolVar(&p.expectRefusal, "expect-refusal", false, "the server is to refuse: a unit that it serves has failed")

	f.StringVar(&p.certificate, "cert", "", "client certificate, PEM `file`")
	f.StringVar(&p.key, "key", "", "its private key, PEM `file` (default in --cert's)")
	f.StringArrayVar(&p.identities, "identity", nil, "one more client, as `CERT[,KEY]`, may be repeated: they take turns")
	f.StringVar(&p.identityFiles, "identity-files", "", "many clients: a `pattern` of their certificates, such as 'clients/*.crt'")
	f.StringVar(&p.ca, "cacert", "", "PEM `file` of the CA of the server's certificate (default the system's)")
	f.StringVar(&p.serverName, "server-name", "", "`name` to ask for and to verify (default the URL's)")
	f.StringVar(&p.profile, "profile", "", "whose ClientHello to send: "+strings.Join(loadtest.Profiles(), ", ")+" (default go)")
	f.StringSliceVar(&p.alpn, "alpn", nil, "protocols to offer (default those of --protocol)")
	f.StringVar(&p.tlsVersion, "tls-version", "", "the only `version` offered: 1.2 or 1.3")
	f.StringSliceVar(&p.groups, "groups", nil, "key exchange groups to offer, such as x25519mlkem768")

	f.IntVar(&p.pid, "pid", 0, "`process` of the server, whose CPU time and memory to account")
	f.BoolVar(&p.calibrate, "calibrate", false, "measure afterwards what this machine's generator can do at all")
	f.StringVar(&p.name, "name", "", "of the run, in reports (default the URL)")
	f.StringVar(&p.confirmTarget, "confirm-target", "", "the target's `HOST:PORT`, to load what is not on this machine")
}

// plan is what the file and the flags come to, valid.
func (p *planFlags) plan(cmd *cobra.Command, args []string) (loadtest.Plan, error) {
	plan := loadtest.Plan{}
	if p.file != "" {
		var err error
		if plan, err = loadtest.LoadPlan(p.file); err != nil {
			return plan, err
		}
	}
	if len(args) > 0 {
		plan.Target = args[0]
	}
	if plan.Target == "" {
		return plan, errors.New("no target: want a URL, https://HOST:PORT/PATH")
	}
	if plan.Scenario == "" {
		plan.Scenario = loadtest.Handshake
	}
	set := map[string]func() error{
		"name":           assign(&plan.Name, &p.name),
		"confirm-target": assign(&plan.ConfirmTarget, &p.confirmTarget),
		"scenario":       func() error { plan.Scenario = loadtest.Scenario(p.scenario); return nil },
		"protocol":       func() error { plan.Protocol = loadtest.Protocol(p.protocol); return nil },
		"alpn":           assign(&plan.ALPN, &p.alpn),
		"method":         assign(&plan.Method, &p.method),
		"header":         func() error { return p.setHeaders(&plan) },
		"body-size":      assign(&plan.BodySize, &p.bodySize),
		"expect-status":  assign(&plan.ExpectStatus, &p.expectStatus),
		"expect-refusal": assign(&plan.ExpectRefusal, &p.expectRefusal),
		"cert":           assign(&plan.Certificate, &p.certificate),
		"key":            assign(&plan.Key, &p.key),
		"identity":       func() error { return p.setIdentities(&plan) },
		"identity-files": assign(&plan.IdentityFiles, &p.identityFiles),
		"cacert":         assign(&plan.CA, &p.ca),
		"server-name":    assign(&plan.ServerName, &p.serverName),
		"profile":        assign(&plan.Profile, &p.profile),
		"tls-version":    assign(&plan.TLSVersion, &p.tlsVersion),
		"groups":         assign(&plan.Groups, &p.groups),
		"rate":           func() (err error) { plan.Pace, err = loadtest.ParsePace(p.rate); return err },
		"connections":    assign(&plan.Connections, &p.connections),
		"streams":        assign(&plan.Streams, &p.streams),
		"duration":       assign(&plan.Duration, &p.duration),
		"count":          assign(&plan.Count, &p.count),
		"warm-up":        assign(&plan.WarmUp, &p.warmUp),
		"timeout":        assign(&plan.Timeout, &p.timeout),
		"pid":            assign(&plan.PID, &p.pid),
		"calibrate":      assign(&plan.Calibrate, &p.calibrate),
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if cmd.Flags().Changed(name) {
			if err := set[name](); err != nil {
				return plan, fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	return plan, plan.Validate()
}

func assign[T any](field, value *T) func() error {
	return func() error { *field = *value; return nil }
}

func (p *planFlags) setHeaders(plan *loadtest.Plan) error {
	plan.Headers = map[string]string{}
	for _, header := range p.headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok {
			return fmt.Errorf("%q: want NAME: VALUE", header)
		}
		plan.Headers[name] = strings.TrimSpace(value)
	}
	return nil
}

func (p *planFlags) setIdentities(plan *loadtest.Plan) error {
	plan.Identities = nil
	for _, identity := range p.identities {
		certificate, key, _ := strings.Cut(identity, ",")
		if certificate == "" {
			return fmt.Errorf("%q: want CERT or CERT,KEY", identity)
		}
		plan.Identities = append(plan.Identities, loadtest.Identity{Certificate: certificate, Key: key})
	}
	return nil
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/proxy"
)

// What asks whom in the stand-in.
const (
	nobody    = "nobody"
	deciderGo = "go-plugin"
)

// deadline of every decision, on every side: so long that a machine that is busy
// otherwise makes none fail.
const deadline = 5 * time.Second

// standIn is an edge that is Sallyport's proxy behind crypto/tls, without all
// else: so that go-plugin is measured where Sallyport's plugins are, in the way of
// the same request.
type standIn struct {
	server *proxy.Server
	http   *proxy.Listener
	tls    *tls.Config
	policy authorizer // nil: nobody decides
}

// runEdge serves until it is told to end.
func runEdge(address, target string, f pkiFiles, decider string) error {
	e := &standIn{server: proxy.New(proxy.Options{Log: slog.New(slog.DiscardHandler)})}
	switch decider {
	case nobody:
	case deciderGo:
		policy, stop, err := startStock()
		if err != nil {
			return err
		}
		defer stop()
		e.policy = policy
	default:
		return fmt.Errorf("decider %q: want %s or %s", decider, nobody, deciderGo)
	}
	if err := e.configure(target, f); err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go e.serve(ctx, conn)
	}
}

func (e *standIn) configure(target string, f pkiFiles) error {
	pair, err := tls.LoadX509KeyPair(f.path(serverCertFile), f.path(serverKeyFile))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(f.path(caFile))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return fmt.Errorf("%s: want certificates", f.path(caFile))
	}
	e.tls = &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}
	const patience = config.Duration(time.Minute)
	group, err := proxy.NewTargetGroup("target", config.TargetGroup{
		Targets: []string{"http://" + target}, ProtocolVersion: config.HTTP1,
		Timeouts: config.TargetTimeouts{Connect: patience, Response: patience, Idle: patience},
	}, nil)
	if err != nil {
		return err
	}
	action, err := proxy.NewAction(config.Action{Forward: "target"}, map[string]*proxy.TargetGroup{"target": group})
	if err != nil {
		return err
	}
	e.http = &proxy.Listener{
		Name: "bench", Secure: true, Action: action,
		Strip:      identity.NewStripper(unitHeader),
		Attributes: config.Attributes{XFFHeaderProcessing: config.XFFAppend},
		Timeouts:   config.Timeouts{Idle: patience, RequestHead: patience},
		Judged:     e.policy != nil,
	}
	return nil
}

func (e *standIn) serve(ctx context.Context, raw net.Conn) {
	defer raw.Close()
	conn := tls.Server(raw, e.tls)
	if conn.HandshakeContext(ctx) != nil {
		return
	}
	state := conn.ConnectionState()
	leaf := state.VerifiedChains[0][0]
	fields := fieldsOf(leaf)
	e.server.ServeConn(ctx, &proxy.Conn{
		Conn: conn, ALPN: state.NegotiatedProtocol, TraceID: "TID_00000000000000000000000000000001",
		Client:     raw.RemoteAddr().(*net.TCPAddr).AddrPort(),
		Server:     raw.LocalAddr().(*net.TCPAddr).AddrPort(),
		TLSVersion: "TLSv1.3", CipherSuite: tls.CipherSuiteName(state.CipherSuite), ServerName: state.ServerName,
		Listener: func() *proxy.Listener { return e.http },
		Identity: func(*identity.Headers) []identity.Field { return fields },
		Judge:    stockJudge{e.policy, leaf.Subject.OrganizationalUnit},
	})
}

// fieldsOf are what Sallyport tells a target of a client, so that heads are as long.
func fieldsOf(leaf *x509.Certificate) []identity.Field {
	const prefix = "X-Amzn-Mtls-Clientcert-"
	return []identity.Field{
		{Name: prefix + "Serial-Number", Value: identity.Serial(leaf)},
		{Name: prefix + "Issuer", Value: identity.Issuer(leaf)},
		{Name: prefix + "Subject", Value: identity.Subject(leaf)},
		{Name: prefix + "Validity", Value: identity.Validity(leaf)},
		{Name: prefix + "Leaf", Value: identity.EscapePEM(leaf)},
	}
}

// stockJudge asks go-plugin's plugin about every request of a connection.
type stockJudge struct {
	policy authorizer
	units  []string
}

func (j stockJudge) Request(r *proxy.Judged) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	verdict, err := j.policy.Authorize(ctx, &AuthorizeRequest{OrganizationalUnits: j.units})
	if err != nil {
		r.Status, r.Detail = http.StatusServiceUnavailable, err.Error()
		return
	}
	if !verdict.GetAllowed() {
		r.Status, r.Detail = int(verdict.GetStatus()), verdict.GetReason()
		return
	}
	r.Admitted = true
	edits := make([]http1.Edit, 0, 1)
	for _, h := range verdict.GetSetHeaders() {
		edits = append(edits, http1.Edit{Op: http1.SetField, Name: h.GetName(), Value: string(h.GetValue())})
	}
	r.Edits = http1.Edits{edits}
}

func (stockJudge) Response(*proxy.Judged, *http1.Response) {}
func (stockJudge) Answered(*proxy.Judged, *http1.Response) {}
func (stockJudge) Over(*proxy.Judged)                      {}

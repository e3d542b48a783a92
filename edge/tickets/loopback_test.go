package tickets

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// people are the ends of the tests' handshakes.
var people = sync.OnceValue(func() (p struct {
	roots       *x509.CertPool
	server      tls.Certificate
	alice, bert tls.Certificate
}) {
	root := pki.Must(pki.NewRoot())
	mid := pki.Must(root.NewIntermediate())
	p.roots = root.Pool()
	p.server = pki.Must(root.Issue(pki.Server("edge.test", "other.test"))).TLSCertificate()
	p.alice = pki.Must(mid.Issue(pki.CommonName("alice"))).TLSCertificate()
	p.bert = pki.Must(mid.Issue(pki.CommonName("bert"))).TLSCertificate()
	return p
})

func leafHash(c tls.Certificate) [sha256.Size]byte { return sha256.Sum256(c.Certificate[0]) }

// edge serves handshakes on loopback the way that the package wants to be
// called. What is set here holds for the handshakes that begin afterwards.
type edge struct {
	store    *Store
	listener net.Listener
	outcomes chan outcome

	mu         sync.Mutex
	name       string // of the listener
	policy     [32]byte
	anchors    [32]byte
	clientAuth tls.ClientAuthType
	verified   bool
	time       func() time.Time
	verify     func(tls.ConnectionState) error
	attached   func(*tls.Config) // may wrap what Attach has set
}

// outcome is a handshake as the server saw it.
type outcome struct {
	err     error
	resumed bool
	lineage Lineage
	began   time.Time
}

func serve(t testing.TB, o Options) *edge {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{
		store: New(o), listener: l, outcomes: make(chan outcome, 1<<14),
		name: "public", clientAuth: tls.RequireAnyClientCert, verified: true,
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer raw.Close()
				e.outcomes <- e.handshake(raw)
			})
		}
	})
	return e
}

func (e *edge) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func (e *edge) handshake(raw net.Conn) outcome {
	e.mu.Lock()
	name, policy, anchors, verified, attached := e.name, e.policy, e.anchors, e.verified, e.attached
	conf := &tls.Config{
		Certificates:           []tls.Certificate{people().server},
		ClientAuth:             e.clientAuth,
		Time:                   e.time,
		VerifyConnection:       e.verify,
		SessionTicketsDisabled: true,
	}
	e.mu.Unlock()

	session := &Session{}
	conf.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		session = e.store.For(Binding(name, info.ServerName, policy, anchors))
		session.Attach(conf)
		if attached != nil {
			attached(conf)
		}
		return nil, nil
	}
	raw.SetDeadline(time.Now().Add(time.Minute))
	c := tls.Server(raw, conf)
	if err := c.Handshake(); err != nil {
		return outcome{err: err}
	}
	session.Complete(verified)
	o := outcome{resumed: c.ConnectionState().DidResume}
	o.lineage, o.began = session.Lineage()
	c.Write([]byte{0}) // tells the client that Complete is done
	c.Close()
	return o
}

// client returns a configuration with a cache of its own.
func client(version uint16, identity ...tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: version, MaxVersion: version,
		RootCAs:            people().roots,
		ServerName:         "edge.test",
		Certificates:       identity,
		ClientSessionCache: &cache{},
		CurvePreferences:   []tls.CurveID{tls.X25519}, // of no matter here, and quick
	}
}

// cache is a client's memory of one session: the last, whatever it was for.
// Clients that are up to no good are made of it.
type cache struct {
	mu     sync.Mutex
	last   *tls.ClientSessionState
	frozen bool // stay with what there is
}

func (c *cache) Get(string) (*tls.ClientSessionState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.last != nil
}

func (c *cache) Put(_ string, session *tls.ClientSessionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frozen {
		c.last = session
	}
}

// ticket returns what the client would offer next.
func (c *cache) ticket(t testing.TB) []byte {
	t.Helper()
	session, ok := c.Get("")
	if !ok {
		t.Fatal("the client has no session")
	}
	ticket, _, err := session.ResumptionState()
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// forge replaces the ticket and the state that it belongs to, as written by
// tls.SessionState.Bytes.
func (c *cache) forge(t testing.TB, change func(ticket, state []byte) (_, _ []byte)) {
	t.Helper()
	session, _ := c.Get("")
	ticket, state, err := session.ResumptionState()
	if err != nil {
		t.Fatal(err)
	}
	data, err := state.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ticket, data = change(slices.Clone(ticket), data)
	if state, err = tls.ParseSessionState(data); err != nil {
		t.Fatal(err)
	}
	if session, err = tls.NewResumptionState(ticket, state); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = session
}

func cacheOf(conf *tls.Config) *cache { return conf.ClientSessionCache.(*cache) }

// connect makes one connection to its end and returns what the server made of it.
func (e *edge) connect(t testing.TB, conf *tls.Config) outcome {
	t.Helper()
	err := e.dial(conf)
	o := <-e.outcomes
	if (err == nil) != (o.err == nil) {
		t.Fatalf("the client saw %v, the server %v", err, o.err)
	}
	return o
}

func (e *edge) dial(conf *tls.Config) error {
	e.set(func() {}) // what the test wrote before, the handshake may read
	c, err := tls.Dial("tcp", e.listener.Addr().String(), conf)
	if err != nil {
		return err
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 1 {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	return nil
}

func (e *edge) full(t testing.TB, conf *tls.Config) outcome {
	t.Helper()
	return e.admitted(t, conf, false)
}

func (e *edge) resumed(t testing.TB, conf *tls.Config) outcome {
	t.Helper()
	return e.admitted(t, conf, true)
}

func (e *edge) admitted(t testing.TB, conf *tls.Config, resumed bool) outcome {
	t.Helper()
	o := e.connect(t, conf)
	if o.err != nil {
		t.Fatalf("the handshake failed: %v", o.err)
	}
	if o.resumed != resumed {
		t.Fatalf("resumed: %v, want %v; %+v", o.resumed, resumed, e.store.Stats())
	}
	return o
}

// versions runs a test in each version of TLS that the edge speaks.
func versions(t *testing.T, test func(*testing.T, uint16)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) { test(t, v) })
	}
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// handshaken returns what crypto/tls hands to WrapSession in a full handshake
// with a chain of two.
func handshaken(t testing.TB) (*tls.SessionState, tls.ConnectionState) {
	t.Helper()
	e := serve(t, Options{})
	var state *tls.SessionState
	var connection tls.ConnectionState
	e.attached = func(c *tls.Config) {
		c.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
			state, connection = s, cs
			return []byte("unused"), nil
		}
	}
	e.full(t, client(tls.VersionTLS13, people().alice))
	return state, connection
}

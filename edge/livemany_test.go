package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// asker makes a request on the one connection that it has, and reads the answer.
type asker func() error

// asker connects as leaf. It is not for net/http's Transport to say whether the
// connection is used again: on a machine that is busy it gives up good ones.
func (r *rig) asker(address string, leaf *pki.Leaf, h2 bool) (asker, error) {
	cert := leaf.TLSCertificate()
	conf := r.client(&cert)
	if h2 {
		conf.NextProtos = []string{"h2"}
	}
	conn, err := tls.Dial("tcp", address, conf)
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { conn.Close() })
	answer := func(response *http.Response, err error) error {
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if _, err = io.Copy(io.Discard, response.Body); err == nil && response.StatusCode != http.StatusOK {
			err = errors.New(response.Status)
		}
		return err
	}
	if h2 {
		transport := &http.Transport{
			ForceAttemptHTTP2: true,
			DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		}
		client, err := transport.NewClientConn(r.t.Context(), "https", address)
		if err != nil {
			return nil, err
		}
		return func() error {
			return answer(client.RoundTrip(must(http.NewRequest("GET", "https://localhost/", nil))))
		}, nil
	}
	reader := bufio.NewReader(conn)
	return func() error {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return err
		}
		return answer(http.ReadResponse(reader, nil))
	}, nil
}

// TestRevokedAmongMany has many clients under load over HTTP/1.1 and HTTP/2, one
// of which is revoked: it is gone, and nobody else's request fails. There is as
// much load as the machine takes, and no more: a few ask, on one connection after
// another.
func TestRevokedAmongMany(t *testing.T) {
	const clients, hands = 1000, 8
	r := newRig(t)
	// No time may run out because the machine has other things to do.
	r.start(verifying("limits: {connections_per_address: 100000, handshake_timeout: 60s}", "timeouts: {idle: 10m}"))
	address := r.address("verify")
	victim, bystander := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue()) // one for all: keys take time to make

	var others [clients]asker
	var next, failed, answered atomic.Int64
	var workers sync.WaitGroup
	for range hands {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < clients; i = next.Add(1) - 1 {
				ask, err := r.asker(address, bystander, i%2 == 1)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				others[i] = ask
			}
		})
	}
	workers.Wait()
	if t.Failed() {
		return
	}
	stop := make(chan struct{})
	for hand := range hands {
		workers.Go(func() {
			for i := hand; ; i = (i + hands) % clients { // nobody else has these
				select {
				case <-stop:
					return
				default:
				}
				if err := others[i](); err != nil {
					failed.Add(1)
					t.Errorf("connection %d: %v", i, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	cut := make(chan struct{}, 2)
	for _, h2 := range []bool{false, true} {
		ask := must(r.asker(address, victim, h2))
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		workers.Go(func() {
			for ask() == nil {
			}
			cut <- struct{}{}
		})
	}
	// How fast that goes is the machine's affair; that it goes on is not.
	more := func(what string) {
		for goal, last := answered.Load()+clients, int64(0); last < goal && failed.Load() == 0; last = answered.Load() {
			r.await(what, func() bool { return answered.Load() > last || failed.Load() > 0 })
		}
	}
	more("under load")
	if _, err := r.server.generation.Load().stores["clients"].RevokeCertificate(victim.Cert, "stolen", time.Now()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case <-cut:
		case <-time.After(patience):
			t.Fatal("the revoked client is still served")
		}
	}
	more("others served on")
	close(stop)
	workers.Wait()
}

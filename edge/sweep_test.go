package edge

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/truststore"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// crowd is many connections of a thousand clients that have no sockets, and a CRL
// of a hundred thousand entries that revokes none of them.
type crowd struct {
	*rig
	conns   []*Conn
	leaves  []*pki.Leaf
	publish func(n int64, revoked ...*pki.Leaf)
}

func newCrowd(t *testing.T, size int) *crowd {
	r := newRig(t)
	publish := func(n int64, revoked ...*pki.Leaf) {
		entries := func(yield func(pki.Entry) bool) {
			for _, leaf := range revoked {
				if !yield(pki.Entry{Serial: leaf.Cert.SerialNumber}) {
					return
				}
			}
			for i := range int64(100_000) {
				if !yield(pki.Entry{Serial: new(big.Int).Lsh(big.NewInt(i+1), 64)}) {
					return
				}
			}
		}
		r.write("crl.pem", pki.CRLPEM(pki.Must(r.ca.CRL(pki.Number(big.NewInt(n)), pki.RevokeSeq(entries)))))
	}
	publish(1)
	r.start("trust_stores: {clients: {ca_bundle: {file: ca.pem}, crls: [{file: crl.pem}]}}\n" + verifyListener)
	c := &crowd{rig: r, publish: publish}
	var sock *socket
	r.server.mu.Lock()
	for _, running := range r.server.sockets {
		sock = running.socket
	}
	r.server.mu.Unlock()
	p := sock.policy.Load()
	var verified []*truststore.Verified
	for range 1000 {
		leaf := pki.Must(r.ca.Issue(pki.ExistingKey(r.ca.Key)))
		v, err := r.store().Verify([]*x509.Certificate{leaf.Cert}, p.admissions.byDefault.trust, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c.leaves, verified = append(c.leaves, leaf), append(verified, v)
	}
	for i := range size {
		near, far := net.Pipe()
		far.Close()
		conn := &Conn{
			traceID: fmt.Sprint(i), accepted: time.Now(), socket: sock, policy: p, wire: &wire{Conn: near}, tickets: r.server.tickets,
			admission: p.admissions.byDefault, verified: verified[i%len(verified)], presented: verified[i%len(verified)].Path[:1],
		}
		conn.admitted.Store(true)
		r.server.connections.add(conn)
		c.conns = append(c.conns, conn)
	}
	t.Cleanup(func() {
		for _, conn := range c.conns {
			r.server.connections.remove(conn)
			conn.wire.Close()
		}
	})
	return c
}

// ended counts the connections that are told to end as revoked, and those of
// others.
func (c *crowd) ended(revoked map[*x509.Certificate]bool) (right, wrong int) {
	for _, conn := range c.conns {
		end := conn.ending.Load()
		switch {
		case end == nil:
		case *end == connlog.Revoked && revoked[conn.verified.Path[0]]:
			right++
		default:
			wrong++
		}
	}
	return right, wrong
}

// processorTime is what this process has had of the processors.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestSweepOfManyConnections revokes ten clients of a thousand, who have a hundred
// connections each: within a second of the list's coming into force these are to
// end, and no other. The deadline is five-fold.
func TestSweepOfManyConnections(t *testing.T) {
	c := newCrowd(t, 100_000)
	revoked := map[*x509.Certificate]bool{}
	for _, leaf := range c.leaves[:10] {
		for _, conn := range c.conns[:1000] {
			if conn.verified.Path[0].Equal(leaf.Cert) {
				revoked[conn.verified.Path[0]] = true
			}
		}
	}
	before := c.store().Generation()
	c.publish(2, c.leaves[:10]...)
	c.generations(before + 1)
	begun, used := time.Now(), processorTime(t)
	c.await("all swept", func() bool {
		right, _ := c.ended(revoked)
		return right == 1000
	})
	took := processorTime(t) - used // what else the machine does is not ours
	t.Logf("took %s, and %s of the processors", time.Since(begun), took)
	if took > promptly {
		t.Errorf("took %s of the processors", took)
	}
	if _, wrong := c.ended(revoked); wrong > 0 {
		t.Errorf("%d others were ended", wrong)
	}
}

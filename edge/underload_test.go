package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// soaking says whether there is time for what CI has none for.
var soaking = os.Getenv("SALLYPORT_SOAK") != ""

// clients are connections with requests on them again and again.
type clients struct {
	stop     chan struct{}
	workers  sync.WaitGroup
	answered atomic.Int64
	failed   atomic.Int64

	mu    sync.Mutex
	times []time.Duration // of requests, since they were last taken
}

// many has n connections of one client that asks every now and then.
func (r *rig) many(n int, leaf *pki.Leaf, every time.Duration) *clients {
	r.t.Helper()
	cs := &clients{stop: make(chan struct{})}
	cert := leaf.TLSCertificate()
	conf := r.client(&cert)
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	address := r.address("verify")
	for i := range n {
		conn, err := tls.Dial("tcp", address, conf)
		if err != nil {
			r.t.Fatalf("connection %d: %v", i+1, err)
		}
		cs.workers.Go(func() {
			defer conn.Close()
			for {
				select {
				case <-cs.stop:
					return
				case <-time.After(every):
				}
				begun := time.Now()
				conn.SetDeadline(begun.Add(patience))
				response, err := get(conn)
				if err == nil && response.StatusCode != 200 {
					err = errors.New(response.Status)
				}
				if err != nil {
					if cs.failed.Add(1) == 1 {
						r.t.Errorf("the first to fail: %v", err)
					}
					return
				}
				cs.answered.Add(1)
				cs.mu.Lock()
				cs.times = append(cs.times, time.Since(begun))
				cs.mu.Unlock()
			}
		})
	}
	return cs
}

func (cs *clients) end() {
	close(cs.stop)
	cs.workers.Wait()
}

// take returns the 50th and 99th percentile of the requests since it was last
// called.
func (cs *clients) take() (p50, p99 time.Duration, n int) {
	cs.mu.Lock()
	times := cs.times
	cs.times = nil
	cs.mu.Unlock()
	slices.Sort(times)
	if n = len(times); n == 0 {
		return 0, 0, 0
	}
	return times[n/2], times[n*99/100], n
}

// TestRevokedAmongTheQuiet has many real connections, a fetched list that revokes
// one of them, and nobody else notice. Five thousand of them in a soak.
func TestRevokedAmongTheQuiet(t *testing.T) {
	n := 500
	if soaking {
		n = 5000
	}
	r := newRig(t)
	p := newPublisher(t, r.crl(1))
	r.start(fetching(p.URL, "") + "    limits: {connections_per_address: 100000}\n    timeouts: {idle: 300s}\n")
	r.generations(2)
	victim, others := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue())
	conn := r.dial("verify", victim)
	cs := r.many(n, others, time.Duration(n)*4*time.Millisecond) // 250 requests a second
	r.await("served", func() bool { return cs.answered.Load() > int64(n) })
	_, before, _ := cs.take()

	p.serve(r.crl(2, victim))
	r.generations(3)
	swapped, already := time.Now(), cs.answered.Load()
	if end := r.gone(conn); !strings.Contains(end, `"end":"Revoked"`) {
		t.Errorf("ended as %s", end)
	}
	took, meanwhile := time.Since(swapped), cs.answered.Load()-already
	t.Logf("gone after %s", took)
	// On a machine that is busy both take longer: five seconds of the others' requests.
	if meanwhile > 5*250 {
		t.Errorf("gone after %s, in which the others were answered %d times", took, meanwhile)
	}
	served := cs.answered.Load()
	r.await("served on", func() bool { return cs.answered.Load() > served+int64(n) })
	_, after, _ := cs.take()
	cs.end()
	if failed := cs.failed.Load(); failed > 0 {
		t.Errorf("%d others failed", failed)
	}
	t.Logf("%d connections: p99 %s before, %s with the sweep", n, before, after)
}

// TestRefreshUnderLoad has a CRL of a million entries come anew ten times while a
// thousand clients ask, and tells what that does to their latency.
func TestRefreshUnderLoad(t *testing.T) {
	if !soaking {
		t.Skip("SALLYPORT_SOAK is not set: ten lists of a million entries take minutes")
	}
	r := newRig(t)
	victim := pki.Must(r.ca.Issue())
	list := func(n int64, revoked ...*pki.Leaf) []byte {
		entries := func(yield func(pki.Entry) bool) {
			for _, leaf := range revoked {
				yield(pki.Entry{Serial: leaf.Cert.SerialNumber})
			}
			for i := range int64(1_000_000) {
				if !yield(pki.Entry{Serial: new(big.Int).Lsh(big.NewInt(i+1), 64)}) {
					return
				}
			}
		}
		var b bytes.Buffer
		if err := r.ca.WriteCRL(&b, pki.Number(big.NewInt(n)), pki.RevokeSeq(entries)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	p := newPublisher(t, list(1))
	r.start(strings.Replace(fetching(p.URL, ""), "crl_size: 1MiB", "crl_size: 100MiB", 1) + "    limits: {connections_per_address: 100000}\n    timeouts: {idle: 300s}\n")
	r.generations(2)
	conn := r.dial("verify", victim)
	cs := r.many(1000, pki.Must(r.ca.Issue()), time.Second)
	lists := make([][]byte, 10)
	for i := range lists {
		var revoked []*pki.Leaf
		if i == len(lists)-1 {
			revoked = append(revoked, victim)
		}
		lists[i] = list(int64(i+2), revoked...)
	}
	rest := func() (p50, p99 time.Duration) {
		cs.take()
		begun := cs.answered.Load()
		r.await("served", func() bool { return cs.answered.Load() > begun+15_000 })
		p50, p99, _ = cs.take()
		return p50, p99
	}
	median, quiet := rest()
	for i, der := range lists {
		if i == len(lists)-1 {
			conn.SetDeadline(time.Now().Add(patience))
			if _, err := get(conn); err != nil {
				t.Errorf("before it is revoked: %v", err)
			}
		}
		p.serve(der)
		r.generations(uint64(i + 3))
	}
	if end := r.gone(conn); !strings.Contains(end, `"end":"Revoked"`) {
		t.Errorf("ended as %s", end)
	}
	busyMedian, busy, n := cs.take()
	again, _ := rest()
	cs.end()
	if failed := cs.failed.Load(); failed > 0 {
		t.Errorf("%d requests failed", failed)
	}
	fmt.Printf("refreshing a million entries ten times under %d requests: p50 %s, p99 %s; without: p50 %s and %s, p99 %s; p99 ratio %.2f\n",
		n, busyMedian, busy, median, again, quiet, float64(busy)/float64(quiet))
}

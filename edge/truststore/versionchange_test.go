package truststore

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// While a reload is under way two Stores have one directory: neither loses what
// the other did.
func TestTwoStoresOfOneDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := root(), root()
		f := newAPIFixture(t)
		old := f.open()
		mustPut(t, old, pki.Bundle(a))
		next := f.open()
		mustPut(t, old, pki.Bundle(b)) // before next runs
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- next.Run(ctx) }()
		synctest.Wait()
		judges(t, next, issue(b), reason.Success)

		mustPut(t, old, pki.Bundle(a, b)) // while it runs
		time.Sleep(time.Second)
		synctest.Wait()
		judges(t, next, issue(a), reason.Success)

		// The one that is behind catches up before it adds.
		mustAdd(t, next, crl(a))
		if id := mustAdd(t, old, crl(b)); id != 2 {
			t.Errorf("id %d", id)
		}
		if got := idsOf(old.History()[0]); !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("CRLs %v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPutWhileVerifying(t *testing.T) {
	a, b := root(), root()
	always, revoked := issue(a), issue(a)
	s := newAPIFixture(t).open()
	mustPut(t, s, pki.Bundle(a))
	mustAdd(t, s, crl(a, number(1), pki.Revoke(revoked)))
	good, bad := chainOf(t, always), chainOf(t, revoked)
	var readers, writers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Verify(good, alb, time.Now()); err != nil {
					t.Errorf("good client refused: %v", err)
				}
				if _, err := s.Verify(bad, alb, time.Now()); err == nil {
					t.Error("revoked client let in")
				}
				s.History()
				s.Status()
				if _, err := s.Bundle(0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Go(func() {
		for i := range 10 {
			mustPut(t, s, pki.Bundle([]*pki.CA{a, b}[:1+i%2]...))
		}
	})
	writers.Go(func() {
		for n := int64(2); n < 12; n++ {
			mustAdd(t, s, crl(a, number(n), pki.ThisUpdate(time.Now().Add(-time.Minute)), pki.Revoke(revoked)))
		}
	})
	writers.Wait()
	close(stop)
	readers.Wait()
	v := s.History()[0]
	if len(v.CRLs) != 11 || v.CRLs[10].ID != 11 {
		t.Errorf("CRLs %v", idsOf(v))
	}
}

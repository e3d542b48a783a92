package truststore

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

func revoke(t *testing.T, s *Store, leaf *pki.Leaf) Revocation {
	t.Helper()
	r, err := s.RevokeCertificate(leaf.Cert, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRevocationsStayOverARestart(t *testing.T) {
	now := time.Now()
	top := root()
	mid := below(top)
	direct, deep, undone, serial := issue(top), issue(mid), issue(mid), issue(mid)
	f := newFixture(t, top)
	s := f.open()
	revoke(t, s, direct)
	revoke(t, s, deep)
	r := revoke(t, s, undone)
	if _, err := s.RevokeSerial(mid.Cert, serial.Serial(), "", now); err != nil {
		t.Fatal(err)
	}
	if err := s.Unrevoke(r.ID, "was somebody else", now); err != nil {
		t.Fatal(err)
	}
	want := map[*pki.Leaf]reason.Code{
		direct: reason.ClientCertCrlHit, deep: reason.ClientCertCrlHit, serial: reason.ClientCertCrlHit,
		undone: reason.Success, issue(mid): reason.Success,
	}
	wantVerdicts(t, s, now, want)
	list := s.Revocations()
	if len(list) != 4 || list[2].UndoneWhy != "was somebody else" || !list[2].UndoneAt.Equal(now) || list[2].Why != "test" {
		t.Errorf("%+v", list)
	}

	readOnly := f.options()
	readOnly.ReadOnly = true
	for _, o := range []Options{f.options(), readOnly} {
		again, _, err := New("partners", f.cfg, o)
		if err != nil {
			t.Fatal(err)
		}
		wantVerdicts(t, again, now, want)
		if diff := cmp.Diff(list, again.Revocations()); diff != "" {
			t.Errorf("read-only %v: %s", o.ReadOnly, diff)
		}
		if n := again.Status().RevokedByHand; n != 3 {
			t.Errorf("%d in force, want 3", n)
		}
		if !o.ReadOnly {
			continue
		}
		if _, err := again.RevokeCertificate(undone.Cert, "", now); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("revoked in a read-only store: %v", err)
		}
		if err := again.Unrevoke(list[0].ID, "x", now); err == nil {
			t.Error("undone in a read-only store")
		}
	}

	path := filepath.Join(f.dir, "state", ledgerFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(f.dir, "state", "*.tmp")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// A store that has nothing yet can revoke already.
func TestRevokeBeforeTheFirstVersion(t *testing.T) {
	anchor := root()
	leaf := issue(anchor)
	f := newAPIFixture(t)
	s := f.open()
	changed := s.Changed()
	revoke(t, s, leaf)
	if n := s.Generation(); n != 0 {
		t.Errorf("generation %d of nothing", n)
	}
	mustPut(t, s, pki.Bundle(anchor))
	<-changed
	want := map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, issue(anchor): reason.Success}
	wantVerdicts(t, s, time.Now(), want)
	wantVerdicts(t, f.open(), time.Now(), want)
}

func TestUnrevoke(t *testing.T) {
	now := time.Now()
	anchor := root()
	leaf := issue(anchor)
	s := newStore(t, anchor)
	r := revoke(t, s, leaf)
	for name, err := range map[string]error{
		"no reason": s.Unrevoke(r.ID, "", now),
		"no id":     s.Unrevoke("", "x", now),
		"other id":  s.Unrevoke("ffffffffff", "x", now),
		"two lines": s.Unrevoke(r.ID, "a\nb", now),
	} {
		if err == nil || IsNoRevocation(err) != strings.HasSuffix(name, "id") {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit})
	if err := s.Unrevoke(r.ID, "good again", now); err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.Success})
	if err := s.Unrevoke(r.ID, "good again", now); !IsNoRevocation(err) {
		t.Errorf("undone twice: %v", err)
	}
	if again := revoke(t, s, leaf); again.ID == r.ID {
		t.Error("a new revocation has the old id")
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit})
	if list := s.Revocations(); len(list) != 2 || list[0].UndoneAt == nil || list[1].UndoneAt != nil {
		t.Errorf("%+v", list)
	}
}

func TestLedgerIsBounded(t *testing.T) {
	now := time.Now()
	anchor := root()
	s := newStore(t, anchor)
	made := func(n int, undone bool) []*manual {
		model := byCertificate(anchor.Cert, s.gen.Load().anchors)
		model.At, model.issued = now, issuedKey{} // none that is asked for
		if undone {
			model.UndoneAt = &now
		}
		var all []*manual
		for i := range n {
			m := *model
			m.ID = fmt.Sprint(i)
			all = append(all, &m)
		}
		return all
	}
	s.ledger.all = made(maxRevocations-1, false)
	if _, err := s.RevokeSerial(anchor.Cert, big.NewInt(1), "", now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeSerial(anchor.Cert, big.NewInt(2), "", now); err == nil || !strings.Contains(err.Error(), "use a CRL") {
		t.Errorf("one too many: %v", err)
	}
	kept := trimmed(append(made(maxUndone+5, true), made(3, false)...))
	if len(kept) != maxUndone+3 || kept[0].ID != "5" || kept[maxUndone].UndoneAt != nil {
		t.Errorf("%d kept, from %s", len(kept), kept[0].ID)
	}
}

func TestBrokenLedger(t *testing.T) {
	anchor := root()
	leaf, unknown := issue(anchor), issue(below(root()))
	f := newFixture(t, anchor)
	s := f.open()
	revoke(t, s, leaf)
	revoke(t, s, unknown)
	path := filepath.Join(f.dir, "state", ledgerFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) string {
		t.Helper()
		if !strings.Contains(string(whole), old) {
			t.Fatalf("%q is not in %s", old, whole)
		}
		return strings.Replace(string(whole), old, new, 1)
	}
	list := s.Revocations()
	for name, content := range map[string]string{
		"empty":                   "",
		"truncated":               string(whole[:len(whole)/2]),
		"two values":              string(whole) + "{}",
		"another version":         swap(`"version": 1`, `"version": 2`),
		"no version":              swap(`"version": 1,`, ``),
		"unknown field":           swap(`"version": 1`, `"version": 1, "more": 1`),
		"no id":                   swap(list[0].ID, ""),
		"id twice":                swap(list[0].ID, list[1].ID),
		"no time":                 swap(`"at"`, `"undone_at"`),
		"issuer's name no hex":    swap(list[0].IssuerKey, "xy"),
		"serial no hex":           swap(`"`+list[0].Serial+`"`, `"0x1"`),
		"no serial":               swap(`"`+list[0].Serial+`"`, `""`),
		"another issuer's key":    swap(list[0].IssuerSPKI, strings.Repeat("00", 32)),
		"no issuer's key":         swap(`"issuer_public_key": "`, `"issuer_public_key": "", "certificate": "`),
		"broken issuer's key":     swap(`"issuer_public_key": "`, `"issuer_public_key": "AAAA`),
		"certificate of another":  swap(`"`+list[1].Serial+`"`, `"01"`),
		"neither key nor content": swap(`"certificate": "`, `"certificate": "", "subject": "`),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if s, _, err := New("partners", f.cfg, f.options()); err == nil || s != nil || !strings.Contains(err.Error(), ledgerFile) {
				t.Errorf("opened: %v", err)
			}
			// A running store keeps what it had, and says so.
			now := time.Now()
			if err := s.Reload(); err == nil || !strings.Contains(err.Error(), ledgerFile) {
				t.Errorf("reload: %v", err)
			}
			if st := s.Status(); st.Errors[ledgerFile] == "" {
				t.Errorf("status %+v", st)
			}
			wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit})
			if err := s.Unrevoke(list[0].ID, "x", now); err == nil {
				t.Error("undone over a file that is broken")
			}
			wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit})
		})
	}

	// What is revoked meanwhile is in force at once, and saved with the repair.
	now := time.Now()
	next := issue(anchor)
	r, err := s.RevokeCertificate(next.Cert, "", now)
	if err == nil || r.ID == "" || !strings.Contains(err.Error(), "in force") {
		t.Errorf("%+v, %v", r, err)
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{next: reason.ClientCertCrlHit})
	if data, _ := os.ReadFile(path); strings.Contains(string(data), r.ID) {
		t.Error("a broken file was written over")
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	want := map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, next: reason.ClientCertCrlHit}
	wantVerdicts(t, s, now, want)
	wantVerdicts(t, f.open(), now, want)
	if st := s.Status(); st.Errors != nil {
		t.Errorf("status %v", st.Errors)
	}

	// So is a file that is taken away.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, f.open(), now, want)
}

func TestRevocationThatCannotBeSaved(t *testing.T) {
	now := time.Now()
	anchor := root()
	leaf, other := issue(anchor), issue(anchor)
	f := newFixture(t, anchor)
	s := f.open()
	first := revoke(t, s, other)
	state := filepath.Join(f.dir, "state")
	if err := os.Rename(state, state+".away"); err != nil {
		t.Fatal(err)
	}
	r, err := s.RevokeCertificate(leaf.Cert, "", now)
	if err == nil || r.ID == "" {
		t.Errorf("%+v, %v", r, err)
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit})
	if s.Status().Errors[ledgerFile] == "" {
		t.Error("status is without the error")
	}
	if err := s.Unrevoke(first.ID, "x", now); err == nil {
		t.Error("undone without a file")
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{other: reason.ClientCertCrlHit})
	if err := os.Rename(state+".away", state); err != nil {
		t.Fatal(err)
	}
	third := issue(anchor)
	revoke(t, f.open(), third) // knows nothing of it
	want := map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, other: reason.ClientCertCrlHit, third: reason.ClientCertCrlHit}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, s, now, want)
	wantVerdicts(t, f.open(), now, want)
	if s.Status().Errors != nil {
		t.Error("the error stays")
	}
}

// Two stores of one directory, as during a reload or an upgrade.
func TestRevocationsOfAnotherStoreAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anchor := root()
		early, late, both := issue(anchor), issue(anchor), issue(anchor)
		f := newFixture(t, anchor)
		old, next := f.open(), f.open()
		a := revoke(t, old, early) // before Run, and not missed
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- next.Run(ctx) }()
		synctest.Wait()
		hit := reason.ClientCertCrlHit
		wantVerdicts(t, next, time.Now(), map[*pki.Leaf]reason.Code{early: hit})

		changed := next.Changed()
		revoke(t, old, late)
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-changed:
		default:
			t.Error("the change was not told")
		}
		wantVerdicts(t, next, time.Now(), map[*pki.Leaf]reason.Code{late: hit})

		// Neither forgets what the other has done.
		if err := next.Unrevoke(a.ID, "x", time.Now()); err != nil {
			t.Fatal(err)
		}
		b := revoke(t, old, both)
		if again := revoke(t, next, both); again.ID != b.ID {
			t.Errorf("revoked twice: %v, %v", again, b)
		}
		want := map[*pki.Leaf]reason.Code{early: reason.Success, late: hit, both: hit}
		for _, s := range []*Store{old, next, f.open()} {
			wantVerdicts(t, s, time.Now(), want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRevokeWhileVerifying(t *testing.T) {
	anchor := root()
	f := newFixture(t, anchor)
	f.crl("a.crl", crl(anchor, number(1)))
	s := f.open()
	good := chainOf(t, issue(anchor))
	var wg, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				changed := s.Changed()
				v, err := s.Verify(good, alb, time.Now())
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.StillAdmits(v, time.Now()); err != nil {
					t.Error(err)
				}
				s.Revocations()
				s.Status()
				select {
				case <-stop:
					return
				case <-changed:
				}
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			for range 5 {
				leaf := issue(anchor)
				r := revoke(t, s, leaf)
				_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
				wantCode(t, err, reason.ClientCertCrlHit)
				if err := s.Unrevoke(r.ID, "test", time.Now()); err != nil {
					t.Error(err)
				}
				_, err = s.Verify(chainOf(t, leaf), alb, time.Now())
				wantCode(t, err, reason.Success)
			}
		})
	}
	wg.Go(func() {
		for n := range int64(5) {
			f.crl("a.crl", crl(anchor, number(n+2), pki.ThisUpdate(time.Now().Add(-time.Minute))))
			if err := s.Reload(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	close(stop)
	revoke(t, s, issue(anchor)) // wakes those that wait
	readers.Wait()
	if got, want := s.Generation(), uint64(1+3*5*2+5+1); got != want {
		t.Errorf("generation %d, want %d: a change was lost", got, want)
	}
}

// FuzzParseLedger: whatever the file holds, it is taken whole or refused, and
// what is taken can be saved and taken again.
func FuzzParseLedger(f *testing.F) {
	anchor := root()
	fixture := newFixture(f, anchor)
	s := fixture.open()
	for _, leaf := range []*pki.Leaf{issue(anchor), issue(below(anchor))} {
		if _, err := s.RevokeCertificate(leaf.Cert, "why", time.Now()); err != nil {
			f.Fatal(err)
		}
	}
	data, err := os.ReadFile(s.ledger.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version": 1}`))
	l := &ledger{path: filepath.Join(f.TempDir(), ledgerFile)}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseLedger(data)
		if err != nil {
			return
		}
		newOverlay(all, s.gen.Load().anchors)
		if err := l.save(all); err != nil {
			return // a date that JSON cannot hold
		}
		again := &ledger{path: l.path}
		if _, err := again.refresh(); err != nil || len(again.all) != len(all) {
			t.Fatalf("read back %d of %d, %v", len(again.all), len(all), err)
		}
	})
}

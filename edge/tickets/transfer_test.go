package tickets

import (
	"bytes"
	"crypto/tls"
	"errors"
	"testing"
	"time"
)

// moved is what a Store of another process has when it was told everything since
// the mark.
func moved(t *testing.T, from, to *Store, mark uint64) uint64 {
	t.Helper()
	next, err := from.Export(mark, func(piece []byte) error {
		_, err := to.Import(bytes.Clone(piece))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestExport(t *testing.T) {
	now := newClock()
	from, to := New(Options{Now: now.Now}), New(Options{Now: now.Now})
	var all []*entry
	add := func(n byte, verified bool) {
		e := made(from, n, n, 40<<(n%8))
		e.binding[1], e.state[0] = n, n
		from.keep(e, nil, 0, verified)
		all = append(all, e)
	}
	for n := range byte(100) {
		add(n+1, n%3 == 0)
	}
	mark := moved(t, from, to, 0)
	if n := to.Stats().Kept; n != 100 {
		t.Errorf("%d sessions moved, want 100", n)
	}
	add(101, true)
	add(102, false)
	calls := 0
	next, err := from.Export(mark, func(piece []byte) error {
		calls++
		n, err := to.Import(piece)
		if n != 2 {
			t.Errorf("%d sessions moved, want the 2 that are new", n)
		}
		return err
	})
	if err != nil || calls != 1 {
		t.Errorf("%d pieces, %v", calls, err)
	}
	if again, _ := from.Export(next, func([]byte) error { t.Error("nothing is new"); return nil }); again != next {
		t.Errorf("mark %d, want %d", again, next)
	}
	if moved(t, from, to, 0); to.Stats().Kept != 102 {
		t.Error("what is there was kept again")
	}
	for _, e := range all {
		got := to.find(e.ticket[:], e.binding, e.version, e.certificate)
		if got == nil {
			t.Fatalf("session %d is not there", e.ticket[0])
		}
		if !bytes.Equal(got.state, e.state) || got.leaf != e.leaf || got.lineage != e.lineage || !got.began.Equal(e.began) {
			t.Errorf("session %d is another: %+v", e.ticket[0], got)
		}
		if (got.pool == &to.verified) != (e.pool == &from.verified) {
			t.Errorf("session %d counts as of another kind of client", e.ticket[0])
		}
	}
	checkStore(t, to)
	// A lineage ages on, and can be killed there.
	if n := to.KillCertificate(all[0].leaf); n != 1 {
		t.Errorf("%d killed, want 1", n)
	}
	now.pass(25 * time.Hour)
	if to.Stats().Sessions != 0 {
		t.Error("sessions do not age after they were moved")
	}
}

func TestExportEnds(t *testing.T) {
	from := New(Options{})
	for n := range byte(200) {
		from.keep(made(from, n+1, n+1, 8000), nil, 0, false)
	}
	failure := errors.New("gone")
	mark, err := from.Export(0, func(piece []byte) error {
		if len(piece) > pieceSize {
			t.Errorf("a piece of %d bytes", len(piece))
		}
		return failure
	})
	if !errors.Is(err, failure) || mark != 0 {
		t.Errorf("mark %d, %v", mark, err)
	}
	// The receiver's bounds are its own.
	small := New(Options{MaxBytes: 64 << 10})
	moved(t, from, small, 0)
	checkStore(t, small)
	var none *Store
	if n, err := none.Import([]byte{1}); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A session that one process has issued is resumed at another.
func TestResumeElsewhere(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		first, second := serve(t, Options{}), serve(t, Options{})
		conf := client(version, people().alice)
		first.full(t, conf)
		moved(t, first.store, second.store, 0)
		second.resumed(t, conf)
	})
}

func FuzzImport(f *testing.F) {
	from := New(Options{})
	from.keep(made(from, 1, 1, 100), nil, 0, true)
	from.keep(made(from, 2, 0, 0), nil, 0, false)
	from.Export(0, func(piece []byte) error { f.Add(bytes.Clone(piece)); return nil })
	f.Add([]byte{})
	f.Add(make([]byte, headSize))
	f.Add(bytes.Repeat([]byte{0xff}, headSize+10))
	f.Fuzz(func(t *testing.T, piece []byte) {
		to := New(Options{})
		n, err := to.Import(piece)
		if err == nil && len(piece)-n*headSize < 0 {
			t.Errorf("%d sessions out of %d bytes", n, len(piece))
		}
		checkStore(t, to)
		for _, e := range to.sessions {
			if len(e.state) > maxState {
				t.Errorf("a session of %d bytes", len(e.state))
			}
			tls.ParseSessionState(e.state)
		}
	})
}

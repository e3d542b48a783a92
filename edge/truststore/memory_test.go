package truststore

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// runBriefly is a whole life of a store.
func runBriefly(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// Under auto, an issuer that a source has named needs a list for as long as the
// source is configured, whatever the source holds by now.
func TestAutoRemembers(t *testing.T) {
	top := root()
	mid := below(top)
	leaf := issue(mid)
	f := newFixture(t, top)
	verify := func(s *Store, want reason.Code) {
		t.Helper()
		_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
		wantCode(t, err, want)
	}
	verify(f.open(), reason.Success) // nothing was ever named

	f.crl("lists.pem", crl(top), crl(mid))
	s := f.open()
	verify(s, reason.Success)
	runBriefly(t, s)

	// The list of the intermediate is lost, over a restart.
	f.crl("lists.pem", crl(top))
	s = f.open()
	verify(s, reason.ClientCertCrlProcessingError)
	runBriefly(t, s)
	verify(f.open(), reason.ClientCertCrlProcessingError)

	// A second source that never named it changes nothing.
	f.crl("other.pem", crl(top))
	s = f.open()
	verify(s, reason.ClientCertCrlProcessingError)

	// A configuration without the source is not in use before Run.
	with := f.cfg.CRLs
	f.cfg.CRLs = []config.CRL{{File: "other.pem"}}
	without := f.open()
	verify(without, reason.Success)
	f.cfg.CRLs = with
	verify(f.open(), reason.ClientCertCrlProcessingError)
	runBriefly(t, without)
	verify(f.open(), reason.Success)
}

func TestAutoRemembersWhatAReloadBrings(t *testing.T) {
	top := root()
	mid := below(top)
	leaf := issue(mid)
	f := newFixture(t, top)
	f.crl("lists.pem", crl(top))
	s := f.open()
	for _, lists := range [][][]byte{{crl(top), crl(mid)}, {crl(top)}} {
		f.crl("lists.pem", lists...)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*Store{s, f.open()} {
		_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
		wantCode(t, err, reason.ClientCertCrlProcessingError)
	}
}

// TestLostListIsTold: who is refused for a list that has gone without a word is
// told of where an operator looks.
func TestLostListIsTold(t *testing.T) {
	top := root(pki.CommonName("Top"))
	mid := below(top, pki.CommonName("Mid"))
	f := newFixture(t, top)
	f.crl("lists.pem", crl(top), crl(mid))
	s := f.open()
	told := func(s *Store) bool {
		return slices.Contains(s.Status().Warnings, `crls[0]: CRL of "CN=Mid" is gone, and was there: its clients are refused`)
	}
	if told(s) {
		t.Error("told of a list that is there")
	}
	f.crl("lists.pem", crl(top))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	runBriefly(t, s)
	if !told(s) || !told(f.open()) {
		t.Errorf("after the reload %q, after a restart %q", s.Status().Warnings, f.open().Status().Warnings)
	}
	f.cfg.Revocation.CRL = config.CRLOff
	if told(f.open()) {
		t.Error("told of where CRLs are off")
	}
	f.cfg.Revocation.CRL = config.CRLAuto
	f.crl("lists.pem", crl(top), crl(mid))
	if err := s.Reload(); err != nil || told(s) {
		t.Errorf("after its return: %v, %q", err, s.Status().Warnings)
	}
}

// A list whose source is refused has not been named by it.
func TestAutoForgetsNothingOfARefusedFile(t *testing.T) {
	top := root()
	mid := below(top)
	leaf := issue(mid)
	f := newFixture(t, top)
	f.crl("lists.pem", crl(top), crl(mid))
	s := f.open()
	f.write("lists.pem", []byte("garbage"))
	if err := s.Reload(); err == nil {
		t.Fatal("garbage was taken")
	}
	_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.Success)
}

func TestStateFile(t *testing.T) {
	top := root()
	f := newFixture(t, top)
	f.crl("lists.pem", crl(top))
	state := filepath.Join(f.dir, "state")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	runBriefly(t, f.open())
	file := filepath.Join(state, memoryFile)
	for path, want := range map[string]os.FileMode{state: 0o700, file: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(state, "*.tmp")); left != nil {
		t.Errorf("left behind: %q", left)
	}

	for name, content := range map[string]string{
		"truncated":   `{"version": 1, "sour`,
		"empty":       ``,
		"version":     `{"version": 2}`,
		"short key":   `{"version": 1, "sources": {"a": [{"key": "00"}]}}`,
		"no hex":      `{"version": 1, "sources": {"a": [{"key": "` + strings.Repeat("x", 64) + `"}]}}`,
		"other types": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := New("partners", f.cfg, f.options())
			if err == nil || !strings.Contains(err.Error(), memoryFile) {
				t.Errorf("error %v, want one about %s", err, memoryFile)
			}
		})
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	top := root()
	mid := below(top)
	f := newFixture(t, top)
	f.crl("lists.pem", crl(top), crl(mid))
	o := f.options()
	o.ReadOnly = true
	if _, _, err := New("partners", f.cfg, o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.Dir); !os.IsNotExist(err) {
		t.Errorf("state directory was made: %v", err)
	}

	// What is remembered counts for it all the same.
	runBriefly(t, f.open())
	f.crl("lists.pem", crl(top))
	s, _, err := New("partners", f.cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Verify(chainOf(t, issue(mid)), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlProcessingError)

	if _, _, err := New("partners", f.cfg, Options{Resolve: o.Resolve}); err == nil {
		t.Error("store without a state directory")
	}
}

// FuzzReadMemory: whatever the file holds, it is read whole or refused.
func FuzzReadMemory(f *testing.F) {
	f.Add([]byte(`{"version": 1, "sources": {"a.crl": [{"key": "` + strings.Repeat("ab", 32) + `", "name": "CN=x"}]}}`))
	f.Add([]byte(`{"version": 1}`))
	path := filepath.Join(f.TempDir(), memoryFile)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		sources, err := readMemory(path)
		if err != nil {
			return
		}
		if err := writeMemory(path, sources); err != nil {
			t.Fatal(err)
		}
		again, err := readMemory(path)
		if err != nil || len(again) != len(sources) {
			t.Fatalf("read back %v of %v, %v", again, sources, err)
		}
	})
}

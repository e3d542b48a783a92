package truststore

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// What a crash can leave at any moment: the last complete version is in force,
// and the rest is swept away by the next change.
func TestWhatACrashLeaves(t *testing.T) {
	a, b := root(), root()
	next := pki.Bundle(b)
	for _, c := range []struct {
		name  string
		leave func(f *fixture, before, after []byte)
		want  *pki.CA
	}{
		{"half an upload", func(f *fixture, _, _ []byte) {
			f.writeState(filepath.Join(uploadDir, strings.Repeat("ab", 32)+".123.tmp"), next[:len(next)/2])
		}, a},
		{"a whole upload that no version has", func(f *fixture, _, _ []byte) {
			f.writeState(filepath.Join(uploadDir, strings.Repeat("ab", 32)), next)
		}, a},
		{"half a log", func(f *fixture, _, after []byte) { f.writeState(versionFile+".123.tmp", after[:len(after)/2]) }, a},
		{"an empty log", func(f *fixture, _, _ []byte) { f.writeState(versionFile+".123.tmp", nil) }, a},
		{"a whole log that is not in place", func(f *fixture, _, after []byte) { f.writeState(versionFile+".123.tmp", after) }, a},
		{"the log in place", func(f *fixture, _, after []byte) { f.writeState(versionFile, after) }, b},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newAPIFixture(t)
			s := f.open()
			mustPut(t, s, pki.Bundle(a))
			before := f.readState(versionFile)
			mustPut(t, s, next)
			after := f.readState(versionFile)
			f.writeState(versionFile, before)
			c.leave(f, before, after)

			s = f.open()
			judges(t, s, issue(c.want), reason.Success)
			mustPut(t, s, pki.Bundle(a, b))
			judges(t, s, issue(a), reason.Success)
			log := s.versionLog()
			uploads, err := os.ReadDir(f.state(uploadDir))
			if err != nil || len(uploads) != len(log.contents()) {
				t.Errorf("%d uploads are left, want %d (%v)", len(uploads), len(log.contents()), err)
			}
			if left, _ := filepath.Glob(f.state("*.tmp")); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func (f *fixture) writeState(name string, data []byte) {
	f.t.Helper()
	if err := os.WriteFile(f.state(name), data, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) readState(name string) []byte {
	f.t.Helper()
	data, err := os.ReadFile(f.state(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return data
}

// However the log is cut short, it is not taken for a whole one.
func TestTruncatedLogIsRefused(t *testing.T) {
	anchor := root()
	f := newAPIFixture(t)
	s := f.open()
	mustPut(t, s, pki.Bundle(anchor))
	mustAdd(t, s, crl(anchor))
	whole := f.readState(versionFile)
	for n := range len(bytes.TrimSpace(whole)) {
		if _, err := parseVersionLog(whole[:n]); err == nil {
			t.Fatalf("taken: %s", whole[:n])
		}
	}
	f.writeState(versionFile, whole[:len(whole)/2])
	if _, _, err := New("devices", f.cfg, f.options()); err == nil || !strings.Contains(err.Error(), versionFile) {
		t.Errorf("error %v, want one about %s", err, versionFile)
	}
	// The running one goes on, tells, and takes no change that would lose it.
	if err := s.Reload(); err == nil || s.Status().Errors["source"] == "" {
		t.Errorf("reload: %v, %v", err, s.Status().Errors)
	}
	judges(t, s, issue(anchor), reason.Success)
	if _, err := s.Put(pki.Bundle(root()), time.Now()); err == nil || !strings.Contains(err.Error(), versionFile) {
		t.Errorf("put on a broken log: %v", err)
	}
	os.Remove(f.state(versionFile))
	if _, err := s.Put(pki.Bundle(root()), time.Now()); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("put where the log is gone: %v", err)
	}
	judges(t, s, issue(anchor), reason.Success)
	f.writeState(versionFile, whole)
	if err := s.Reload(); err != nil || len(s.Status().Errors) != 0 {
		t.Errorf("reload: %v, %v", err, s.Status().Errors)
	}
}

func TestCorruptUploadIsRefused(t *testing.T) {
	anchor := root()
	for _, which := range []string{"bundle", "CRL"} {
		for name, spoil := range map[string]func(path string, data []byte) error{
			"truncated": func(path string, data []byte) error { return os.WriteFile(path, data[:len(data)-1], 0o600) },
			"longer":    func(path string, data []byte) error { return os.WriteFile(path, append(data, '\n'), 0o600) },
			"other": func(path string, data []byte) error {
				return os.WriteFile(path, bytes.ToLower(data), 0o600)
			},
			"empty": func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
			"gone":  func(path string, _ []byte) error { return os.Remove(path) },
		} {
			t.Run(which+" "+name, func(t *testing.T) {
				f := newAPIFixture(t)
				s := f.open()
				mustPut(t, s, pki.Bundle(root())) // an older one stays sound
				mustPut(t, s, pki.Bundle(anchor))
				list := crl(anchor)
				mustAdd(t, s, list)
				v := s.History()[0]
				sum := map[string]string{"bundle": v.Bundle.SHA256, "CRL": v.CRLs[0].SHA256}[which]
				path := f.state(uploadDir, sum)
				if which == "CRL" {
					path += compressed
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := spoil(path, bytes.Clone(data)); err != nil {
					t.Fatal(err)
				}
				if which == "CRL" {
					// What was kept of it is as good as it was.
					judges(t, f.open(), issue(anchor), reason.Success)
					os.RemoveAll(f.state(crlDir))
				}
				_, _, err = New("devices", f.cfg, f.options())
				if err == nil || !strings.Contains(err.Error(), sum) || !strings.Contains(err.Error(), "version 3") {
					t.Errorf("error %v, want one about %s", err, sum)
				}
				// The running one has it in memory, and mends it when it comes again.
				if which == "bundle" {
					if _, err := s.Bundle(0); err == nil {
						t.Error("a spoilt bundle was given out")
					}
					mustPut(t, s, pki.Bundle(anchor))
				} else {
					if _, err := readCRL(s, 1); err == nil {
						t.Error("a spoilt CRL was given out")
					}
					if _, _, err := addCRL(s, pki.CRLPEM(list), time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				f.open()
			})
		}
	}
}

func TestBadLogs(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	bundle := `"ca_bundle": {"sha256": "` + sum + `", "size": 1}`
	crls := func(ids ...int) string {
		var list []string
		for _, id := range ids {
			list = append(list, fmt.Sprintf(`{"id": %d, "sha256": %q, "size": 1}`, id, sum))
		}
		return `"crls": [` + strings.Join(list, ",") + `]`
	}
	for name, c := range map[string]struct{ text, say string }{
		"empty":              {``, "unexpected end"},
		"no object":          {`[]`, "cannot unmarshal"},
		"trailing":           {`{"format": 1, "versions": [{"version": 1, ` + bundle + `}]} x`, "invalid character"},
		"later format":       {`{"format": 2}`, "format 2, want 1"},
		"no version":         {`{"format": 1}`, "no version"},
		"version 0":          {`{"format": 1, "versions": [{"version": 0, ` + bundle + `}]}`, "version 0 after 0"},
		"version twice":      {`{"format": 1, "versions": [{"version": 1, ` + bundle + `}, {"version": 1, ` + bundle + `}]}`, "version 1 after 1"},
		"bundle elsewhere":   {`{"format": 1, "versions": [{"version": 1, "ca_bundle": {"sha256": "../../ca.pem", "size": 1}}]}`, "64 hex digits"},
		"digest in capitals": {`{"format": 1, "versions": [{"version": 1, "ca_bundle": {"sha256": "` + strings.ToUpper(sum) + `", "size": 1}}]}`, "64 hex digits"},
		"negative size":      {`{"format": 1, "versions": [{"version": 1, "ca_bundle": {"sha256": "` + sum + `", "size": -1}}]}`, "size -1"},
		"id above the last":  {`{"format": 1, "last_revocation_id": 1, ` + crls(2) + `, "versions": [{"version": 1, ` + bundle + `}]}`, "last_revocation_id 1"},
		"ids descending":     {`{"format": 1, "last_revocation_id": 2, ` + crls(2, 1) + `, "versions": [{"version": 1, ` + bundle + `}]}`, "CRL id 1 after 2"},
		"unknown id":         {`{"format": 1, "last_revocation_id": 2, ` + crls(1) + `, "versions": [{"version": 1, ` + bundle + `, "crls": [2]}]}`, "CRL 2 after 0"},
		"id twice":           {`{"format": 1, "last_revocation_id": 2, ` + crls(1) + `, "versions": [{"version": 1, ` + bundle + `, "crls": [1, 1]}]}`, "CRL 1 after 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseVersionLog([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("error %v, want it to contain %q", err, c.say)
			}
		})
	}
	good := `{"format": 1, "last_revocation_id": 3, ` + crls(1, 3) + `, "versions": [{"version": 7, ` + bundle + `, "crls": [1, 3]}]}`
	if _, err := parseVersionLog([]byte(good)); err != nil {
		t.Error(err)
	}
}

// FuzzVersionLog: whatever the file holds, it is refused, or every id and digest
// in it leads to something, and the next version is one too.
func FuzzVersionLog(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	f.Add([]byte(`{"format": 1, "last_revocation_id": 3, "crls": [{"id": 2, "sha256": "` + sum + `", "size": 1}], "versions": [{"version": 7, "ca_bundle": {"sha256": "` + sum + `", "size": 1}, "crls": [2]}]}`))
	f.Add([]byte(`{"format": 1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := parseVersionLog(data)
		if err != nil {
			return
		}
		for i := range log.Versions {
			e := &log.Versions[i]
			if v := log.version(e); len(v.CRLs) != len(e.CRLs) {
				t.Fatalf("version %d has %d of its %d CRLs", e.Number, len(v.CRLs), len(e.CRLs))
			}
		}
		e := *log.last()
		e.Number++
		next := log.with(e, nil)
		if next.last().Number == 0 || next.LastRevocationID != log.LastRevocationID || len(next.Versions) > max(maxVersions, len(log.Versions)) {
			t.Fatalf("next log %+v", next)
		}
		for sum := range log.contents() {
			if filepath.Base(sum) != sum || len(sum) != 64 {
				t.Fatalf("digest %q", sum)
			}
		}
	})
}

// TestKilledWhileChanging kills a process that puts and adds for all it can. What
// it has told of as done is there, and whole.
func TestKilledWhileChanging(t *testing.T) {
	const dirKey = "SALLYPORT_TEST_STATE"
	if dir := os.Getenv(dirKey); dir != "" {
		changeForEver(dir)
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	f := newAPIFixture(t)
	a := root()
	f.write("a.pem", pki.Bundle(a))
	f.write("b.pem", pki.Bundle(a, root()))
	f.write("a.crl", crl(a))
	done := uint64(0)
	for _, lines := range []int{1, 2, 5, 11} {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledWhileChanging$")
		child.Env = append(os.Environ(), dirKey+"="+f.dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(out)
		for n := 0; in.Scan(); n++ {
			if _, err := fmt.Sscan(in.Text(), &done); err != nil {
				t.Fatalf("the child says %q", in.Text())
			}
			if n == lines {
				child.Process.Kill()
			}
		}
		child.Wait()

		s := f.open()
		history := s.History()
		if len(history) == 0 || history[0].Number < done {
			t.Fatalf("version %d is lost: %v", done, numbers(history))
		}
		for _, v := range history {
			if _, err := s.Bundle(v.Number); err != nil {
				t.Error(err)
			}
			for _, c := range v.CRLs {
				if _, err := readCRL(s, c.ID); err != nil {
					t.Error(err)
				}
			}
		}
		judges(t, s, issue(a), reason.Success)
	}
	if done < 10 {
		t.Errorf("only %d versions were made", done)
	}
}

// changeForEver changes the store below dir and prints the number of each
// version made.
func changeForEver(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	cfg := config.TrustStore{Source: config.SourceAPI, Revocation: config.Revocation{CRL: config.CRLAuto, Scope: config.ScopeChain}, Limits: limits}
	s, _, err := New("partners", cfg, Options{Dir: filepath.Join(dir, "state"), Log: slog.New(slog.DiscardHandler)})
	fail(err)
	var files [][]byte
	for _, name := range []string{"a.pem", "b.pem", "a.crl"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		fail(err)
		files = append(files, data)
	}
	for i := 0; ; i++ {
		v, err := s.Put(files[i%2], time.Now())
		fail(err)
		fmt.Println(v.Number)
		v, id, err := addCRL(s, files[2], time.Now())
		fail(err)
		fmt.Println(v.Number)
		if ids := idsOf(v); len(ids) > 3 {
			v, err = s.RemoveCRL(slices.Min(ids), time.Now())
			fail(err)
			fmt.Println(v.Number, id)
		}
	}
}

package ocsp

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// lives runs one Client after another in the same directory against a responder.
// run ends with a Client that has stopped.
func lives(t *testing.T, do func(run func(o Options, do func(c *Client)), dir string, r *responder, leaf *x509.Certificate, log *journal)) {
	dir := filepath.Join(t.TempDir(), "ocsp")
	synctest.Test(t, func(t *testing.T) {
		var log journal
		r := newResponder(t)
		run := func(o Options, do func(c *Client)) {
			o.Dir, o.Log = dir, slog.New(slog.NewTextHandler(&log, nil))
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			c.settings.http = &http.Client{Transport: direct{r}}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- c.Run(ctx) }()
			do(c)
			cancel()
			<-done
		}
		do(run, dir, r, r.issue("leaf", []string{"http://ocsp.example"}), &log)
	})
}

// journal is a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func kept(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRevokedOverRestart: what was said to be revoked stays so though its responder
// is gone, its answer has lapsed and its client has a staple from before.
func TestRevokedOverRestart(t *testing.T) {
	lives(t, func(run func(Options, func(*Client)), dir string, r *responder, leaf *x509.Certificate, log *journal) {
		r.status, r.reason = xocsp.Revoked, 1
		run(Options{}, func(c *Client) { mustWait(t, c, leaf, r, ocsp.Revoked) })
		files := kept(t, dir)
		if len(files) != 1 {
			t.Fatalf("kept %q", files)
		}
		for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, files[0]: 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s is %v, %v", path, info.Mode(), err)
			}
		}
		r.set(func(r *responder) { r.http = 500 })
		for range 2 {
			pass(1000 * time.Hour)
			for name, ask := range map[string]func(c *Client) (ocsp.Answer, bool){
				"Lookup": func(c *Client) (ocsp.Answer, bool) { return c.Lookup(leaf, r.cert) },
				"Known":  func(c *Client) (ocsp.Answer, bool) { return c.Known(leaf, r.cert) },
				"Live": func(c *Client) (ocsp.Answer, bool) {
					now := time.Now()
					c.Note(leaf, r.cert, ocsp.Answer{Status: ocsp.Good, ThisUpdate: now, Expires: now.Add(time.Hour)})
					a, known, _ := c.Live(leaf, r.cert)
					return a, known
				},
			} {
				run(Options{}, func(c *Client) {
					if a, known := ask(c); !known || a.Status != ocsp.Revoked || a.Reason != ocsp.KeyCompromise {
						t.Errorf("%s after a restart: %+v, %t", name, a, known)
					}
				})
			}
		}
		// An answer from before does not take its place, and a newer one does.
		r.set(func(r *responder) {
			r.http, r.status, r.age, r.validity = 0, xocsp.Good, 3000*time.Hour, 9000*time.Hour
		})
		run(Options{}, func(c *Client) {
			c.Lookup(leaf, r.cert)
			pass(time.Minute)
			mustWait(t, c, leaf, r, ocsp.Revoked)
		})
		r.set(func(r *responder) { r.age = 0 })
		run(Options{}, func(c *Client) {
			c.Lookup(leaf, r.cert)
			pass(time.Minute)
			mustWait(t, c, leaf, r, ocsp.Good)
		})
		asked := len(r.asked())
		run(Options{}, func(c *Client) {
			mustWait(t, c, leaf, r, ocsp.Good)
			if n := len(r.asked()); n != asked {
				t.Errorf("asked %d times about what is fresh", n-asked)
			}
			pass(soon + renewInterval)
			if n := len(r.asked()); n != asked+1 {
				t.Errorf("asked %d times anew after the restart, want once", n-asked)
			}
		})
	})
}

// TestKeptWhileFresh: good and unknown ones, and holds, count no longer than that.
func TestKeptWhileFresh(t *testing.T) {
	for name, tt := range map[string]struct{ status, reason int }{
		"good": {xocsp.Good, 0}, "unknown": {xocsp.Unknown, 0}, "hold": {xocsp.Revoked, 6},
	} {
		t.Run(name, func(t *testing.T) {
			lives(t, func(run func(Options, func(*Client)), dir string, r *responder, leaf *x509.Certificate, log *journal) {
				r.status, r.reason = tt.status, tt.reason
				run(Options{}, func(c *Client) {
					if _, err := c.Wait(context.Background(), leaf, r.cert); err != nil {
						t.Fatal(err)
					}
				})
				r.set(func(r *responder) { r.http = 500 })
				pass(50 * time.Minute)
				run(Options{}, func(c *Client) {
					if _, known := c.Lookup(leaf, r.cert); !known {
						t.Error("it is not known while it is fresh")
					}
				})
				pass(20 * time.Minute)
				run(Options{}, func(c *Client) {
					if a, known := c.Lookup(leaf, r.cert); known {
						t.Errorf("it counts when it has lapsed: %+v", a)
					}
					pass(soon + time.Minute)
				})
				if n := len(kept(t, dir)); (n == 1) != (tt.status == xocsp.Revoked) {
					t.Errorf("%d files are left", n)
				}
			})
		})
	}
}

// TestKeptDamaged: one answer that is damaged, or another CA's, or swapped, is told
// and asked for anew, and costs no other.
func TestKeptDamaged(t *testing.T) {
	whole := func(change func(k *keptAnswer)) func([]byte) []byte {
		return func(data []byte) []byte {
			k, err := parseKept(data)
			if err != nil {
				panic(err)
			}
			change(&k)
			return k.encode()
		}
	}
	for name, tt := range map[string]struct {
		damage func([]byte) []byte
		quiet  bool
	}{
		"bit of the answer":  {func(b []byte) []byte { b[len(b)-9] ^= 4; return b }, false},
		"bit of the head":    {func(b []byte) []byte { b[keptHead-20] ^= 4; return b }, false},
		"other magic":        {func(b []byte) []byte { b[0] ^= 4; return b }, false},
		"cut":                {func(b []byte) []byte { return b[:len(b)/2] }, false},
		"cut in its head":    {func(b []byte) []byte { return b[:keptHead-1] }, false},
		"empty":              {func(b []byte) []byte { return nil }, true},
		"longer":             {func(b []byte) []byte { return append(b, make([]byte, ocsp.MaxResponse)...) }, false},
		"forged, well added": {whole(func(k *keptAnswer) { k.response[len(k.response)-9] ^= 4 }), false},
		"no answer":          {whole(func(k *keptAnswer) { k.response = nil }), false},
		"received too late":  {whole(func(k *keptAnswer) { k.received = k.received.Add(100 * time.Hour) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			lives(t, func(run func(Options, func(*Client)), dir string, r *responder, leaf *x509.Certificate, log *journal) {
				r.status, r.reason = xocsp.Revoked, 1
				run(Options{}, func(c *Client) { mustWait(t, c, leaf, r, ocsp.Revoked) })
				path := kept(t, dir)[0]
				pass(time.Nanosecond)
				other := r.issue("other", leaf.OCSPServer)
				run(Options{}, func(c *Client) { mustWait(t, c, other, r, ocsp.Revoked) })
				data, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, tt.damage(data), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				r.set(func(r *responder) { r.hold = make(chan struct{}) })
				run(Options{}, func(c *Client) {
					if a, known := c.Known(leaf, r.cert); known {
						t.Errorf("it counts: %+v", a)
					}
					if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("it is still there: %v", err)
					}
					if told := strings.Count(log.String(), "kept OCSP answer refused"); (told == 0) != tt.quiet || told > 1 {
						t.Errorf("told %d times: %s", told, log)
					}
					if a, known := c.Known(other, r.cert); !known || a.Status != ocsp.Revoked {
						t.Errorf("another is lost: %+v, %t", a, known)
					}
					close(r.hold)
					mustWait(t, c, leaf, r, ocsp.Revoked)
				})
				if n := len(kept(t, dir)); n != 2 {
					t.Errorf("%d files after it was asked anew", n)
				}
			})
		})
	}
}

// TestKeptIsBounded, by number and what has lapsed; the oldest go.
func TestKeptIsBounded(t *testing.T) {
	lives(t, func(run func(Options, func(*Client)), dir string, r *responder, leaf *x509.Certificate, log *journal) {
		o := Options{MaxEntries: 3, MaxRevoked: 2}
		r.reason = 1
		r.validity = 100 * time.Hour
		var bad, good []*x509.Certificate
		run(o, func(c *Client) {
			for i := range 5 {
				pass(time.Minute)
				r.set(func(r *responder) { r.status = xocsp.Revoked })
				bad = append(bad, r.issue("bad", leaf.OCSPServer))
				mustWait(t, c, bad[i], r, ocsp.Revoked)
				pass(time.Second)
				r.set(func(r *responder) { r.status = xocsp.Good })
				good = append(good, r.issue("good", leaf.OCSPServer))
				mustWait(t, c, good[i], r, ocsp.Good)
			}
			if err := os.WriteFile(filepath.Join(dir, "9"+keptPart), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			pass(soon)
		})
		if n := len(kept(t, dir)); n != 5 {
			t.Errorf("%d files, want 5: 3 and 2", n)
		}
		if !strings.Contains(log.String(), "more revoked certificates") {
			t.Errorf("not told: %s", log)
		}
		r.set(func(r *responder) { r.http = 500 })
		run(o, func(c *Client) {
			for i := range bad {
				if _, known := c.Known(bad[i], r.cert); known != (i >= 3) {
					t.Errorf("revoked certificate %d: known %t", i, known)
				}
				if _, known := c.Known(good[i], r.cert); known != (i >= 2) {
					t.Errorf("good certificate %d: known %t", i, known)
				}
			}
		})
	})
}

// TestNotKept: a disk that takes nothing is told once, and costs no answer; what is
// known is written when it can be.
func TestNotKept(t *testing.T) {
	lives(t, func(run func(Options, func(*Client)), dir string, r *responder, leaf *x509.Certificate, log *journal) {
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.status, r.reason = xocsp.Revoked, 1
		run(Options{}, func(c *Client) {
			mustWait(t, c, leaf, r, ocsp.Revoked)
			pass(5 * saveRetry)
			if told := strings.Count(log.String(), "not kept"); told != 1 {
				t.Errorf("told %d times: %s", told, log)
			}
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			pass(saveRetry)
			if n := len(kept(t, dir)); n != 1 || !strings.Contains(log.String(), "kept again") {
				t.Errorf("%d files; %s", n, log)
			}
		})
	})
}

// TestNewerStays: two processes share the directory for a moment, and the one that
// writes last need not be the one that knows best.
func TestNewerStays(t *testing.T) {
	lives(t, func(run func(Options, func(*Client)), dir string, r *responder, leaf *x509.Certificate, log *journal) {
		run(Options{}, func(before *Client) {
			mustWait(t, before, leaf, r, ocsp.Good)
			pass(time.Minute)
			run(Options{}, func(after *Client) {
				r.set(func(r *responder) { r.status, r.reason = xocsp.Revoked, 1 })
				pass(soon + time.Minute)
				after.Lookup(leaf, r.cert)
				pass(soon + renewInterval)
				mustWait(t, after, leaf, r, ocsp.Revoked)
			})
			before.mu.Lock()
			e := before.entries[mustID(t, leaf, r.cert)]
			before.keep(e, []byte("older"), time.Now())
			before.mu.Unlock()
			pass(time.Second)
		})
		r.set(func(r *responder) { r.http = 500 })
		run(Options{}, func(c *Client) { mustWait(t, c, leaf, r, ocsp.Revoked) })
	})
}

func FuzzParseKept(f *testing.F) {
	k := keptAnswer{ocsp.Revoked, time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0), []byte("response")}
	f.Add(k.encode())
	f.Add([]byte(keptMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := parseKept(data)
		if err == nil && !bytes.Equal(k.encode(), data) {
			t.Errorf("%x is read as %+v", data, k)
		}
	})
}

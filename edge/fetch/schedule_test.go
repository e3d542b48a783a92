package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script is a network without sockets: it notes when it was asked.
type script struct {
	start  time.Time
	mu     sync.Mutex
	when   []time.Duration                   // since the start
	answer func(*http.Request) (int, string) // 0: no answer
}

func (s *script) asked() []time.Duration {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.when)
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.when = append(s.when, time.Since(s.start))
	status, body := s.answer(r)
	if status == 0 {
		return nil, errors.New("nobody is there")
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Etag": {`"1"`}},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader([]byte(body)))}, nil
}

// running runs a Fetcher with one URL in a bubble, and stops it after do.
func running(t *testing.T, answer func(*http.Request) (int, string), accept Accept, do func(*Fetcher, *script)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, err := New(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s := &script{start: time.Now(), answer: answer}
		f.client = &http.Client{Transport: s}
		if err := f.Add(scriptURL, accept); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		do(f, s)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

const scriptURL = "http://crl.example/ca.crl"

// within says whether the waits between what was asked are those wanted, up to a
// tenth early.
func within(t *testing.T, asked []time.Duration, waits ...time.Duration) {
	t.Helper()
	if len(asked) != len(waits)+1 || asked[0] != 0 {
		t.Fatalf("asked at %v, want %d times from the start on", asked, len(waits)+1)
	}
	for i, want := range waits {
		if got := asked[i+1] - asked[i]; got > want || got < want-want/10 {
			t.Errorf("wait %d was %s, want %s less up to a tenth", i, got, want)
		}
	}
}

func TestDueAsTheConsumerSays(t *testing.T) {
	body := "a"
	running(t, func(*http.Request) (int, string) { body += "a"; return 200, body },
		func(context.Context, string, func() error) (time.Time, error) { return time.Now().Add(time.Hour), nil },
		func(_ *Fetcher, s *script) {
			<-time.After(3*time.Hour - time.Minute)
			within(t, s.asked()[:3], time.Hour, time.Hour)
		})
}

func TestMaxInterval(t *testing.T) {
	body := "a"
	running(t, func(*http.Request) (int, string) { body += "a"; return 200, body },
		func(context.Context, string, func() error) (time.Time, error) { return time.Time{}, nil },
		func(_ *Fetcher, s *script) {
			<-time.After(25 * time.Hour)
			within(t, s.asked(), 24*time.Hour)
		})
}

// TestMinInterval: a consumer that wants it now, always, does not get it.
func TestMinInterval(t *testing.T) {
	for _, due := range []time.Duration{-time.Hour, 0, time.Second} {
		body := "a"
		running(t, func(*http.Request) (int, string) { body += "a"; return 200, body },
			func(context.Context, string, func() error) (time.Time, error) { return time.Now().Add(due), nil },
			func(_ *Fetcher, s *script) {
				<-time.After(3*time.Minute + time.Second)
				within(t, s.asked(), time.Minute, time.Minute, time.Minute)
			})
	}
}

// TestLateCA: when nothing newer comes though it is due, the waits grow.
func TestLateCA(t *testing.T) {
	running(t, func(r *http.Request) (int, string) {
		if r.Header.Get("If-None-Match") != "" {
			return 304, ""
		}
		return 200, "a"
	}, func(context.Context, string, func() error) (time.Time, error) { return time.Now().Add(time.Hour), nil },
		func(f *Fetcher, s *script) {
			<-time.After(30 * time.Hour)
			synctest.Wait()
			n := len(s.asked())
			if wait := s.asked()[n-1] - s.asked()[n-2]; wait < 54*time.Minute || wait > time.Hour {
				t.Errorf("last wait was %s", wait)
			}
			if early := s.asked()[3] - s.asked()[2]; early > 2*time.Minute {
				t.Errorf("first wait was %s", early)
			}
			if st := f.Status()[0]; st.Failures != 0 || st.LastError != "" || !st.LastChange.Equal(s.start) || !st.LastSuccess.After(st.LastChange) {
				t.Errorf("status is %+v", st)
			}
		})
}

func TestBackoff(t *testing.T) {
	var works atomic.Bool
	running(t, func(*http.Request) (int, string) {
		if !works.Load() {
			return 0, ""
		}
		return 200, "a"
	}, (&consumer{}).accept, func(f *Fetcher, s *script) {
		<-time.After(80 * time.Second)
		within(t, s.asked()[:5], 5*time.Second, 10*time.Second, 20*time.Second, 40*time.Second)
		<-time.After(48 * time.Hour)
		n := len(s.asked())
		if wait := s.asked()[n-1] - s.asked()[n-2]; wait < 54*time.Minute || wait > time.Hour {
			t.Errorf("last wait was %s", wait)
		}
		st := f.Status()[0]
		if st.Failures != n || st.LastError != "nobody is there" || !st.LastSuccess.IsZero() || !st.NextAttempt.After(time.Now()) {
			t.Errorf("status is %+v after %d attempts", st, n)
		}
		// Asked for by hand, it is tried at once, but not again and again.
		for range 3 {
			if !f.Refresh(scriptURL) {
				t.Error("no such URL")
			}
			synctest.Wait()
		}
		if len(s.asked()) != n+1 {
			t.Errorf("asked %d times, want once", len(s.asked())-n)
		}
		// Removed and added again, it has to wait all the same.
		f.Remove(scriptURL)
		if f.Refresh(scriptURL) {
			t.Error("it is there still")
		}
		works.Store(true)
		c := &consumer{}
		if err := f.Add(scriptURL, c.accept); err != nil {
			t.Fatal(err)
		}
		<-time.After(50 * time.Minute)
		if len(s.asked()) != n+1 {
			t.Error("asked although it had failed")
		}
		<-time.After(10 * time.Minute)
		if len(s.asked()) != n+2 || len(c.all()) != 1 {
			t.Errorf("asked %d times, took %q", len(s.asked())-n, c.all())
		}
	})
}

// TestRefusedFile: what the consumer refuses is a failure like any other.
func TestRefusedFile(t *testing.T) {
	running(t, func(*http.Request) (int, string) { return 200, "bad" }, (&consumer{}).accept,
		func(f *Fetcher, s *script) {
			<-time.After(12 * time.Second)
			synctest.Wait()
			if st := f.Status()[0]; st.LastError != errBad.Error() || st.Failures != 2 || st.Bytes != 0 {
				t.Errorf("status is %+v", st)
			}
		})
}

func TestBounds(t *testing.T) {
	for name, o := range map[string]Options{
		"no directory":      {},
		"negative timeout":  {Dir: "x", Timeout: -1},
		"negative size":     {Dir: "x", MaxSize: -1},
		"intervals swapped": {Dir: "x", MinInterval: time.Hour, MaxInterval: time.Minute},
		"backoffs swapped":  {Dir: "x", MinBackoff: time.Hour, MaxBackoff: time.Minute},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

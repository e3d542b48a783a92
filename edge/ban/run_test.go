package ban

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// running is a Keeper that runs on the clock of a bubble.
type running struct {
	*Keeper
	dir    string
	kernel *fakeKernel
	log    bytes.Buffer
	stop   func() error
}

func run(t *testing.T, dir string, kernel *fakeKernel) *running {
	t.Helper()
	r := &running{dir: dir, kernel: kernel}
	o := Options{Config: configured(t, nil), Dir: dir, Log: slog.New(slog.NewTextHandler(&r.log, nil))}
	if kernel != nil {
		o.Kernel = kernel
	}
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Keeper = k
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	r.stop = func() error { cancel(); return <-done }
	synctest.Wait()
	return r
}

func (r *running) fail(addr string) {
	for range 10 {
		r.Observe(Observation{Addr: netip.MustParseAddr(addr), Direct: true, Code: reason.ProtocolError})
	}
}

// after lets time pass in the bubble.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, dir, newFakeKernel(100))
		r.fail("192.0.2.1")
		synctest.Wait()
		if !r.kernel.has("192.0.2.1/32") {
			t.Error("the kernel was not told at once")
		}
		path := filepath.Join(dir, FileName)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Error("saved already")
		}
		after(tick)
		first, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(first), "192.0.2.1/32") {
			t.Errorf("saved %s: %v", first, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if again, err := os.Stat(path); err != nil || !os.SameFile(info, again) {
			t.Error("saved without a change")
		}

		after(10 * time.Minute)
		if r.kernel.has("192.0.2.1/32") {
			t.Error("not reaped")
		}
		if !strings.Contains(r.log.String(), `msg="ban ended" prefix=192.0.2.1/32`) {
			t.Errorf("log: %s", &r.log)
		}
		r.fail("192.0.2.2")
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if !r.kernel.has("192.0.2.2/32") {
			t.Error("the kernel was not told at the end")
		}
		last, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(last), "192.0.2.2/32") {
			t.Errorf("saved %s: %v", last, err)
		}
	})
}

func TestRunTriesAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		r := run(t, dir, newFakeKernel(1))
		r.fail("192.0.2.1")
		r.fail("192.0.2.2")
		after(10 * time.Second)
		if s := r.Stats(); s.SaveErrors == 0 || s.Pending != 1 || !s.Saved.IsZero() {
			t.Errorf("%+v", s)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		r.kernel.mu.Lock()
		r.kernel.room = 2
		r.kernel.mu.Unlock()
		after(kernelRetry)
		if s := r.Stats(); s.Saved.IsZero() || s.Pending != 0 || s.InKernel != 2 {
			t.Errorf("%+v", s)
		}
		for _, line := range []string{"bans not saved", "bans saved again"} {
			if strings.Count(r.log.String(), line) != 1 {
				t.Errorf("not said once: %s in %s", line, &r.log)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		r.fail("192.0.2.3")
		if err := r.stop(); err == nil || !strings.Contains(err.Error(), "save bans") {
			t.Errorf("got %v", err)
		}
	})
}

// TestRestart is three lives of one state directory.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		kernel := newFakeKernel(100)
		r := run(t, dir, kernel)
		r.fail("192.0.2.1")
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r = run(t, dir, newFakeKernel(100)) // a reboot
		if _, ok := r.Banned(netip.MustParseAddr("192.0.2.1")); !ok || !r.kernel.has("192.0.2.1/32") {
			t.Error("forgotten over a reboot")
		}
		if _, err := r.Ban(netip.MustParsePrefix("192.0.2.2/32"), 0, "", ByAdmin); err != nil {
			t.Fatal(err)
		}
		kernel = r.kernel
		synctest.Wait() // as far as it comes before it is killed
		killed := r.stop
		r = run(t, dir, kernel)
		if _, ok := r.Banned(netip.MustParseAddr("192.0.2.2")); !ok {
			t.Error("forgotten over a kill")
		}
		if err := errors.Join(r.stop(), killed()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestConcurrently is for the race detector: everything at once.
func TestConcurrently(t *testing.T) {
	f := newFixture(t, nil)
	f.kernel = newFakeKernel(200)
	k, err := New(Options{Config: f.cfg, Dir: f.dir, Kernel: f.kernel, OnBan: func(b Ban) { b.Prefix.IsValid() }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- k.Run(ctx) }()
	const rounds = 3000
	jobs := []func(n int){
		func(n int) {
			k.Observe(Observation{Addr: number(n % 50), Direct: n%3 > 0, Code: reason.ProtocolError})
		},
		func(n int) {
			k.Observe(Observation{Addr: number(n % 50), Code: reason.Success, Certificate: [32]byte{byte(n)}})
		},
		func(n int) { k.Banned(number(n % 50)) },
		func(n int) { // each is saved, which takes some milliseconds
			if n%20 == 0 {
				_, _ = k.Ban(netip.PrefixFrom(number(n/20%100), 24+n/20%9), time.Minute, "x", ByAdmin)
			}
		},
		func(n int) {
			if n%20 == 0 {
				_, _ = k.Unban(netip.PrefixFrom(number(n/20%100), 32))
			}
		},
		func(n int) {
			if n%50 == 0 {
				k.Stats()
				collect(k)
				cfg := f.cfg
				cfg.Mode = []config.BanMode{config.BanEnforce, config.BanDryRun, config.BanOff}[n/50%3]
				cfg.Escalate.Addresses = n / 50 % 4
				k.Reconfigure(cfg, []netip.Prefix{netip.PrefixFrom(number(n%50), 32)})
			}
		},
	}
	done := make(chan struct{})
	for _, job := range jobs {
		go func() {
			for n := range rounds {
				job(n)
			}
			done <- struct{}{}
		}()
	}
	for range jobs {
		<-done
	}
	k.Reconfigure(f.cfg, nil)
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	// What is counted is what is there.
	s, in := k.Stats(), BySource{}
	for b := range k.All() {
		switch {
		case b.By != ByPolicy:
			in.Hand++
		case b.DryRun:
			in.DryRun++
		default:
			in.Policy++
		}
	}
	if s.InForce != in {
		t.Errorf("counted %+v, there are %+v", s.InForce, in)
	}
	if s.InKernel != len(f.kernel.bans) {
		t.Errorf("counted %d in the kernel, there are %d", s.InKernel, len(f.kernel.bans))
	}
}

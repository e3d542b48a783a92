package ban

import (
	"bytes"
	"encoding/binary"
	"iter"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// start is on no boundary of anything.
var start = time.Date(2025, 11, 21, 4, 27, 13, 123456789, time.UTC)

// fixture is a Keeper and a clock that stands still.
type fixture struct {
	t      testing.TB
	now    time.Time
	cfg    config.Ban
	dir    string
	kernel *fakeKernel // nil is none
	exempt []netip.Prefix
	banned []Ban // told to OnBan
	log    bytes.Buffer
	*Keeper
}

// unsavedBy does something whose changes never get to the disk, as in a process
// that is killed before it has saved them.
func (f *fixture) unsavedBy(do func()) {
	path := f.path
	f.path = ""
	do()
	f.path = path
}

func newFixture(t testing.TB, change func(*config.Ban)) *fixture {
	t.Helper()
	f := &fixture{t: t, now: start, cfg: configured(t, change), dir: t.TempDir()}
	f.open()
	return f
}

// configured is the section as it is with a mode and nothing else.
func configured(t testing.TB, change func(*config.Ban)) config.Ban {
	t.Helper()
	c, _ := config.Parse("test.yaml", []byte("ban: {mode: enforce}"), "")
	if change != nil {
		change(&c.Ban)
	}
	return c.Ban
}

// open makes the Keeper anew, as a restart does.
func (f *fixture) open() {
	f.t.Helper()
	o := Options{
		Config: f.cfg, Exempt: f.exempt, Dir: f.dir,
		OnBan: func(b Ban) { f.banned = append(f.banned, b) },
		Log:   slog.New(slog.NewTextHandler(&f.log, nil)),
		Now:   func() time.Time { return f.now },
	}
	if f.kernel != nil {
		o.Kernel = f.kernel
	}
	k, err := New(o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Keeper = k
}

func (f *fixture) pass(d time.Duration) { f.now = f.now.Add(d) }

// fail observes n direct failures.
func (f *fixture) fail(addr string, code reason.Code, n int) {
	for range n {
		f.Observe(Observation{Addr: netip.MustParseAddr(addr), Direct: true, Code: code})
	}
}

func (f *fixture) succeed(addr string, certificate byte) {
	f.Observe(Observation{Addr: netip.MustParseAddr(addr), Direct: true, Code: reason.Success, Certificate: [32]byte{certificate, 1}})
}

func (f *fixture) isBanned(addr string) bool {
	_, ok := f.Banned(netip.MustParseAddr(addr))
	return ok
}

func (f *fixture) want(addr string, banned bool) {
	f.t.Helper()
	if got := f.isBanned(addr); got != banned {
		f.t.Errorf("%s: banned %t, want %t", addr, got, banned)
	}
}

// wantBan returns the ban of an address.
func (f *fixture) wantBan(addr string) Ban {
	f.t.Helper()
	b, ok := f.Banned(netip.MustParseAddr(addr))
	if !ok {
		f.t.Fatalf("%s is not banned", addr)
	}
	return b
}

func (f *fixture) byHand(prefix string, d time.Duration) Ban {
	f.t.Helper()
	b, err := f.Ban(netip.MustParsePrefix(prefix), d, "", ByAdmin)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// number is the nth of many addresses.
func number(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n)+20<<24)
	return netip.AddrFrom4(b)
}

// fakeKernel is a kernel as it should be, with room for so many bans, which fails
// on demand.
type fakeKernel struct {
	mu      sync.Mutex
	bans    map[netip.Prefix]KernelBan
	exempt  []netip.Prefix
	room    int
	failing error
	refused map[netip.Prefix]error
	written int // bans put

	exemptFailing error
	exemptTold    int

	mode        config.BanMode
	modeFailing error
	wrong       []string // what would have been dropped in a dry run
}

// judge notes what the kernel would drop that it must not.
func (k *fakeKernel) judge() {
	for p, b := range k.bans {
		if b.DryRun && k.mode == config.BanEnforce {
			k.wrong = append(k.wrong, p.String())
		}
	}
}

func (k *fakeKernel) SetMode(mode config.BanMode) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.modeFailing != nil {
		return k.modeFailing
	}
	k.mode = mode
	k.judge()
	return nil
}

func newFakeKernel(room int) *fakeKernel {
	return &fakeKernel{mode: config.BanEnforce, bans: map[netip.Prefix]KernelBan{}, room: room, refused: map[netip.Prefix]error{}}
}

func (k *fakeKernel) Ban(bans []KernelBan) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, b := range bans {
		_, known := k.bans[b.Prefix]
		switch {
		case k.failing != nil:
			return i, k.failing
		case k.refused[b.Prefix] != nil:
			return i, k.refused[b.Prefix]
		case !known && len(k.bans) >= k.room:
			return i, ErrKernelFull
		}
		k.bans[b.Prefix] = b
		k.written++
	}
	k.judge()
	return len(bans), nil
}

func (k *fakeKernel) Unban(list []netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failing != nil {
		return k.failing
	}
	for _, p := range list {
		delete(k.bans, p)
	}
	return nil
}

func (k *fakeKernel) Bans() iter.Seq2[KernelBan, error] {
	return func(yield func(KernelBan, error) bool) {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, b := range k.bans {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func (k *fakeKernel) Reap(now time.Time) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for p, b := range k.bans {
		if !b.Until.IsZero() && !now.Before(b.Until) {
			delete(k.bans, p)
			n++
		}
	}
	return n, k.failing
}

func (k *fakeKernel) SetExempt(list []netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.exemptTold++
	if k.exemptFailing != nil {
		return k.exemptFailing
	}
	if k.failing == nil {
		k.exempt = list
	}
	return k.failing
}

func (k *fakeKernel) has(prefix string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.bans[netip.MustParsePrefix(prefix)]
	return ok
}

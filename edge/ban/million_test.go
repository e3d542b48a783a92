package ban

import (
	"iter"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/edge/reason"
)

// million is how many bans a Keeper must be at ease with: as many where
// SALLYPORT_SOAK is set, as they take seconds of two CPUs.
var million = func() int {
	if os.Getenv("SALLYPORT_SOAK") != "" {
		return 1_000_000
	}
	return fewer
}()

// TestMillion: a million bans are there some seconds after a start, before which
// nobody is let in, and are listed while everything else goes on.
func TestMillion(t *testing.T) {
	f := filled(t, million)
	if _, err := f.save(); err != nil {
		t.Fatal(err)
	}
	f.now, f.cfg.MaxBans = time.Now(), 2*million
	before := processorTime(t)
	f.open()
	took := processorTime(t) - before
	t.Logf("restored in %v", took)
	if limit := slack * 5 * time.Second; took > limit {
		t.Errorf("restored in %v, want at most %v", took, limit)
	}
	if s := f.Stats(); s.InForce.Policy != uint64(million) {
		t.Fatalf("%d restored", s.InForce.Policy)
	}
	for n := 0; n < million; n += 999 {
		f.want(number(n).String(), true)
	}
	f.want(number(million).String(), false)

	next, stop := iter.Pull(f.All())
	defer stop()
	if _, ok := next(); !ok {
		t.Fatal("nothing is listed")
	}
	// In the middle of it: none of these would return if it kept them waiting.
	f.byHand("2001:db8::/32", 0)
	f.want("2001:db8::1", true)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.want("192.0.2.1", true)
	if n, err := f.Unban(netip.PrefixFrom(number(0), 32)); err != nil || n != 1 {
		t.Errorf("unban = %d, %v", n, err)
	}
	listed := 1
	for b, ok := next(); ok; b, ok = next() {
		if b.Prefix.Addr().Is4() && b.By == ByPolicy {
			listed++
		}
	}
	if listed < million-1 || listed > million+2 {
		t.Errorf("%d listed, want the %d of before", listed, million)
	}
}

// processorTime is what this process has had of the processors, which others on the
// machine do not lengthen.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestMillionReachTheKernel: what it lacks of a table is told at the start in
// batches, and nothing of that is kept.
func TestMillionReachTheKernel(t *testing.T) {
	const many = 10*kernelBatch + 7
	f := filled(t, many)
	f.byHand("2001:db8::/32", 0)
	if _, err := f.save(); err != nil {
		t.Fatal(err)
	}
	f.now, f.kernel = time.Now(), newFakeKernel(2*many)
	f.open()
	f.kernel.bans[netip.PrefixFrom(number(3), 32)] = KernelBan{Prefix: netip.PrefixFrom(number(3), 32), Until: f.now.Add(time.Hour)} // has it already
	f.adopt(t.Context())
	if n := len(f.kernel.bans); n != many+1 || len(f.dirty) > 1 {
		t.Errorf("the kernel has %d, %d are to be told, want %d and nearly none", n, len(f.dirty), many+1)
	}
	f.syncKernel()
	if s := f.Stats(); s.InKernel != many+1 || s.Pending != 0 {
		t.Errorf("%d in the kernel, %d pending, want %d and none", s.InKernel, s.Pending, many+1)
	}
}

// TestKernelFullAtTheStart: what finds no room is tried again when there is some.
func TestKernelFullAtTheStart(t *testing.T) {
	const many = 2 * kernelBatch
	f := filled(t, many)
	if _, err := f.save(); err != nil {
		t.Fatal(err)
	}
	f.now, f.kernel = time.Now(), newFakeKernel(100)
	f.open()
	f.adopt(t.Context())
	f.syncKernel()
	if s := f.Stats(); s.InKernel != 100 || s.Pending != many-100 || s.KernelFull == 0 {
		t.Errorf("%d in the kernel, %d pending, full %d times", s.InKernel, s.Pending, s.KernelFull)
	}
	f.want(number(many-1).String(), true)
	f.kernel.room = many
	f.retryKernel()
	f.syncKernel()
	if s := f.Stats(); s.InKernel != many || s.Pending != 0 {
		t.Errorf("%d in the kernel, %d pending", s.InKernel, s.Pending)
	}
}

// TestRestoredBansEndInTime, whatever order the file has them in.
func TestRestoredBansEndInTime(t *testing.T) {
	const many = 200
	f := newFixture(t, nil)
	f.unsavedBy(func() {
		for n := range many {
			f.byHand(number(n).String()+"/32", time.Duration(1+n*37%many)*time.Minute)
		}
	})
	if _, err := f.save(); err != nil {
		t.Fatal(err)
	}
	f.open()
	for over := 1; over <= many; over++ {
		f.pass(time.Minute)
		if s := f.Stats(); s.Expired.Hand != uint64(over) || s.InForce.Hand != uint64(many-over) {
			t.Fatalf("after %d minutes %d have ended and %d are in force", over, s.Expired.Hand, s.InForce.Hand)
		}
	}
}

package ban

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// handed is what one process tells the other.
func handed(t testing.TB, from, to *Keeper) {
	t.Helper()
	for {
		list := from.Changes()
		if len(list) == 0 {
			return
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var got []Change
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if err := to.Apply(got); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHandOver(t *testing.T) {
	f := newFixture(t, nil)
	f.byHand("198.51.100.0/24", 0)
	f.fail("203.0.113.1", reason.ClientCertMissing, 20)
	if err := f.Depart(); err != nil {
		t.Fatal(err)
	}
	// The successor has what was on disk.
	next := &fixture{t: t, now: f.now, cfg: f.cfg, dir: f.dir, kernel: newFakeKernel(100)}
	next.open()
	next.want("198.51.100.7", true)
	next.want("203.0.113.1", true)

	// What changes from there on, it is told.
	f.fail("203.0.113.2", reason.ClientCertMissing, 20)
	f.byHand("203.0.113.3/32", time.Hour)
	f.Unban(netip.MustParsePrefix("198.51.100.0/24"))
	f.Leave()
	f.fail("203.0.113.4", reason.ClientCertMissing, 20)
	handed(t, f.Keeper, next.Keeper)
	for addr, banned := range map[string]bool{
		"203.0.113.1": true, "203.0.113.2": true, "203.0.113.3": true, "203.0.113.4": true, "198.51.100.7": false,
	} {
		next.want(addr, banned)
	}
	if was, is := f.wantBan("203.0.113.2"), next.wantBan("203.0.113.2"); was.Reason != is.Reason || was.Repeat != is.Repeat || !was.Direct || !is.Direct ||
		was.Until.Sub(is.Until).Abs() > time.Millisecond {
		t.Errorf("%+v became %+v", was, is)
	}
	checkTally(t, next.Keeper)
	next.syncKernel()
	if !next.kernel.has("203.0.113.4/32") || next.kernel.has("198.51.100.0/24") {
		t.Error("the kernel was not told what was taken over")
	}
	if len(f.Changes()) != 0 {
		t.Error("changes are told twice")
	}
	// They end in their time.
	next.pass(2 * time.Hour)
	next.want("203.0.113.4", false)
}

// Once it has left, a Keeper does not write; what a
// person changes goes to the other process, or into the file when that is gone.
func TestLeaveTheFile(t *testing.T) {
	f := newFixture(t, nil)
	f.byHand("203.0.113.1/32", 0)
	if err := f.Depart(); err != nil {
		t.Fatal(err)
	}
	f.Leave()
	path := filepath.Join(f.dir, FileName)
	theirs := []byte("another process's")
	if err := os.WriteFile(path, theirs, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Ban(netip.MustParsePrefix("203.0.113.2/32"), 0, "", ByAdmin); err != nil {
		t.Errorf("ban: %v", err)
	}
	if list := f.Changes(); len(list) != 1 || list[0].Prefix.String() != "203.0.113.2/32" || list[0].Ban == "" {
		t.Errorf("changes: %+v, want the ban", list)
	}
	if _, err := f.save(); err != nil {
		t.Error(err)
	}
	if f.unsaved() {
		t.Error("would save at the end")
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(theirs) {
		t.Errorf("the file was written: %q, %v", now, err)
	}
	// The other one is gone: all is as before, whatever that has written.
	f.Stay()
	if _, err := f.save(); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.want("203.0.113.1", true)
	f.want("203.0.113.2", true)
	f.want("203.0.113.2", true)
	if len(f.Changes()) != 0 {
		t.Error("somebody is still told of changes")
	}
}

func TestApplyRefuses(t *testing.T) {
	f := newFixture(t, nil)
	f.byHand("203.0.113.1/32", 0)
	p := netip.MustParsePrefix("203.0.113.1/32")
	for _, c := range []Change{
		{},
		{Prefix: p, Ban: "nonsense"},
		{Prefix: p, Ban: `203.0.113.2/32 1 2 - 0 0 direct "admin" ""`},
	} {
		if err := f.Apply([]Change{c}); err == nil {
			t.Errorf("%+v was taken", c)
		}
		f.want("203.0.113.1", true)
	}
	if err := f.Apply([]Change{{Prefix: p}}); err != nil {
		t.Error(err)
	}
	f.want("203.0.113.1", false)
}

func FuzzApply(f *testing.F) {
	f.Add("203.0.113.1/32", `203.0.113.1/32 1 2 - 0 0 direct "admin" ""`)
	f.Add("2001:db8::/64", "")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, prefix, line string) {
		k := newFixture(t, nil)
		p, _ := netip.ParsePrefix(prefix)
		k.Apply([]Change{{p, line}, {p, line}})
		checkTally(t, k.Keeper)
	})
}

// checkTally fails if the counts are not those of the table.
func checkTally(t *testing.T, k *Keeper) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	var counted tally
	for e := range k.table.all() {
		counted.add(e, 1)
	}
	if counted != k.tally {
		t.Errorf("tally %+v, want %+v", k.tally, counted)
	}
}

// What a process tells that drains must end no ban of the one that serves: it may
// forget one that is over, or ban for an hour whom a person has banned for ever since.
func TestMergeEndsNothing(t *testing.T) {
	f := newFixture(t, nil)
	if err := f.Depart(); err != nil {
		t.Fatal(err)
	}
	next := &fixture{t: t, now: f.now, cfg: f.cfg, dir: f.dir, kernel: newFakeKernel(100)}
	next.open()
	f.Leave()
	merge := func(list []Change, want bool) {
		t.Helper()
		if changed, err := next.Merge(list, false); err != nil || changed != want {
			t.Fatalf("changed: %v, %v; want %v", changed, err, want)
		}
	}
	next.byHand("203.0.113.1/32", 0)
	next.byHand("203.0.113.2/32", 0)
	for _, addr := range []string{"203.0.113.2", "203.0.113.3"} {
		f.fail(addr, reason.ClientCertMissing, 20)
	}
	merge([]Change{{Prefix: netip.MustParsePrefix("203.0.113.1/32")}}, false)
	told := f.Changes()
	merge(told, true) // of the third
	merge(told, false)
	for _, addr := range []string{"203.0.113.1", "203.0.113.2"} {
		if b := next.wantBan(addr); !b.Until.IsZero() || b.By == ByPolicy {
			t.Errorf("%s: %+v", addr, b)
		}
	}
	next.want("203.0.113.3", true)
	next.syncKernel()
	if !next.kernel.has("203.0.113.3/32") {
		t.Error("the kernel was not told what was taken over")
	}
	checkTally(t, next.Keeper)
	if _, err := next.Merge([]Change{{Prefix: netip.MustParsePrefix("203.0.113.9/32"), Ban: "nonsense"}}, false); err == nil {
		t.Error("nonsense is taken")
	}

	// What was told is not told back, and a person's ban takes the place of policy's.
	if err := next.Depart(); err != nil {
		t.Fatal(err)
	}
	f.fail("203.0.113.4", reason.ClientCertMissing, 20)
	merge(f.Changes(), true)
	if list := next.Changes(); len(list) != 0 {
		t.Errorf("told back: %v", list)
	}
	next.byHand("203.0.113.4/32", time.Minute)
	if _, err := f.Merge(next.State([]netip.Prefix{netip.MustParsePrefix("203.0.113.4/32")}), false); err != nil {
		t.Fatal(err)
	}
	if b := f.wantBan("203.0.113.4"); b.By == ByPolicy {
		t.Errorf("%+v", b)
	}
	if list := f.Changes(); len(list) != 0 {
		t.Errorf("told back: %v", list)
	}
	// One that comes from a third process is passed on.
	if changed, err := f.Merge([]Change{{Prefix: netip.MustParsePrefix("203.0.113.5/32"), Ban: strings.Replace(told[0].Ban, told[0].Prefix.String(), "203.0.113.5/32", 1)}}, true); err != nil || !changed || len(f.Changes()) != 1 {
		t.Errorf("changed: %v, %v", changed, err)
	}
}

// The kernel is the other's as well: what that has lifted must not be dropped again.
func TestLeaveTheKernel(t *testing.T) {
	f := &fixture{t: t, now: start, cfg: configured(t, nil), dir: t.TempDir(), kernel: newFakeKernel(100)}
	f.open()
	if err := f.Depart(); err != nil {
		t.Fatal(err)
	}
	f.Leave()
	f.fail("203.0.113.1", reason.ClientCertMissing, 20)
	f.syncKernel()
	if f.kernel.has("203.0.113.1/32") {
		t.Error("the kernel is told by a process that has left it")
	}
	f.Stay()
	f.syncKernel()
	if !f.kernel.has("203.0.113.1/32") {
		t.Error("the kernel is not told what it was not while another had it")
	}
}

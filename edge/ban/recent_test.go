package ban

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

func (f *fixture) recentFile() string { return filepath.Join(f.dir, RecentName) }

// changedByHand is a fixture with bans in its file and changes by hand behind it.
func changedByHand(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, nil)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.fail("2001:db8::1", reason.ProtocolError, 10)
	f.byHand("203.0.113.0/24", time.Hour)
	saveNow(t, f)
	if _, err := f.Ban(netip.MustParsePrefix("198.51.100.0/24"), time.Hour, `"x" y`, "ops"); err != nil {
		t.Fatal(err)
	}
	f.byHand("203.0.113.0/24", 0) // in place of the one before
	for _, p := range []string{"192.0.2.0/24", "2001:db8::1/128"} {
		if n, err := f.Unban(netip.MustParsePrefix(p)); n != 1 || err != nil {
			t.Fatalf("lifted %d of %s: %v", n, p, err)
		}
	}
	f.byHand("192.0.2.7/32", time.Minute)
	return f
}

// TestRecent holds the format to its golden file, and what it says to what was
// done.
func TestRecent(t *testing.T) {
	f := changedByHand(t)
	before, err := os.Stat(f.path)
	if err != nil {
		t.Fatal(err)
	}
	want := collect(f.Keeper)
	got, err := os.ReadFile(f.recentFile())
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/bans.recent"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The first line has the sum of the other file, whose lines are in no order.
	if text, err := os.ReadFile(golden); err != nil || shape(string(text)) != shape(string(got)) {
		t.Errorf("got\n%swant\n%s%v", got, text, err)
	}
	if info, err := os.Stat(f.recentFile()); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	f.open()
	sameBans(t, collect(f.Keeper), want)
	if after, err := os.Stat(f.path); err != nil || !os.SameFile(before, after) {
		t.Error("the file of bans was written for changes by hand")
	}
	if !f.unsaved() {
		t.Error("what was read from two files is not to be saved in one")
	}
	f.byHand("192.0.2.8/32", 0) // the changes of before must not be lost with their file
	want = collect(f.Keeper)
	f.open()
	sameBans(t, collect(f.Keeper), want)
}

// shape is a file without its sums.
func shape(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		fields := strings.SplitN(line, " ", 3)
		if len(fields) == 3 && i > 0 {
			lines[i] = fields[0] + " " + fields[2]
		}
	}
	lines[0], _, _ = strings.Cut(lines[0], "end")
	return strings.Join(lines, "\n")
}

// TestRecentOfAnotherFile: what was saved meanwhile is newer.
func TestRecentOfAnotherFile(t *testing.T) {
	f := changedByHand(t)
	old, err := os.ReadFile(f.recentFile())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Unban(netip.MustParsePrefix("198.51.100.0/24")); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	f.fail("192.0.2.1", reason.ProtocolError, 10) // since it was lifted
	saveNow(t, f)
	want := collect(f.Keeper)
	if err := os.WriteFile(f.recentFile(), old, 0o600); err != nil { // as a crash leaves it
		t.Fatal(err)
	}
	f.log.Reset()
	f.open()
	sameBans(t, collect(f.Keeper), want)
	if !strings.Contains(f.log.String(), "level=WARN msg=\"changes by hand to earlier bans are left out") || !strings.Contains(f.log.String(), "changes=5") {
		t.Errorf("log: %s", &f.log)
	}
	saveNow(t, f)
	if _, err := os.Stat(f.recentFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is saved with all bans is still there: %v", err)
	}
}

// TestRecentAlone: bans that are lost are not started without, and what is left of
// them stays.
func TestRecentAlone(t *testing.T) {
	f := changedByHand(t)
	good, err := os.ReadFile(f.recentFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(good):               "5 changes by hand are to the bans of " + f.path + ", which is missing; move the file away",
		string(good[:len(good)-1]): "4 changes by hand are",
		recentHead + "end 0 0\n":   "line 2: unexpected EOF: the file is damaged",
		"":                         "line 1: want",
	} {
		if err := os.WriteFile(f.recentFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(Options{Config: f.cfg, Dir: f.dir})
		if err == nil || !strings.Contains(err.Error(), "read bans: "+f.recentFile()+": "+want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if after, err := os.ReadFile(f.recentFile()); err != nil || string(after) != text {
			t.Errorf("the file was changed: %v", err)
		}
	}
	if err := os.Remove(f.recentFile()); err != nil {
		t.Fatal(err)
	}
	f.open()
	sameBans(t, collect(f.Keeper), nil)
}

// lastOf is the last line of the file of bans that a file of changes names.
func lastOf(data []byte) string {
	return string(data[len(recentHead) : bytes.IndexByte(data, '\n')+1])
}

func noVisit(*record, netip.Prefix) error { return nil }

// TestTornRecent cuts the file at every byte: each whole line counts, and what is
// behind them was never answered for. The first change is there with the file.
func TestTornRecent(t *testing.T) {
	f := changedByHand(t)
	whole, err := os.ReadFile(f.recentFile())
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		found, err := decodeRecent(whole[:n], lastOf(whole), noVisit)
		want := bytes.Count(whole[:n], []byte{'\n'}) - 1
		if want < 1 {
			if err == nil {
				t.Fatalf("%d bytes: a file without a change was taken", n)
			}
			continue
		}
		if err != nil || found != (recentFound{changes: want, torn: whole[n-1] != '\n'}) {
			t.Fatalf("%d bytes: %+v, %v; want %d", n, found, err, want)
		}
	}
	// As a start has it: a warning, and the bans are saved in one file.
	if err := os.WriteFile(f.recentFile(), whole[:len(whole)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	f.log.Reset()
	f.open()
	f.want("192.0.2.7", false)
	f.want("198.51.100.1", true)
	if !strings.Contains(f.log.String(), "was not saved whole") {
		t.Errorf("log: %s", &f.log)
	}
	f.byHand("192.0.2.9/32", 0)
	f.open()
	f.want("198.51.100.1", true)
	f.want("192.0.2.9", true)
}

// TestZerosInRecent: a crash leaves zeros for whole sectors, from where something was
// appended or to the end, and nothing else does.
func TestZerosInRecent(t *testing.T) {
	f := newFixture(t, nil)
	saveNow(t, f)
	for n := range 20 {
		f.byHand(netip.PrefixFrom(number(n), 32).String(), 0)
	}
	whole, err := os.ReadFile(f.recentFile())
	if err != nil {
		t.Fatal(err)
	}
	const sector = 512
	if len(whole) <= 2*sector || whole[sector-1] == '\n' {
		t.Fatalf("the file is no good for this:\n%s", whole)
	}
	begin := bytes.LastIndexByte(whole[:sector], '\n') + 1 // of the line that crosses the edge
	end := sector + bytes.IndexByte(whole[sector:], '\n') + 1
	for name, c := range map[string]struct {
		zeros [2]int
		size  int
		torn  bool
	}{
		"second part":         {[2]int{sector, end}, end, true},
		"first part":          {[2]int{begin, sector}, end, true},
		"all":                 {[2]int{begin, end}, end, true},
		"first of many lines": {[2]int{begin, sector}, len(whole), false},
		"one byte":            {[2]int{begin + 1, begin + 2}, end, false},
		"to the edge":         {[2]int{sector - 1, sector}, end, false},
		"from the edge":       {[2]int{sector, sector + 1}, end, false},
		"the end":             {[2]int{end - 1, end}, end, false},
	} {
		text := bytes.Clone(whole[:c.size])
		clear(text[c.zeros[0]:c.zeros[1]])
		found, err := decodeRecent(text, lastOf(whole), noVisit)
		if lines := bytes.Count(whole[:begin], []byte{'\n'}); found.changes != lines-1 || found.torn != c.torn || (err == nil) != c.torn {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

// TestDamagedRecent flips each bit of the file, beside the bans that it belongs to
// and beside others: no change is lost without a word.
func TestDamagedRecent(t *testing.T) {
	f := changedByHand(t)
	good, err := os.ReadFile(f.recentFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range []string{lastOf(good), "end 0 00000000\n", ""} {
		if found, err := decodeRecent(good, last, noVisit); err != nil || found != (recentFound{changes: 5, other: last != lastOf(good)}) {
			t.Fatalf("%+v, %v", found, err)
		}
		for i := range good {
			for bit := range 8 {
				bad := slices.Clone(good)
				bad[i] ^= 1 << bit
				if _, err := decodeRecent(bad, last, noVisit); err == nil {
					t.Fatalf("bit %d of byte %d does not matter", bit, i)
				}
			}
		}
	}
	lines := strings.SplitAfter(string(good), "\n")
	for name, text := range map[string]string{
		"one missing": lines[0] + lines[1] + strings.Join(lines[3:], ""),
		"one twice":   lines[0] + lines[1] + lines[1] + strings.Join(lines[2:], ""),
		"swapped":     lines[0] + lines[2] + lines[1] + strings.Join(lines[3:], ""),
		"other sum":   strings.Replace(string(good), lastOf(good), lastOf(good)[:len("end 3 ")]+"00000000\n", 1),
		"other count": strings.Replace(string(good), "end 3", "end 2", 1),
		"no change":   lines[0],
		"half of one": lines[0] + lines[1][:20],
		"not one":     "sallyport bans 1\n",
		"empty":       "",
	} {
		if err := os.WriteFile(f.recentFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(Options{Config: f.cfg, Dir: f.dir, Now: func() time.Time { return f.now }})
		if err == nil || !strings.Contains(err.Error(), "read bans: "+f.recentFile()+": line ") || !strings.Contains(err.Error(), "move the file away") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecentIsBounded: from some number on, the file of bans is written anew.
func TestRecentIsBounded(t *testing.T) {
	f := changedByHand(t)
	f.recent.lines = mostRecent
	before, _ := os.Stat(f.path)
	f.byHand("192.0.2.10/32", 0)
	if after, err := os.Stat(f.path); err != nil || os.SameFile(before, after) || f.unsaved() {
		t.Errorf("the file of bans was not written: %v", err)
	}
	f.open()
	f.want("192.0.2.10", true)
	f.want("198.51.100.1", true)
}

// TestAppendFails: then all bans are saved, and what was appended before is not
// lost.
func TestAppendFails(t *testing.T) {
	f := changedByHand(t)
	if err := f.recent.f.Close(); err != nil {
		t.Fatal(err)
	}
	f.byHand("192.0.2.10/32", 0)
	if !strings.Contains(f.log.String(), "all bans are saved instead") || f.unsaved() {
		t.Errorf("unsaved %t, log: %s", f.unsaved(), &f.log)
	}
	want := collect(f.Keeper)
	f.open()
	sameBans(t, collect(f.Keeper), want)
}

// TestByHandBesideManyBans: to ban a hundred times writes a hundred lines, not a
// hundred times all bans.
func TestByHandBesideManyBans(t *testing.T) {
	f := filled(t, 20_000)
	if _, err := f.save(); err != nil {
		t.Fatal(err)
	}
	f.now = time.Now()
	f.open()
	before, err := os.Stat(f.path)
	if err != nil {
		t.Fatal(err)
	}
	const changes = 100
	for n := range changes {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), 32)
		f.byHand(p.String(), 0)
		if n%2 > 0 {
			if n, err := f.Unban(p); n != 1 || err != nil {
				t.Fatalf("lifted %d: %v", n, err)
			}
		}
	}
	if after, err := os.Stat(f.path); err != nil || !os.SameFile(before, after) {
		t.Errorf("all bans were written anew: %v", err)
	}
	text, err := os.ReadFile(f.recentFile())
	if lines := bytes.Count(text, []byte{'\n'}); err != nil || lines != 1+changes+changes/2 {
		t.Errorf("%d lines: %v", lines, err)
	}
	f.open()
	f.want("198.51.100.0", true)
	f.want("198.51.100.1", false)
	f.want(number(19_999).String(), true)
}

func FuzzDecodeRecent(f *testing.F) {
	good, err := os.ReadFile("testdata/bans.recent")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(recentHead + "end 0 00000000\n1 00000000 lift 192.0.2.0/24\n"))
	f.Add([]byte(recentHead + "end 0 00000000\n1 00000000 ban 192.0.2.1/32 1000 0 - 0 0 direct \"admin\" \"\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		last := ""
		if head, _, ok := bytes.Cut(data, []byte("\n")); ok && bytes.HasPrefix(head, []byte(recentHead)) {
			last = string(head[len(recentHead):]) + "\n"
			data = summed(data)
		}
		calls := 0
		found, err := decodeRecent(data, last, func(r *record, lift netip.Prefix) error {
			calls++
			if p, err := normal(lift); r == nil && (err != nil || p != lift) {
				t.Errorf("took %v", lift)
			}
			return nil
		})
		if err == nil && (found.changes != calls || calls == 0 || found.other) {
			t.Errorf("%+v, told of %d", found, calls)
		}
		again, otherErr := decodeRecent(data, "", nil)
		if found.other = true; (err == nil) != (otherErr == nil) || err == nil && again != found {
			t.Errorf("%+v, %v; beside other bans %+v, %v", found, err, again, otherErr)
		}
	})
}

// summed gives the lines the sums that they should have, which would keep nearly
// all inputs out.
func summed(data []byte) []byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	out := slices.Clone(lines[0])
	seed := crc32.Checksum(lines[0], castagnoli)
	for i, line := range lines[1:] {
		fields := bytes.SplitN(line, []byte(" "), 3)
		if len(fields) < 3 {
			out = append(out, line...)
			continue
		}
		out = fmt.Appendf(out, "%s %08x %s", fields[0], lineSum(seed, i+1, fields[2]), fields[2])
	}
	return out
}

// TestRecentWithExempt: a start with another configuration takes from it what has
// a meaning.
func TestRecentWithExempt(t *testing.T) {
	f := changedByHand(t)
	f.cfg.Mode = config.BanEnforce
	f.exempt = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	f.open()
	f.want("198.51.100.1", false)
	f.want("203.0.113.1", true)
}

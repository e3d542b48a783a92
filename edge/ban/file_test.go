package ban

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
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

var update = flag.Bool("update", false, "write the golden files anew")

// TestFile holds the format to its golden file: files of earlier versions must
// stay readable.
func TestFile(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) { b.Escalate.Addresses = 2 })
	f.fail("192.0.2.1", reason.ClientCertUntrusted, 10)
	f.pass(10 * time.Minute) // over, and remembered
	f.fail("192.0.2.2", reason.ProtocolError, 10)
	for range 10 {
		f.Observe(Observation{Addr: netip.MustParseAddr("192.0.2.3"), Code: reason.ClientCertMissing})
	}
	f.fail("2001:db8::1", reason.ClientCertCrlHit, 10)
	f.byHand("198.51.100.0/24", 0)
	if _, err := f.Ban(netip.MustParsePrefix("2001:db8:1::/48"), time.Hour, "\"Müller\"\t", "ops"); err == nil {
		t.Error("a tab is text")
	}
	if _, err := f.Ban(netip.MustParsePrefix("2001:db8:1::/48"), time.Hour, `"Müller" \ co`, "ops"); err != nil {
		t.Fatal(err)
	}
	want := collect(f.Keeper)
	saveNow(t, f)

	path := filepath.Join(f.dir, FileName)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got = inOrder(got)
	const golden = "testdata/bans"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(golden); err != nil || !bytes.Equal(text, got) {
		t.Errorf("got\n%swant\n%s%v", got, text, err)
	}

	if err := os.WriteFile(path, got, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	sameBans(t, collect(f.Keeper), want)
	f.pass(10 * time.Minute)
	f.fail("192.0.2.1", reason.ClientCertUntrusted, 10)
	if b := f.wantBan("192.0.2.1"); b.Repeat != 1 {
		t.Errorf("after a restart: %+v", b)
	}
}

// inOrder sorts the lines between the first and the last.
func inOrder(file []byte) []byte {
	lines := strings.SplitAfter(string(file), "\n")
	lines = lines[:len(lines)-1]
	slices.Sort(lines[1 : len(lines)-1])
	body := strings.Join(lines[:len(lines)-1], "")
	return fmt.Appendf(nil, "%send %d %08x\n", body, len(lines)-2, crc32.Checksum([]byte(body), castagnoli))
}

func saveNow(t testing.TB, f *fixture) {
	t.Helper()
	if _, err := f.save(); err != nil {
		t.Fatal(err)
	}
}

// sameBans compares but for less than a millisecond, which the file does not keep.
func sameBans(t *testing.T, got, want []Ban) {
	t.Helper()
	form := func(list []Ban) []string {
		var lines []string
		for _, b := range list {
			b.Since, b.Until = b.Since.Truncate(time.Millisecond), b.Until.Truncate(time.Millisecond)
			lines = append(lines, fmt.Sprintf("%+v", b))
		}
		slices.Sort(lines)
		return lines
	}
	if g, w := form(got), form(want); !slices.Equal(g, w) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

func TestDamagedFile(t *testing.T) {
	good, err := os.ReadFile("testdata/bans")
	if err != nil {
		t.Fatal(err)
	}
	// summed is a file of these lines with the right end.
	summed := func(lines ...string) string {
		body := fileHead + strings.Join(lines, "\n") + "\n"
		return fmt.Sprintf("%send %d %08x\n", body, len(lines), crc32.Checksum([]byte(body), castagnoli))
	}
	const line = `192.0.2.1/32 1000 2000 ProtocolError 0 10000 direct "policy" ""`
	const forEver = `192.0.2.1/32 1000 0 - 0 0 direct "admin" ""`
	change := func(old, new string) string {
		if !strings.Contains(line, old) {
			t.Fatalf("no %s in %s", old, line)
		}
		return summed(strings.Replace(line, old, new, 1))
	}
	cases := map[string]struct{ text, want string }{
		"empty":         {"", `line 1: want "sallyport bans 1"`},
		"other":         {"sallyport bans 2\nend 0 00000000\n", `line 1: want "sallyport bans 1"`},
		"head only":     {fileHead, "line 2: the file ends before its last line"},
		"half":          {string(good[:len(good)/2]), "the file ends before its last line"},
		"no newline":    {string(good[:len(good)-1]), "the file ends before its last line"},
		"more":          {string(good) + "x", "want nothing behind the last line"},
		"twice":         {summed(forEver, forEver), "line 3: 192.0.2.1/32 is in the file already"},
		"long":          {fileHead + strings.Repeat("x", 1<<17), "line 2: want at most 4096 bytes"},
		"rather long":   {fileHead + strings.Repeat("x", 5000) + "\n", "line 2: want at most 4096 bytes"},
		"fields":        {summed("192.0.2.1/32 1 2"), "line 2: want nine fields"},
		"bits":          {change("1/32", "1/24"), "192.0.2.1/24: want 192.0.2.0/24"},
		"mapped":        {change("192.0.2.1/32", "::ffff:192.0.2.1/128"), "want 192.0.2.1/32"},
		"prefix":        {change("192.0.2.1/32", "192.0.2.1"), "no '/'"},
		"zeros":         {change("1000", "01000"), "want \"192.0.2.1/32 1000 2000"},
		"order":         {change("2000", "999"), "want times from 1970 to 2169, in order"},
		"far":           {change("2000", "9000000000000000"), "want times from 1970 to 2169"},
		"reason":        {change("ProtocolError", "Protocol"), `parse reason code "Protocol"`},
		"no reason":     {change("ProtocolError", "UnmappedConnectionError"), "want \"192.0.2.1/32 1000 2000 - 0"},
		"repeat":        {change(" 0 ", " 256 "), "value out of range"},
		"flags":         {change("direct", "lapsed"), `flags "lapsed"`},
		"quotes":        {change(`"policy"`, "policy"), "by and why"},
		"single quotes": {change(`"policy"`, "'p'"), "want \"192.0.2.1/32"},
		"control":       {change(`""`, `"\n"`), "want texts of no more than a line"},
		"nobody":        {change(`"policy"`, `""`), "want texts"},
		"tail":          {change(`""`, `"" x`), "why: invalid syntax"},
		"carriage":      {change(`""`, "\"\"\r"), "why: invalid syntax"},
		"count":         {strings.Replace(summed(line), "end 1", "end 2", 1), "the file is damaged"},
		"sum":           {strings.Replace(string(good), "192.0.2.2", "192.0.2.9", 1), "the file is damaged"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := New(Options{Config: configured(t, nil), Dir: dir})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			for _, part := range []string{"read bans: " + path + ": ", "move the file away"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("no %q in %v", part, err)
				}
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != test.text {
				t.Error("the file was changed")
			}
		})
	}
	for name, text := range map[string]string{"good": string(good), "line": summed(line), "no bans": fileHead + fmt.Sprintf("end 0 %08x\n", crc32.Checksum([]byte(fileHead), castagnoli))} {
		if err := decode(strings.NewReader(text), func(*record) error { return nil }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryByteCounts flips each bit of a file.
func TestEveryByteCounts(t *testing.T) {
	good, err := os.ReadFile("testdata/bans")
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			bad := slices.Clone(good)
			bad[i] ^= 1 << bit
			if err := decode(bytes.NewReader(bad), func(*record) error { return nil }); err == nil {
				t.Fatalf("bit %d of byte %d does not matter", bit, i)
			}
		}
	}
}

func TestRestoreLeavesOutWhatHasNoMeaning(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) { b.Mode = config.BanDryRun })
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.byHand("192.0.2.2/32", time.Hour)
	f.byHand("192.0.2.3/32", 0)
	f.byHand("10.0.0.1/32", 0)
	saveNow(t, f)

	f.exempt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.open() // in the same mode
	if list := collect(f.Keeper); len(list) != 3 {
		t.Errorf("got %v", list)
	}
	f.cfg.Mode = config.BanEnforce
	f.pass(time.Hour)
	f.open()
	if list := collect(f.Keeper); len(list) != 1 || list[0].Prefix.String() != "192.0.2.3/32" {
		t.Errorf("got %v", list)
	}
	if s := f.Stats(); s.Remembered != 0 {
		t.Errorf("%+v", s)
	}
}

// TestClockSetBack is a host without a battery: it starts in 1970 and learns
// later what time it is.
func TestClockSetBack(t *testing.T) {
	f := newFixture(t, nil)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.byHand("192.0.2.2/32", 0)
	f.pass(time.Minute)
	saveNow(t, f)
	f.now = time.Unix(100, 0)
	f.open()
	f.want("192.0.2.1", true)
	f.want("192.0.2.2", true)
	f.pass(10 * time.Minute)
	f.want("192.0.2.1", false)
	f.want("192.0.2.2", true)
	saveNow(t, f)
	f.open()
	f.want("192.0.2.2", true)
}

// TestWallClockIsSet is about a step of the wall clock while the edge runs: the
// monotonic clock of package time goes on.
func TestWallClockIsSet(t *testing.T) {
	c := clock{now: time.Now, base: time.Now()}
	n := c.instant()
	hour := int64(time.Hour)
	if got := n.time(n.ns + hour).Sub(n.t); got != time.Hour {
		t.Errorf("%v", got)
	}
	n.t = n.t.Round(0).Add(24 * time.Hour) // as it would be after a step
	if got := n.of(n.time(n.ns + hour)); got != n.ns+hour {
		t.Errorf("%v", time.Duration(got-n.ns))
	}
	if n.time(0) != (time.Time{}) || n.of(time.Time{}) != 0 {
		t.Error("never is some time")
	}
}

func FuzzDecode(f *testing.F) {
	good, err := os.ReadFile("testdata/bans")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(fileHead))
	f.Add([]byte(fileHead + `192.0.2.1/32 1000 2000 ProtocolError 0 10000 direct "policy" ""` + "\nend 1 00000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The sum would keep nearly all inputs out.
		if i := bytes.LastIndex(data, []byte("\nend ")); i >= 0 {
			body := data[:i+1]
			data = fmt.Appendf(slices.Clone(body), "end %d %08x\n", bytes.Count(body, []byte{'\n'})-1, crc32.Checksum(body, castagnoli))
		}
		var again bytes.Buffer
		out := newEncoder(&again)
		err := decode(bytes.NewReader(data), func(r *record) error {
			if p, err := normal(r.prefix); err != nil || p != r.prefix || keyOf(p).prefix() != p {
				t.Errorf("took %v", r.prefix)
			}
			out.record(r)
			return nil
		})
		if err != nil {
			return
		}
		if err := out.end(); err != nil || !bytes.Equal(again.Bytes(), data) {
			t.Errorf("written again it is\n%q, want\n%q: %v", again.Bytes(), data, err)
		}
	})
}

func TestSaveWhileChanging(t *testing.T) {
	f := newFixture(t, nil)
	random := rand.New(rand.NewPCG(5, 5))
	f.unsavedBy(func() {
		for n := range 2000 {
			f.byHand(netip.PrefixFrom(number(n), 32).String(), time.Hour)
		}
	})
	done := make(chan error)
	go func() {
		_, err := f.save()
		done <- err
	}()
	for range 50 {
		n := netip.PrefixFrom(number(2000+random.IntN(2000)), 32)
		if _, err := f.Ban(n, time.Hour, "", ByAdmin); err != nil {
			t.Error(err)
		}
		if _, err := f.Unban(n); err != nil {
			t.Error(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	f.open()
	for n := range 2000 {
		f.want(number(n).String(), true)
	}
}

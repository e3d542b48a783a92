package segment

import (
	"encoding/binary"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestAddRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		serial []byte
		entry  Entry
		want   string
	}{
		"no serial":   {nil, Entry{}, "serial of 0 octets: want 1 to 65536"},
		"long serial": {make([]byte, MaxSerial+1), Entry{}, "serial of 65537 octets: want 1 to 65536"},
		"reason":      {[]byte{1}, Entry{Reason: 16}, "reason 16: want 0 to 15"},
		"late":        {[]byte{1}, Entry{At: math.MaxInt64}, "time 9223372036854775807: want"},
		"early":       {[]byte{1}, Entry{At: math.MinInt64}, "time -9223372036854775808: want"},
	} {
		b := NewBuilder(Options{})
		if err := b.Add(tt.serial, tt.entry); err == nil || !strings.Contains(err.Error(), tt.want) || b.Len() != 0 {
			t.Errorf("%s: %v, %d entries: want %q and none", name, err, b.Len(), tt.want)
		}
		if err := b.Add([]byte{1}, Entry{}); err == nil {
			t.Errorf("%s: added to what lacks an entry", name)
		}
		if _, err := b.Build(nil, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: built without the entry: %v", name, err)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		o          Options
		head, name string
		want       string
	}{
		"bits below 0": {Options{BitsPerEntry: -1}, "", "", "-1 bits of filter an entry: want 0 to 64"},
		"bits":         {Options{BitsPerEntry: 65}, "", "", "65 bits of filter an entry: want 0 to 64"},
		"no number":    {Options{BitsPerEntry: math.NaN()}, "", "", "NaN bits of filter an entry: want 0 to 64"},
		"no name":      {Options{Dir: privateDir(t)}, "", "", "want that of a file"},
		"other dir":    {Options{Dir: privateDir(t)}, "", "../x", "want that of a file"},
		"long head":    {Options{Dir: privateDir(t)}, strings.Repeat("h", maxHead+1), "x", "head of 67108865 bytes: want 67108864 at most"},
		"no directory": {Options{Dir: privateDir(t) + "/none"}, "", "x", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder(tt.o)
			if err := b.Add([]byte{1}, Entry{}); err != nil {
				t.Fatal(err)
			}
			if s, err := b.Build([]byte(tt.head), tt.name); s != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: want %q", err, tt.want)
			}
			if tt.o.Dir != "" && !strings.HasSuffix(tt.o.Dir, "none") {
				if names := namesIn(t, tt.o.Dir); len(names) > 0 {
					t.Errorf("left in the directory: %q", names)
				}
			}
		})
	}
	dir := privateDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := NewBuilder(Options{Dir: dir}).Build(nil, "x"); err == nil || !strings.Contains(err.Error(), "mode 0777") {
		t.Errorf("directory for all: %v", err)
	}
}

func TestBuilderEnds(t *testing.T) {
	b := NewBuilder(Options{})
	if _, err := b.Build(nil, ""); err != nil {
		t.Fatal(err)
	}
	b.Discard()
	b.Discard()
	if err := b.Add([]byte{1}, Entry{}); err == nil {
		t.Error("added after Build")
	}
	if _, err := b.Build(nil, ""); err == nil {
		t.Error("built twice")
	}
	b = NewBuilder(Options{Dir: privateDir(t)})
	b.Discard()
	if _, err := b.Build(nil, "x"); err == nil {
		t.Error("built after Discard")
	}
}

// TestNoWorse keeps the first of equal serials, in one part and in many.
func TestNoWorse(t *testing.T) {
	for _, entries := range []int{10, 100, ExactTimes} {
		b := NewBuilder(Options{})
		for n := range entries {
			if err := b.Add([]byte{7, byte(n % 5)}, Entry{At: int64(n)}); err != nil {
				t.Fatal(err)
			}
		}
		s, err := b.Build(nil, "")
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			if e, found, err := s.Find([]byte{7, byte(n)}); e != (Entry{At: int64(n)}) || !found || err != nil {
				t.Errorf("%d entries: %v, %v, %v: want that of %d", entries, e, found, err, n)
			}
		}
	}
}

// TestSpilled is large enough to wait on disk, and gives what the same entries
// in memory give.
func TestSpilled(t *testing.T) {
	r := seeded(t)
	dir := privateDir(t)
	disk, memory := newModel(Options{Dir: dir}), newModel(Options{})
	var serials [][]byte
	for n := range 80_000 {
		serial := randomSerial(r)
		if n%400 == 0 {
			serial = oddSerials[len(oddSerials)-1-r.IntN(20)] // longer than a chunk
		}
		e := randomEntry(r)
		e.At -= e.At % secondsDay // of so many the day is kept
		disk.add(t, serial, e)
		memory.add(t, serial, e)
		serials = append(serials, serial)
	}
	if disk.builder.staged.size == 0 || memory.builder.staged.parts == nil || memory.builder.staged.size != 0 {
		t.Fatalf("%d bytes on disk, want some; %d instead of memory", disk.builder.staged.size, memory.builder.staged.size)
	}
	if names := namesIn(t, dir); len(names) > 0 {
		t.Errorf("what waits has the names %q", names)
	}
	a, b := disk.build(t), memory.build(t)
	for _, serial := range serials {
		disk.ask(t, a, serial)
		memory.ask(t, b, serial)
		other := near(r, serial)
		disk.ask(t, a, other)
		memory.ask(t, b, other)
	}
	if err := a.Verify(); err != nil {
		t.Error(err)
	}
}

// TestStagedDamage changes what waits on disk.
func TestStagedDamage(t *testing.T) {
	dir := privateDir(t)
	m := newModel(Options{Dir: dir})
	for n := range 350_000 {
		m.add(t, binary.BigEndian.AppendUint64([]byte{1}, uint64(n)), Entry{})
	}
	file := m.builder.staged.file
	if _, err := file.WriteAt([]byte{0xff, 0xff, 0xff}, m.builder.staged.size/2); err != nil {
		t.Fatal(err)
	}
	if _, err := m.builder.Build(nil, "list"); err == nil || !strings.Contains(err.Error(), "does not hold what was written") {
		t.Errorf("built: %v", err)
	}
	if names := namesIn(t, dir); len(names) > 0 {
		t.Errorf("left in the directory: %q", names)
	}
}

// TestManyEqual gives few serials again and again: memory must not grow with
// that, and of each the worst stays.
func TestManyEqual(t *testing.T) {
	m := newModel(Options{Dir: privateDir(t)})
	const n = 600_000
	for i := range n {
		serial := []byte{1, byte(i % 3)}
		if i%7 == 0 {
			serial = binary.BigEndian.AppendUint16([]byte{2}, uint16(i%1000))
		}
		m.add(t, serial, Entry{At: int64(i) * secondsDay % (4000 * secondsDay), Reason: uint8(i % 11)})
	}
	s := m.build(t)
	m.askAll(t, s)
	if st := s.Stats(); st.Entries != n || st.Distinct > 1100 {
		t.Errorf("%+v", st)
	}
}

func TestBatchStaysSmall(t *testing.T) {
	bt := &batch{worse: worse}
	bt.reset(0)
	for i := range 400_000 {
		if err := bt.add(uint64(i%2), []byte{byte(i % 2)}, Entry{At: int64(i)}); err != nil {
			t.Fatal(err)
		}
		if bt.octets() > 2*minLimit {
			t.Fatalf("%d octets for two serials", bt.octets())
		}
	}
	bt.sort()
	if len(bt.rows) != 2 || bt.rows[0].at != 399_998 || bt.rows[1].at != 399_999 {
		t.Errorf("rows %v, want the latest of both serials", bt.rows)
	}
}

// TestBatchSameHash has serials that only the octets tell apart.
func TestBatchSameHash(t *testing.T) {
	bt := &batch{worse: worse, shift: 8}
	bt.reset(0)
	for i := range 3 * cells {
		if err := bt.add(7, []byte{byte(i % 5)}, Entry{At: int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	bt.sort()
	if len(bt.rows) != 5 {
		t.Fatalf("%d rows, want 5", len(bt.rows))
	}
	for i := range bt.rows {
		if serial := bt.serial(&bt.rows[i]); serial[0] != byte(i) {
			t.Errorf("row %d has serial %x", i, serial)
		}
	}
}

// TestSmall keeps small lists small: there may be thousands.
func TestSmall(t *testing.T) {
	build := func() *Segment {
		b := NewBuilder(Options{})
		for n := range 3 {
			if err := b.Add([]byte{byte(n)}, Entry{At: int64(n)}); err != nil {
				t.Fatal(err)
			}
		}
		s, err := b.Build(nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if st := build().Stats(); st.MemoryBytes > 512 || st.DiskBytes != 0 {
		t.Errorf("%+v: want at most 512 bytes", st)
	}
	const builds = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range builds {
		build()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / builds; each > 64<<10 {
		t.Errorf("building three entries takes %d bytes", each)
	}
}

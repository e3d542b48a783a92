package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
)

// damagedModel is a segment with rows in every table, its file and serials to
// ask for.
func damagedModel(t *testing.T) (m *model, dir string, serials [][]byte) {
	t.Helper()
	r := seeded(t)
	dir = privateDir(t)
	m = newModel(Options{Dir: dir})
	for range 60 {
		serial := randomSerial(r)
		m.add(t, serial, randomEntry(r))
		serials = append(serials, serial, near(r, serial))
	}
	m.askAll(t, m.build(t))
	return m, dir, serials
}

// fromBytes opens a file that is in memory, with all checks of one on disk.
func fromBytes(data []byte) (*Segment, error) {
	h, sums, _, err := readFront(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	s := newSegment(h, data[h.Front:])
	s.pages = newPages(sums)
	_ = s.copyFilter() // s remembers the damage, as searches are to find out
	return s, nil
}

// judge asks s everything. It returns whether s refused to answer and fails if
// an answer was wrong.
func (m *model) judge(t *testing.T, s *Segment, serials [][]byte) (refused bool) {
	t.Helper()
	for _, serial := range serials {
		got, found, err := s.Find(serial)
		if err != nil {
			var damaged *DamagedError
			if !errors.As(err, &damaged) || found || got != (Entry{}) {
				t.Fatalf("%v, %v, %v: want a DamagedError alone", got, found, err)
			}
			refused = true
			continue
		}
		if refused {
			t.Fatalf("%x: answered after it was found damaged", serial)
		}
		if want, listed := m.entries[string(serial)]; found != listed || got != want {
			t.Fatalf("%x: %v, %v; want %v, %v", serial, got, found, want, listed)
		}
	}
	return refused
}

// yieldedWrong is a serial that Each gives and should not, nil if there is none.
func (m *model) yieldedWrong(s *Segment) (wrong []byte) {
	_ = s.Each(func(serial []byte, e Entry) bool {
		if want, listed := m.entries[string(serial)]; !listed || e != want {
			wrong = bytes.Clone(serial)
		}
		return wrong == nil
	})
	return wrong
}

// TestFlipped changes every byte of a file, and every bit of its header. It is
// refused as a whole, or by Verify, and gives no wrong answer before that.
func TestFlipped(t *testing.T) {
	m, dir, serials := damagedModel(t)
	data, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := fromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Verify(); err != nil || m.judge(t, whole, serials) {
		t.Fatalf("the whole file is damaged: %v", err)
	}
	front := len(data) - len(whole.body)
	if front != pageSize {
		t.Fatalf("front of %d bytes, want one page", front)
	}
	step := 1
	if testing.Short() {
		step = 17
	}
	refused := 0
	for i := 0; i < len(data); i += step {
		flips := []byte{0xff, 1 << (i % 8)}
		if i < headerSize {
			flips = []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff}
		}
		for _, flip := range flips {
			data[i] ^= flip
			s, err := fromBytes(data)
			switch {
			case i < front && err == nil:
				t.Fatalf("byte %d xor %02x: opened", i, flip)
			case i >= front && err != nil:
				t.Fatalf("byte %d xor %02x: %v", i, flip, err)
			case err == nil:
				if m.judge(t, s, serials) {
					refused++
				}
				if wrong := m.yieldedWrong(s); wrong != nil {
					t.Fatalf("byte %d xor %02x: yielded serial %x, which is not so in the list", i, flip, wrong)
				}
				if s.Verify() == nil {
					t.Fatalf("byte %d xor %02x: verified", i, flip)
				}
				if _, _, err := s.Find(serials[0]); err == nil {
					t.Fatalf("byte %d xor %02x: answers after Verify refused it", i, flip)
				}
			}
			data[i] ^= flip
		}
	}
	if refused == 0 {
		t.Error("no search came to a damaged page")
	}
}

// TestManyPages damages the last of the pages that one answer takes.
func TestManyPages(t *testing.T) {
	dir := privateDir(t)
	m := newModel(Options{Dir: dir})
	serial := bytes.Repeat([]byte{0x5a}, MaxSerial)
	m.add(t, serial, Entry{At: 1})
	m.askAll(t, m.build(t))
	data, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	s, err := fromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	if !m.judge(t, s, [][]byte{serial}) {
		t.Error("answered from a damaged page")
	}
}

// TestCut ends the file early, at every length, and late.
func TestCut(t *testing.T) {
	_, dir, _ := damagedModel(t)
	path := filepath.Join(dir, "list")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := fromBytes(data[:n]); err == nil {
			t.Fatalf("opened the first %d bytes of %d", n, len(data))
		}
	}
	for _, size := range []int{0, 1, pageSize - 1, pageSize, len(data) - pageSize, len(data) - 1, len(data) + 1, len(data) + pageSize} {
		changed := append(data[:len(data):len(data)], make([]byte, pageSize)...)[:size]
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := Open(dir, "list")
		var damaged *DamagedError
		if !errors.As(err, &damaged) {
			t.Errorf("%d bytes of %d: %v, want a DamagedError", size, len(data), err)
		}
	}
}

// TestFlippedOnDisk damages the file under a segment that has it mapped.
func TestFlippedOnDisk(t *testing.T) {
	m, dir, serials := damagedModel(t)
	s, head, err := Open(dir, "list")
	if err != nil || string(head) != "head" {
		t.Fatalf("head %q, %v", head, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "list"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	row := []byte{0}
	at := s.disk - int64(len(s.body)) + int64(s.tables[short].rows)
	if _, err := f.ReadAt(row, at); err != nil {
		t.Fatal(err)
	}
	row[0] ^= 1
	if _, err := f.WriteAt(row, at); err != nil {
		t.Fatal(err)
	}
	if !m.judge(t, s, serials) {
		t.Error("all was answered")
	}
	var damaged *DamagedError
	if err := s.Verify(); !errors.As(err, &damaged) || damaged.Path != filepath.Join(dir, "list") {
		t.Errorf("Verify: %v", err)
	}
}

// TestShortened takes the end of the file from under a segment that has it
// mapped. Pages that were checked before are gone as well.
func TestShortened(t *testing.T) {
	for name, tt := range map[string]struct{ warm, filter bool }{
		"rows": {false, true}, "rows in use": {true, true}, "all": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, dir, serials := damagedModel(t)
			s, _, err := Open(dir, "list")
			if err != nil {
				t.Fatal(err)
			}
			if tt.warm {
				m.askAll(t, s)
			}
			keep := s.disk - int64(len(s.body))
			if tt.filter {
				keep += int64(s.hot())
			}
			if err := os.Truncate(filepath.Join(dir, "list"), keep); err != nil {
				t.Fatal(err)
			}
			if !m.judge(t, s, serials) {
				t.Error("all was answered")
			}
			if err := s.Verify(); err == nil {
				t.Error("verified")
			}
		})
	}
}

// resealed makes the checksums of a changed file right again, as a forger
// would, or a mistake of ours.
func resealed(data []byte) []byte {
	data = bytes.Clone(data)
	length, err := frontLength(data[:min(len(data), minFront)], int64(len(data)))
	if err != nil {
		return data
	}
	front, body := data[:length], data[length:]
	for at := 0; at+pageSize <= len(body) && headerSize+at/pageSize*4+4 <= len(front); at += pageSize {
		binary.LittleEndian.PutUint32(front[headerSize+at/pageSize*4:], crc32.Checksum(body[at:at+pageSize], castagnoli))
	}
	seal(front)
	return data
}

// TestResealed has damage that no checksum shows. Answers may be wrong, but a
// search stays in the file and ends.
func TestResealed(t *testing.T) {
	_, dir, serials := damagedModel(t)
	data, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		t.Fatal(err)
	}
	opened, refused := 0, 0
	for i := 0; i < len(data); i++ {
		if i > headerSize && i%11 != 0 {
			continue
		}
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			data[i] ^= flip
			s, err := fromBytes(resealed(data))
			if err != nil {
				refused++
			} else {
				opened++
				for _, serial := range serials {
					s.Find(serial)
				}
			}
			data[i] ^= flip
		}
	}
	if opened == 0 || refused == 0 {
		t.Errorf("%d opened, %d refused: want some of each", opened, refused)
	}
}

// TestFirstDamageStays tells everyone of the damage that was found first.
func TestFirstDamageStays(t *testing.T) {
	s := &Segment{pages: newPages(nil)}
	first := s.damage("first")
	if later := s.damage("later"); later != first || s.damaged() != first {
		t.Errorf("then %v and %v, want %v", later, s.damaged(), first)
	}
}

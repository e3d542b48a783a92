package revocation

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// readEntries reads the content of a revokedCertificates and returns what became
// of it. Without plain, each entry takes the way of those that are not.
func readEntries(t testing.TB, content []byte, plain bool) (r *entryReader, s *segment.Segment, err error) {
	t.Helper()
	r = &entryReader{
		staged: segment.NewBuilder(segment.Options{Worse: worse}), max: math.MaxInt,
		extensions: true, months: monthDays(),
	}
	defer r.staged.Discard()
	var w window
	w.over(content)
	if plain {
		err = r.read(&w, int64(len(content)))
	}
	for !plain && err == nil && w.pos() < int64(len(content)) {
		err = r.readOne(&w, int64(len(content)))
	}
	if err != nil {
		return r, nil, err
	}
	s, err = r.staged.Build(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return r, s, nil
}

// sameEntries fails unless both ways of reading entries take these for the same.
func sameEntries(t testing.TB, content []byte) {
	t.Helper()
	fast, quick, err := readEntries(t, content, true)
	slow, careful, slowErr := readEntries(t, content, false)
	if (err == nil) != (slowErr == nil) {
		t.Fatalf("error %v: want %v", err, slowErr)
	}
	if fast.count != slow.count || fast.removal != slow.removal || !bytes.Equal(fast.unknown, slow.unknown) {
		t.Errorf("%d entries, removal %d, unknown %x: want %d, %d, %x",
			fast.count, fast.removal, fast.unknown, slow.count, slow.removal, slow.unknown)
	}
	for rest := der(content); err == nil && len(rest) > 0; {
		e, entryErr := rest.entry(true)
		if entryErr != nil {
			t.Fatal(entryErr)
		}
		got, found, _ := quick.Find(e.serial)
		want, wanted, _ := careful.Find(e.serial)
		if got != want || !found || !wanted {
			t.Errorf("serial %x: %+v, %v: want %+v, %v", e.serial, got, found, want, wanted)
		}
	}
}

func TestPlainEntriesReadAsOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		content := cat(randomEntry(random), randomEntry(random))
		sameEntries(t, content)
		for range 20 { // and with an octet changed
			bad := bytes.Clone(content)
			bad[random.IntN(len(bad))] = byte(random.Uint32())
			sameEntries(t, bad)
		}
		sameEntries(t, content[:random.IntN(len(content))])
	}
}

func FuzzEntries(f *testing.F) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 10 {
		f.Add(cat(randomEntry(random), randomEntry(random)))
	}
	f.Add(revoke(7, reasonExt(RemoveFromCRL)))
	f.Fuzz(func(t *testing.T, content []byte) { sameEntries(t, content) })
}

// TestEveryDay compares the two readings of a date for every day that a UTCTime
// can name and some that it cannot.
func TestEveryDay(t *testing.T) {
	r := &entryReader{months: monthDays()}
	check := func(text string) {
		t.Helper()
		want, err := parseTime(tagUTCTime, []byte(text))
		at, ok := r.utcTime(tlv(tagUTCTime, []byte(text)))
		if ok != (err == nil) || ok && at != want.Unix() {
			t.Errorf("%s: %d, %v: want %s, %v", text, at, ok, want, err)
		}
	}
	first := time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := first; day.Year() < 2050; day = day.AddDate(0, 0, 1) {
		check(day.Add(time.Duration(day.Unix()%86399) * time.Second).Format("060102150405Z"))
	}
	for _, year := range []string{"49", "50", "99", "00", "23", "24"} {
		for _, rest := range []string{"0229", "0230", "0431", "0001", "0100", "1301", "1232", "0a01", "/101", "1:01"} {
			check(year + rest + "120000Z")
		}
		for _, rest := range []string{"240000Z", "236000Z", "235960Z", "235959z", "2359590", "-10000Z", "1/0000Z", "12:000Z"} {
			check(year + "0301" + rest)
		}
	}
	for i := range 13 { // every octet at every place
		for octet := range 256 {
			text := []byte("260301123456Z")
			text[i] = byte(octet)
			check(string(text))
		}
	}
}

package revocation

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// readers are the ways in which an input may come.
var readers = map[string]func(io.Reader) io.Reader{
	"whole":      func(r io.Reader) io.Reader { return r },
	"one byte":   iotest.OneByteReader,
	"halves":     iotest.HalfReader,
	"with EOF":   iotest.DataErrReader,
	"byte, EOF":  func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	"with zeros": func(r io.Reader) io.Reader { return &stutter{r: r} },
}

// stutter returns nothing every other time.
type stutter struct {
	r    io.Reader
	mute bool
}

func (s *stutter) Read(b []byte) (int, error) {
	if s.mute = !s.mute; s.mute {
		return 0, nil
	}
	return s.r.Read(b)
}

func pemOf(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: pemLabel, Bytes: der}) }

// sameLists fails unless both were read from the same bytes, as far as fields
// tell.
func sameLists(t *testing.T, got, want []*List) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lists: want %d", len(got), len(want))
	}
	for i := range got {
		// Segments have keys of their own; they are asked elsewhere.
		a, b := fieldsOf(got[i]), fieldsOf(want[i])
		if !reflect.DeepEqual(a, b) {
			t.Errorf("list %d: %+v: want %+v", i+1, a, b)
		}
	}
}

func fieldsOf(l *List) map[string]any {
	return map[string]any{
		"digest": l.digest, "size": l.size, "issuer": l.issuer, "issuerKey": l.issuerKey, "keyID": l.authorityKeyID,
		"number": l.number, "base": l.base, "this": l.thisUpdate, "next": l.nextUpdate, "scope": l.scope,
		"unknown": l.unknown, "unknownEntry": l.unknownEntry, "algorithm": l.algorithm, "signed": string(l.signed),
		"signature": l.signature, "entries": l.entries, "distinct": l.segment.Stats().Distinct,
	}
}

// TestReadersAgree reads an input of several windows in all ways.
func TestReadersAgree(t *testing.T) {
	ca := newCA(t, "Reader CA")
	long, serial := bigList(t, ca, 20_000)
	short := ca.base().der(t, ca)
	for name, data := range map[string][]byte{
		"DER": long, "PEM": cat([]byte("text\n"), pemOf(short), pemOf(long), pemOf(short)),
	} {
		want, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for way, reader := range readers {
			t.Run(name+", "+way, func(t *testing.T) {
				got, err := Read(t.Context(), reader(bytes.NewReader(data)), Options{})
				if err != nil {
					t.Fatal(err)
				}
				sameLists(t, got, want)
				wantStatus(t, Revoked, Prepare(ca.issue(t, serial), ca.cert), got...)
				wantStatus(t, Good, ca.link(t, 9), got...)
			})
		}
	}
}

// TestEveryPrefixIsRefused reads every part of two inputs in all ways.
func TestEveryPrefixIsRefused(t *testing.T) {
	ca := newCA(t, "Prefix CA")
	der := ca.base().der(t, ca)
	for _, data := range [][]byte{der, bytes.TrimSpace(pemOf(der))} {
		for n := range data {
			for way, reader := range readers {
				_, err := Read(t.Context(), reader(bytes.NewReader(data[:n])), Options{})
				_, whole := Parse(data[:n])
				if err == nil || whole == nil || err.Error() != whole.Error() {
					t.Fatalf("%d of %d bytes, %s: error %v, but in memory %v", n, len(data), way, err, whole)
				}
			}
		}
	}
}

func TestReadErrorOfTheInput(t *testing.T) {
	ca := newCA(t, "Broken CA")
	der, broken := ca.base().der(t, ca), errors.New("broken")
	for _, data := range [][]byte{der, pemOf(der), nil} {
		for _, n := range []int{0, 1, 2, len(data) / 2, len(data)} {
			in := io.MultiReader(bytes.NewReader(data[:min(n, len(data))]), iotest.ErrReader(broken))
			if lists, err := Read(t.Context(), in, Options{}); !errors.Is(err, broken) || lists != nil {
				t.Errorf("%d bytes and an error: %v", n, err)
			}
		}
	}
	if _, err := Read(t.Context(), iotest.DataErrReader(iotest.ErrReader(io.ErrNoProgress)), Options{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
	var silent reader = func([]byte) (int, error) { return 0, nil }
	if _, err := Read(t.Context(), silent, Options{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("silent reader: error %v", err)
	}
}

type reader func([]byte) (int, error)

func (r reader) Read(b []byte) (int, error) { return r(b) }

func TestBounds(t *testing.T) {
	ca := newCA(t, "Bounded CA")
	p := ca.base()
	p.revoked = seq(revoke(7), revoke(8), revoke(8))
	der := p.der(t, ca)
	text := pemOf(der)
	size, textSize := int64(len(der)), int64(len(bytes.TrimSpace(text)))
	for name, tt := range map[string]struct {
		data []byte
		o    Options
		want string // empty: taken
	}{
		"as large as may be":         {der, Options{MaxSize: size}, ""},
		"larger":                     {der, Options{MaxSize: size - 1}, fmt.Sprintf("CertificateList: %d bytes: want at most %d", size, size-1)},
		"text as large":              {text, Options{MaxSize: textSize}, ""},
		"text larger":                {text, Options{MaxSize: textSize - 1}, fmt.Sprintf("PEM block 1: more than %d bytes of PEM text", textSize-1)},
		"two of them":                {cat(text, text), Options{MaxSize: textSize + 1}, ""},
		"second larger":              {cat(text, []byte("much ado\n"), text), Options{MaxSize: textSize + 1}, "PEM block 2: more than"},
		"text without end":           {bytes.Repeat([]byte("prologue\n"), 1<<16), Options{MaxSize: textSize}, "PEM block 1: more than"},
		"as many entries as may be":  {der, Options{MaxEntries: 3}, ""},
		"more entries":               {der, Options{MaxEntries: 2}, "entry 3: want at most 2 entries"},
		"as many, counted by list":   {cat(text, text), Options{MaxEntries: 3}, ""},
		"more entries, other forms":  {entriesOf(t, ca, revoke(1, ext(oidUnheardOf, false)), revoke(2, ext(oidUnheardOf, false))), Options{MaxEntries: 1}, "entry 2: want at most 1 entries"},
		"more in the second":         {cat(text, pemOf(entriesOf(t, ca, revoke(1), revoke(2), revoke(3), revoke(4)))), Options{MaxEntries: 3}, "PEM block 2: entry 4: want at most 3"},
		"negative size":              {der, Options{MaxSize: -1}, "MaxSize -1: want"},
		"negative number of entries": {der, Options{MaxEntries: -5}, "MaxEntries -5: want"},
		"claims 4 GiB":               {cat([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, der), Options{}, "CertificateList: 4294967301 bytes: want at most 536870912"},
	} {
		t.Run(name, func(t *testing.T) {
			lists, err := Read(t.Context(), bytes.NewReader(tt.data), tt.o)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || lists != nil):
				t.Errorf("error %v: want it to contain %q", err, tt.want)
			}
		})
	}
}

func entriesOf(t testing.TB, ca *testCA, entries ...[]byte) []byte {
	t.Helper()
	p := ca.base()
	p.revoked = seq(entries...)
	return p.der(t, ca)
}

// TestClaimsCostNothing reads lists that say they are long and are not.
func TestClaimsCostNothing(t *testing.T) {
	claim := func(n uint32, content ...byte) []byte {
		return append([]byte{tagSequence, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, content...)
	}
	ca := newCA(t, "Claiming CA")
	tbs := cat(integer(1), ecdsaSHA256, ca.cert.RawSubject, utc(t0), utc(t1), claim(400<<20, revoke(7)...))
	for name, data := range map[string][]byte{
		"list":    claim(500 << 20),
		"tbs":     claim(500<<20, claim(450<<20)...),
		"entries": claim(500<<20, claim(450<<20, tbs...)...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(t.Context(), bytes.NewReader(data), Options{})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "truncated: the input ends after") {
			t.Errorf("%s: error %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

func TestReadStopsWithItsContext(t *testing.T) {
	ca := newCA(t, "Stopped CA")
	data, _ := bigList(t, ca, 20_000)
	for _, data := range [][]byte{data, pemOf(data)} {
		stopped := errors.New("stopped")
		ctx, stop := context.WithCancelCause(t.Context())
		whole := bytes.NewReader(data)
		var in reader = func(b []byte) (int, error) {
			if whole.Len() < len(data)/2 {
				stop(stopped)
			}
			return whole.Read(b)
		}
		if _, err := Read(ctx, in, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if whole.Len() == 0 {
			t.Error("read to the end")
		}
		if _, err := Read(ctx, bytes.NewReader(nil), Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped before: error %v", err)
		}
	}
}

// TestProgress has an input of which 10 kB come each 30 ms.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newCA(t, "Slow CA")
		one, _ := bigList(t, ca, 10_000)
		data := cat(pemOf(one), pemOf(one))
		whole := bytes.NewReader(data)
		var in reader = func(b []byte) (int, error) {
			<-time.After(30 * time.Millisecond)
			return whole.Read(b[:min(len(b), 10_000)])
		}
		var last Progress
		var at []time.Time
		_, err := Read(t.Context(), in, Options{Progress: func(p Progress) {
			at = append(at, time.Now())
			if p.Bytes < last.Bytes || p.Entries < last.Entries || p.List < last.List || p.List > 2 || p.Size != 0 {
				t.Errorf("%+v after %+v", p, last)
			}
			last = p
		}})
		if err != nil {
			t.Fatal(err)
		}
		if want := (Progress{Bytes: int64(len(data)), Entries: 20_000, List: 2}); last != want {
			t.Errorf("last %+v: want %+v", last, want)
		}
		for i := 1; i < len(at)-1; i++ {
			if since := at[i].Sub(at[i-1]); since != 120*time.Millisecond {
				t.Errorf("told %s after the last time", since)
			}
		}
		if len(at) < 25 {
			t.Errorf("told %d times", len(at))
		}
	})
}

func TestTextOrDER(t *testing.T) {
	ca := newCA(t, "Text CA")
	text := string(pemOf(ca.base().der(t, ca)))
	for _, before := range []string{"", "0", "00", "0é", "0\xe9 in Latin-1", "0~~~", "\xef\xbb\xbf0", "-----", "------BEGIN", "-----END"} {
		lists, err := Parse([]byte(before + "\n" + text))
		if err != nil || len(lists) != 1 {
			t.Errorf("text %q: %v", before, err)
		}
	}
	// No list is shorter than this one, and it is no text.
	if _, err := Parse(seq(seq(seq()))); err == nil || !strings.Contains(err.Error(), "signature: ") {
		t.Errorf("short list: %v", err)
	}
	if _, err := Parse([]byte{tagSequence}); err == nil || !strings.Contains(err.Error(), "CertificateList: truncated") {
		t.Errorf("one octet: %v", err)
	}
}

// TestLongSerials has entries of every length around those at which a header or
// the window changes.
func TestLongSerials(t *testing.T) {
	ca := newCA(t, "Long CA")
	var entries [][]byte
	var serials []*big.Int
	for _, n := range []int{1, 16, 17, 20, 21, 108, 109, 110, 111, 112, 125, 126, 127, 128, 129, 250, 255, 256, 257, 60_000, 65_000, 65_499} {
		octets := bytes.Repeat([]byte{0x55}, n)
		octets[0] = byte(n%0x7f) | 1
		serials = append(serials, new(big.Int).SetBytes(octets))
		entries = append(entries, revokeAt(tlv(tagInteger, octets), t0, reasonExt(Superseded)), revokeAt(tlv(tagInteger, append([]byte{0x66}, octets[1:]...)), t0))
	}
	der := entriesOf(t, ca, entries...)
	lists, err := Read(t.Context(), iotest.HalfReader(bytes.NewReader(der)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	link := *ca.link(t, 1)
	for _, serial := range serials {
		link.serial = integerOctets(serial)
		wantStatus(t, Revoked, &link, lists...)
		link.serial = integerOctets(new(big.Int).Add(serial, big.NewInt(2)))
		wantStatus(t, Good, &link, lists...)
	}
	agree(t, lists[0], der)
}

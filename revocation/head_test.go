package revocation

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// headOf is the head of the one list in DER, with the list.
func headOf(t testing.TB, der []byte) ([]byte, *List) {
	t.Helper()
	r := newReading(t.Context(), unbounded)
	r.input.over(der)
	c := &listReader{reading: r, w: &r.input}
	l, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	return encodeHead(l, &c.fields), l
}

// TestHeadsAreLists has each list of testdata that is taken go through its head.
func TestHeadsAreLists(t *testing.T) {
	ca := fixedCA(t, corpusKey)
	for name := range acceptances(t, ca) {
		der, err := os.ReadFile(corpusFile(name))
		if err != nil {
			t.Fatal(err)
		}
		head, want := headOf(t, der)
		got, f, err := decodeHead(head)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got.segment = want.segment
		if !reflect.DeepEqual(fieldsOf(got), fieldsOf(want)) {
			t.Errorf("%s: %+v: want %+v", name, fieldsOf(got), fieldsOf(want))
		}
		if again := encodeHead(got, f); !bytes.Equal(again, head) {
			t.Errorf("%s: head %x: want %x", name, again, head)
		}
		for serial := range int64(9) {
			link := ca.link(t, serial+1)
			a, b := NewIndex([]*List{got}).Check(link, t0), NewIndex([]*List{want}).Check(link, t0)
			a.List, b.List = nil, nil
			if a != b {
				t.Errorf("%s: serial %d: %+v: want %+v", name, serial, a, b)
			}
		}
	}
}

func TestHeadsRefused(t *testing.T) {
	ca := fixedCA(t, corpusKey)
	good, _ := headOf(t, ca.base().der(t, ca))
	for n := range good {
		if _, _, err := decodeHead(good[:n]); err == nil {
			t.Errorf("%d of %d bytes taken", n, len(good))
		}
	}
	content, err := der(good).only(tagSequence)
	if err != nil {
		t.Fatal(err)
	}
	var elements [][]byte
	for rest := der(content); len(rest) > 0; {
		_, _, whole, err := rest.next()
		if err != nil {
			t.Fatal(err)
		}
		elements = append(elements, whole)
	}
	for name, tt := range map[string]struct {
		at   int
		with []byte
		want string
	}{
		"another version":   {0, integer(2), "version 2: want 1"},
		"short digest":      {1, tlv(tagOctetString, make([]byte, 31)), "want 32 octets"},
		"long digest":       {1, tlv(tagOctetString, make([]byte, 33)), "want 32 octets"},
		"negative size":     {2, integer(-1), "negative"},
		"size of 65 bits":   {2, tlv(tagInteger, append([]byte{1}, make([]byte, 8)...)), "want 63 bits"},
		"negative entries":  {3, integer(-1), "negative"},
		"digest of SHA-384": {5, tlv(tagOctetString, make([]byte, 48)), "signed digest"},
		"Ed25519":           {7, seq(tlv(tagOID, []byte("\x2b\x65\x70"))), "signed digest"},
		"flag 01":           {6, tlv(tagBoolean, []byte{1}), "boolean 01"},
		"empty issuer":      {8, seq(), "issuer: empty"},
		"time without Z":    {9, tlv(tagUTCTime, []byte("260301120000+")), "thisUpdate"},
		"time too early":    {10, utc(t0.Add(-1e9)), "before thisUpdate"},
		"empty extensions":  {11, tlv(tagExtensions, seq()), "crlExtensions: empty"},
		"trailing data":     {12, cat(tlv(tagOctetString, []byte{1}), integer(1)), "trailing data"},
	} {
		changed := append([][]byte(nil), elements...)
		changed[tt.at] = tt.with
		if _, _, err := decodeHead(seq(changed...)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v: want it to contain %q", name, err, tt.want)
		}
	}
	v1 := append([][]byte(nil), elements...)
	v1[6] = tlv(tagBoolean, []byte{0})
	if _, _, err := decodeHead(seq(v1...)); err == nil || !strings.Contains(err.Error(), "in a version 1 list") {
		t.Errorf("version 1: error %v", err)
	}
}

// FuzzHead wants what is taken to have been written so.
func FuzzHead(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "[a-z]*.crl"))
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := Parse(data); err == nil && len(data) < 1000 {
			head, _ := headOf(f, data)
			f.Add(head)
		}
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		l, fields, err := decodeHead(head)
		if err != nil {
			if l != nil {
				t.Error("a list and an error")
			}
			return
		}
		if again := encodeHead(l, fields); !bytes.Equal(again, head) {
			t.Errorf("written %x", again)
		}
	})
}

package revocation

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fullName is a DistributionPoint with one name for each URI.
func fullName(uris ...string) []byte {
	var names [][]byte
	for _, uri := range uris {
		names = append(names, tlv(tagURI, []byte(uri)))
	}
	return tlv(tagSequence, tlv(0xa0, tlv(0xa0, names...)))
}

func TestDistributionURLs(t *testing.T) {
	reasons := tlv(tagContext|1, []byte{0, 0x40})
	issuer := tlv(0xa2, tlv(tagDirectoryName, tlv(tagSequence)))
	for name, tt := range map[string]struct {
		value []byte
		want  []string
	}{
		"one":           {tlv(tagSequence, fullName("http://a/x")), []string{"http://a/x"}},
		"several":       {tlv(tagSequence, fullName("http://a/x", "HTTPS://b/y"), fullName("http://c/z")), []string{"http://a/x", "HTTPS://b/y", "http://c/z"}},
		"other schemes": {tlv(tagSequence, fullName("ldap://a/x", "file:///etc/passwd", "http:/a", "http://")), nil},
		"indirect":      {tlv(tagSequence, tlv(tagSequence, tlv(0xa0, tlv(0xa0, tlv(tagURI, []byte("http://a/x")))), issuer)), nil},
		"some reasons":  {tlv(tagSequence, tlv(tagSequence, tlv(0xa0, tlv(0xa0, tlv(tagURI, []byte("http://a/x")))), reasons)), []string{"http://a/x"}},
		"relative":      {tlv(tagSequence, tlv(tagSequence, tlv(0xa0, tlv(0xa1)))), nil},
		"empty":         {tlv(tagSequence), nil},
		"cut":           {tlv(tagSequence, fullName("http://a/x"))[:9], nil},
		"cut in second": {tlv(tagSequence, fullName("http://a/x"), []byte{tagSequence, 5}), nil},
		"trailing":      {append(tlv(tagSequence, fullName("http://a/x")), 0), nil},
	} {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1CRLDistributionPoints, Value: tt.value}}}
		if got, deltas := DistributionURLs(cert); !slices.Equal(got, tt.want) || deltas != nil {
			t.Errorf("%s: got %q and %q, want %q", name, got, deltas, tt.want)
		}
		cert.Extensions[0].Id = asn1FreshestCRL
		if complete, got := DistributionURLs(cert); !slices.Equal(got, tt.want) || complete != nil {
			t.Errorf("%s, freshest: got %q and %q, want %q", name, got, complete, tt.want)
		}
	}
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("http://a/%d", i))
	}
	cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1CRLDistributionPoints, Value: tlv(tagSequence, fullName(many...))}}}
	if got, _ := DistributionURLs(cert); len(got) != maxURLs {
		t.Errorf("%d of 20 URLs", len(got))
	}
	if got, deltas := DistributionURLs(nil); got != nil || deltas != nil {
		t.Errorf("of nothing: %q, %q", got, deltas)
	}
}

// TestManyListsInOneFile holds the bound on lists: a file of tiny ones would make
// as many objects as it has bytes for.
func TestManyListsInOneFile(t *testing.T) {
	der := entriesOf(t, newCA(t, "Prolific CA"), revoke(7))
	three := strings.Repeat(string(pemOf(der)), 3)
	for most, want := range map[int]string{2: "more than 2 CRLs", 3: "", 0: ""} {
		lists, err := Read(context.Background(), strings.NewReader(three), Options{MaxLists: most})
		switch {
		case want == "" && (err != nil || len(lists) != 3):
			t.Errorf("at most %d: %d lists, %v", most, len(lists), err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("at most %d: %v", most, err)
		}
	}
	if _, err := Read(context.Background(), strings.NewReader(three), Options{MaxLists: -1}); err == nil {
		t.Error("a negative bound is taken")
	}
}

// TestReadAs reads a file under another path, to which it is moved: it is opened
// again from there.
func TestReadAs(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDir(filepath.Join(dir, "kept"))
	if err != nil {
		t.Fatal(err)
	}
	part, body := filepath.Join(dir, "part"), filepath.Join(dir, "body")
	var entries [][]byte
	for i := range int64(4000) { // smaller ones are not kept
		entries = append(entries, revoke(i+1))
	}
	if err := os.WriteFile(part, entriesOf(t, newCA(t, "Moving CA"), entries...), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := ReadFile(t.Context(), part, Options{Dir: d, As: body})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, body); err != nil {
		t.Fatal(err)
	}
	parsed := false
	again, err := ReadFile(t.Context(), body, Options{Dir: d, Progress: func(Progress) { parsed = true }})
	if err != nil || len(again) != 1 || again[0].Digest() != first[0].Digest() {
		t.Fatalf("%d lists, %v", len(again), err)
	}
	if parsed {
		t.Error("it was read, not opened")
	}
}

func FuzzDistributionURLs(f *testing.F) {
	f.Add(tlv(tagSequence, fullName("http://a/x", "ldap://b")))
	f.Add(tlv(tagSequence, tlv(tagSequence, tlv(0xa0, tlv(0xa1)))))
	f.Fuzz(func(t *testing.T, value []byte) {
		urls, err := distributionURLs(value)
		if err != nil && urls != nil || len(urls) > maxURLs {
			t.Errorf("%d URLs, %v", len(urls), err)
		}
	})
}

package servercert

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func TestDir(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "certificates"))
	if _, err := d.Load("issued/shop/a.pem"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if names, err := d.List("issued/shop"); err != nil || len(names) != 0 {
		t.Errorf("a list of nothing: %v, %v", names, err)
	}
	for _, value := range []string{"first", "second"} {
		if err := d.Save("issued/shop/a.pem", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Load("issued/shop/a.pem"); err != nil || string(got) != value {
			t.Errorf("%q, %v, want %q", got, err, value)
		}
	}
	if err := d.Save("issued/shop/+.b.pem", nil); err != nil {
		t.Fatal(err)
	}
	if names, err := d.List("issued/shop"); err != nil || !slices.Equal(names, []string{"+.b.pem", "a.pem"}) {
		t.Errorf("list: %q, %v", names, err)
	}
	err := filepath.WalkDir(string(d), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %#o, want %#o", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Delete("issued/shop/a.pem"); err != nil {
			t.Error(err)
		}
	}
}

// TestDirKeepsTheOld: a save that fails leaves the old value, and nothing else.
func TestDirKeepsTheOld(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.Save("a/b", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(string(d), "a", "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Save("a/c", []byte("new")); err == nil {
		t.Error("a directory was replaced")
	}
	if names, err := d.List("a"); err != nil || !slices.Equal(names, []string{"b", "c"}) {
		t.Errorf("left behind: %q, %v", names, err)
	}
	left, err := os.ReadDir(filepath.Join(string(d), "a"))
	if err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDirRefusesPaths(t *testing.T) {
	dir := t.TempDir()
	d := Dir(filepath.Join(dir, "store"))
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "a/", ".hidden", "a/.new-x", "a\x00b", strings.Repeat("x", 300)} {
		_, err := d.Load(key)
		if err == nil || !strings.Contains(err.Error(), "want names") {
			t.Errorf("load %q: %v", key, err)
		}
		if d.Save(key, nil) == nil || d.Delete(key) == nil {
			t.Errorf("%q is taken for a key", key)
		}
	}
}

func TestDirLock(t *testing.T) {
	d := Dir(t.TempDir())
	unlock, err := d.Lock(t.Context(), "order-a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.Lock(ctx, "order-a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that is taken: %v", err)
	}
	other, err := d.Lock(t.Context(), "order-b")
	if err != nil {
		t.Errorf("another lock: %v", err)
	} else {
		other()
	}
	unlock()
	if left, err := d.List("locks"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	again, err := d.Lock(t.Context(), "order-a")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// fullDisk is a store in which nothing more can be saved.
type fullDisk struct{ Store }

func (fullDisk) Save(string, []byte) error { return errors.New("no space left on device") }

// TestMagicStorage: what certmagic saves in three parts is one file, and a save that
// fails half-way takes nothing of the old one.
func TestMagicStorage(t *testing.T) {
	ctx, d := t.Context(), Dir(t.TempDir())
	s := &magicStorage{store: d, key: "issued/shop/a.pem"}
	leaf := pki.Must(pki.Must(pki.NewRoot()).Issue(pki.Server("a.example")))
	dir := t.TempDir()
	if err := leaf.WriteFiles(dir, "a"); err != nil {
		t.Fatal(err)
	}
	cert, key := pki.Must(os.ReadFile(filepath.Join(dir, "a.crt"))), pki.Must(os.ReadFile(filepath.Join(dir, "a.key")))
	save := func(s *magicStorage, meta string) (err error) {
		for _, part := range []struct {
			name  string
			value []byte
		}{{"certificates/acme/a/a.key", key}, {"certificates/acme/a/a.crt", cert}, {"certificates/acme/a/a.json", []byte(meta)}} {
			if err = s.Store(ctx, part.name, part.value); err != nil {
				return err
			}
		}
		return nil
	}
	if s.Exists(ctx, "certificates/acme/a/a.crt") {
		t.Error("it is there before it is saved")
	}
	if err := save(s, `{"issuer_data":{"ca":"https://ca/dir"}}`); err != nil {
		t.Fatal(err)
	}
	full := &magicStorage{store: fullDisk{d}, key: s.key}
	if err := save(full, `{}`); err != nil || full.err == nil || full.complete == nil || !bytes.Equal(full.complete.cert, cert) {
		t.Errorf("a full disk: %v, %v, %v", err, full.err, full.complete)
	}
	for _, name := range []string{"a.key", "a.crt", "a.json"} {
		if err := full.Delete(ctx, "certificates/acme/a/"+name); err != nil { // as certmagic undoes a save
			t.Error(err)
		}
	}
	b, err := s.load()
	if err != nil || b.issuedBy() != "https://ca/dir" {
		t.Fatalf("%v, issued by %q", err, b.issuedBy())
	}
	if _, err := newPair("shop", b.cert, b.key); err != nil {
		t.Error(err)
	}
	if got, err := s.Load(ctx, "certificates/acme/a/a.crt"); err != nil || !bytes.Equal(got, cert) {
		t.Errorf("the certificate is another one: %v", err)
	}
	if err := s.Store(ctx, "certificates/acme/a/a.json", []byte("{}")); err == nil {
		t.Error("metadata alone are taken for a certificate")
	}
	if err := d.Save(s.key, []byte("half a fi")); err != nil {
		t.Fatal(err)
	}
	if s.Exists(ctx, "certificates/acme/a/a.crt") {
		t.Error("a broken file is taken for a certificate")
	}
}

func FuzzBundle(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" +
		"-----BEGIN SALLYPORT CERTIFICATE METADATA-----\ne30=\n-----END SALLYPORT CERTIFICATE METADATA-----\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" +
		"-----BEGIN SALLYPORT CERTIFICATE METADATA-----\nOrdered: 2026-01-01T00:00:00Z\nReplaced-Revoked: x\n\ne30=\n-----END SALLYPORT CERTIFICATE METADATA-----\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBundle(data)
		if err != nil {
			return
		}
		b.issuedBy()
		again, err := decodeBundle(b.encode())
		if err != nil || !again.ordered.Equal(b.ordered) || !again.forRevoked.Equal(b.forRevoked) || !bytes.Equal(again.cert, b.cert) || !bytes.Equal(again.key, b.key) || !bytes.Equal(again.meta, b.meta) {
			t.Errorf("read again: %v", err)
		}
	})
}

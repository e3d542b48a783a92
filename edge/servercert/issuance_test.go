package servercert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/servercert/pebble"
)

// TestMain is also the command that makes DNS records, run with hookFor, the URL of
// the DNS server's management, the verb, the name and the value.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == hookFor {
		if err := hook(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const hookFor = "dns-hook"

func hook(management, verb, name, value string) error {
	path := map[string]string{"present": "/set-txt", "cleanup": "/clear-txt"}[verb]
	body, err := json.Marshal(map[string]string{"host": name, "value": value})
	if err != nil || path == "" {
		return fmt.Errorf("verb %q: %v", verb, err)
	}
	response, err := http.Post(management+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// running is an entry under a CA, until the test ends or stop is called.
func running(t *testing.T, dir string, cfg config.Certificate) (c *Certificate, log *lockedBuffer, stop func()) {
	t.Helper()
	log = &lockedBuffer{}
	o := in(dir)
	o.Manager = NewManager(Dir(filepath.Join(dir, "state")), slog.New(slog.NewTextHandler(log, nil)))
	c, err := Load(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	t.Cleanup(stop)
	return c, log, stop
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// await waits for what takes a CA.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for over := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("not %s within a minute", what)
		}
	}
}

// TestDNS01 has wildcards issued by dns-01, through a command, by a CA that serves
// only accounts it knows; and a name with an RSA key.
func TestDNS01(t *testing.T) {
	authority, err := pebble.Start(t.TempDir(), pebble.Options{EAB: map[string]string{"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(authority.Log())
		}
		authority.Close()
	})
	dir := t.TempDir()
	hmac := filepath.Join(dir, "eab.key")
	if err := os.WriteFile(hmac, []byte("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	entry := func(eab config.EAB) config.Certificate {
		return config.Certificate{Name: "wild", Hosts: []string{"*.shop.example", "shop.example"}, ACME: &config.ACME{
			Directory: authority.Directory, CAFile: authority.CAFile, EAB: eab, Profile: "default", KeyType: config.KeyRSA2048,
			DNS: config.ACMEDNS{Exec: []string{os.Args[0], hookFor, authority.DNSManagement}, Resolvers: []string{authority.DNS}, PropagationTimeout: config.Duration(30 * time.Second)},
		}}
	}

	stranger, _, stop := running(t, dir, entry(config.EAB{}))
	await(t, "refused", func() bool { return strings.Contains(stranger.LastError(), "externalAccountRequired") })
	stop()

	c, log, stop := running(t, dir, entry(config.EAB{KeyID: "kid-1", HMACFile: hmac}))
	await(t, "issued", func() bool { return c.Stats().Obtained == 2 })
	for _, name := range []string{"shop.example", "any.shop.example"} {
		hello := &tls.ClientHelloInfo{ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.PSSWithSHA256}, SupportedCurves: []tls.CurveID{tls.X25519}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}}
		pair, err := NewSelector([]*Certificate{c}, true).Pick(hello)
		if err != nil || pair == nil || pair.Leaf().VerifyHostname(name) != nil || keyOf(pair.Leaf()) != "rsa-2048" {
			t.Errorf("%s: %+v, %v", name, pair, err)
		}
	}
	if strings.Contains(log.String(), "level=ERROR") {
		t.Error(log.String())
	}
	accounts, err := Dir(filepath.Join(dir, "state")).List("accounts")
	if err != nil || len(accounts) != 1 {
		t.Errorf("accounts: %q, %v", accounts, err)
	}
	stop()

	// Another type of key is asked for at once; what there is serves meanwhile.
	changed := entry(config.EAB{KeyID: "kid-1", HMACFile: hmac})
	changed.Hosts, changed.ACME.KeyType = []string{"shop.example"}, config.KeyP256
	c, _, _ = running(t, dir, changed)
	if c.Leaf() == nil {
		t.Error("nothing is shown while the new key is asked for")
	}
	await(t, "issued with the other key", func() bool { return keyOf(c.Leaf()) == "ecdsa-p256" })
}

// TestForgottenAccount: a CA that was installed anew knows nobody.
func TestForgottenAccount(t *testing.T) {
	dir := t.TempDir()
	first, err := pebble.Start(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	entry := func(a *pebble.CA) config.Certificate {
		return config.Certificate{Name: "c", Hosts: []string{"c.example"}, ACME: &config.ACME{
			Directory: a.Directory, CAFile: a.CAFile, Profile: "default", KeyType: config.KeyP256,
			DNS: config.ACMEDNS{Exec: []string{os.Args[0], hookFor, a.DNSManagement}, Resolvers: []string{a.DNS}},
		}}
	}
	c, _, stop := running(t, dir, entry(first))
	await(t, "issued", func() bool { return c.Leaf() != nil })
	stop()
	before := c.Leaf()

	second, err := pebble.Start(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	// The same account, under the name of the second, which has never heard of it.
	store := Dir(filepath.Join(dir, "state"))
	accounts, err := store.List("accounts")
	if err != nil || len(accounts) != 1 {
		t.Fatal(accounts, err)
	}
	data, err := store.Load("accounts/" + accounts[0])
	if err != nil {
		t.Fatal(err)
	}
	moved := bytes.ReplaceAll(data, []byte(strings.TrimSuffix(first.Directory, "/dir")), []byte(strings.TrimSuffix(second.Directory, "/dir")))
	if err := store.Save((&ca{directory: second.Directory}).accountKey(), moved); err != nil {
		t.Fatal(err)
	}
	c, log, _ := running(t, dir, entry(second))
	if !c.Leaf().Equal(before) {
		t.Error("what the first CA has issued is not shown")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	await(t, "renewed", func() bool { return c.Renew(ctx) == nil })
	if c.Leaf().Equal(before) || !strings.Contains(log.String(), "CA does not know the account any more") {
		t.Errorf("not renewed by the second CA:\n%s", log.String())
	}
}

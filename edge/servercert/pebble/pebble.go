// Package pebble runs a real ACME CA for tests: Pebble with -strict, its names
// resolved to loopback by pebble-challtestsrv, behind a proxy that sees what is
// asked of it and can fail in its place.
package pebble

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/loadtest/port"
)

// startTime bounds how long it may take to build the programs, and to start them.
const (
	buildTime = 10 * time.Minute
	startTime = time.Minute
)

// Options say what CA it is.
type Options struct {
	// TLSPort and HTTPPort are where the CA looks for challenges.
	TLSPort, HTTPPort int
	// Profiles are how long certificates last, by the profile's name. Orders that
	// name none get any. Default: default, 90 days.
	Profiles map[string]time.Duration
	// EAB are the accounts that the CA knows, MAC keys in base64url by key id. With
	// any, nobody else is served.
	EAB map[string]string
	// OCSP is the responder that certificates name. The CA's keys are then of RSA, and
	// IntermediateKey has the one to sign answers with. Default none.
	OCSP string
}

// CA is a running one.
type CA struct {
	// Directory is its URL, and CAFile the PEM file that vouches for its TLS.
	Directory string
	CAFile    string
	// DNS is the address of the DNS server that answers with 127.0.0.1 for every
	// name, and DNSManagement the URL that changes what it says.
	DNS           string
	DNSManagement string

	front      *front
	resolver   *resolver
	management string
	dir        string
	processes  []*exec.Cmd
	client     *http.Client
	log        *os.File
	release    []func() // its ports
}

// programs builds Pebble's once for a process; the go command keeps what it has
// built between them.
var programs = sync.OnceValues(func() (map[string]string, error) {
	paths := map[string]string{}
	for _, name := range []string{"pebble", "pebble-challtestsrv"} {
		ctx, cancel := context.WithTimeout(context.Background(), buildTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "tool", "-n", name)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", name, err, complaint.String())
		}
		paths[name] = strings.TrimSpace(string(out))
	}
	return paths, nil
})

// Start runs a CA until Close. Its working directory is dir.
func Start(dir string, o Options) (*CA, error) {
	paths, err := programs()
	if err != nil {
		return nil, err
	}
	c := &CA{dir: dir}
	if err := c.start(paths, o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *CA) start(paths map[string]string, o Options) (err error) {
	var addresses [5]string
	for i := range addresses {
		address, release, err := port.ReserveAddress("127.0.0.1")
		if err != nil {
			return err
		}
		c.release = append(c.release, release)
		addresses[i] = address
	}
	at := func(i int) string { return addresses[i] }
	if c.front, err = newFront(at(0)); err != nil {
		return err
	}
	c.Directory, c.CAFile = c.front.url+"/dir", filepath.Join(c.dir, "pebble-ca.pem")
	c.DNS, c.DNSManagement, c.management = at(4), "http://"+at(3), "https://"+at(1)
	if c.resolver, err = newResolver(c.DNS, at(2)); err != nil {
		return err
	}
	if c.log, err = os.Create(filepath.Join(c.dir, "pebble.log")); err != nil {
		return err
	}
	cert, key, err := c.front.files(c.dir)
	if err != nil {
		return err
	}
	c.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: c.front.roots}, DisableKeepAlives: true,
	}}
	text, err := json.Marshal(map[string]any{"pebble": o.config(at(0), at(1), cert, key)})
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, "pebble.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(c.CAFile, c.front.pem, 0o600); err != nil {
		return err
	}
	err = errors.Join(
		c.run(paths["pebble-challtestsrv"], "-dnsserver", at(2), "-management", at(3), "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1"),
		c.run(paths["pebble"], "-config", file, "-dnsserver", at(2), "-strict"))
	if err != nil {
		return err
	}
	for over := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		if response, err := c.client.Get("https://" + at(0) + "/dir"); err == nil {
			response.Body.Close()
			return nil
		} else if time.Now().After(over) {
			return fmt.Errorf("pebble does not answer within %s: %w", startTime, err)
		}
	}
}

// config is Pebble's configuration.
func (o Options) config(listen, management, cert, key string) map[string]any {
	type profile struct {
		Description    string `json:"description"`
		ValidityPeriod int    `json:"validityPeriod"`
	}
	profiles := map[string]profile{}
	for name, life := range o.Profiles {
		profiles[name] = profile{name, int(life.Seconds())}
	}
	if len(profiles) == 0 {
		profiles["default"] = profile{"default", 90 * 24 * 3600}
	}
	algorithm := "ecdsa"
	if o.OCSP != "" {
		algorithm = "rsa"
	}
	return map[string]any{
		"listenAddress": listen, "managementListenAddress": management, "certificate": cert, "privateKey": key,
		"httpPort": o.HTTPPort, "tlsPort": o.TLSPort, "ocspResponderURL": o.OCSP,
		"externalAccountBindingRequired": len(o.EAB) > 0, "externalAccountMACKeys": o.EAB,
		"profiles": profiles, "keyAlgorithm": algorithm, "retryAfter": map[string]int{"authz": 1, "order": 1},
	}
}

func (c *CA) run(path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, c.log, c.log
	// Every order is checked anew, at once, and no nonce is refused at random.
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	c.processes = append(c.processes, cmd)
	return nil
}

// Close ends the CA.
func (c *CA) Close() error {
	for _, cmd := range c.processes {
		cmd.Process.Kill()
		cmd.Wait() // it was killed, and says so
	}
	if c.front != nil {
		c.front.close()
	}
	if c.resolver != nil {
		c.resolver.close()
	}
	for _, release := range c.release {
		release()
	}
	if c.log != nil {
		return c.log.Close()
	}
	return nil
}

// Log returns what the programs have said so far.
func (c *CA) Log() string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "pebble.log"))
	return string(text)
}

// Root returns the CA's root, which vouches for what it issues.
func (c *CA) Root() (*x509.Certificate, error) {
	text, err := c.get("/roots/0")
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("pebble's root is no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Roots returns the root in a pool.
func (c *CA) Roots() (*x509.CertPool, error) {
	root, err := c.Root()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool, nil
}

// IntermediateKey returns the key that signs certificates, and OCSP answers.
func (c *CA) IntermediateKey() (any, error) {
	text, err := c.get("/intermediate-keys/0")
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("pebble's key is no PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}

// SetRenewalWindow makes the CA want a certificate to be renewed between start and
// end.
func (c *CA) SetRenewalWindow(cert *x509.Certificate, start, end time.Time) error {
	window := map[string]any{"suggestedWindow": map[string]time.Time{"start": start.UTC(), "end": end.UTC()}}
	answer, err := json.Marshal(window)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		"ARIResponse": string(answer),
	})
	if err != nil {
		return err
	}
	response, err := c.client.Post(c.management+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("set renewal info: %s: %s", response.Status, text)
	}
	return nil
}

func (c *CA) get(path string) ([]byte, error) {
	response, err := c.client.Get(c.management + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s of pebble: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

// Orders returns the names of all orders so far, in order.
func (c *CA) Orders() []string { return c.front.orders() }

// WindowsAsked is how often it was asked when to renew, while it failed with
// PastWindow.
func (c *CA) WindowsAsked() int { return c.front.windowsAsked() }

// Fail makes the CA fail until it is called with the zero Failure.
func (c *CA) Fail(how Failure) { c.front.fail(how) }

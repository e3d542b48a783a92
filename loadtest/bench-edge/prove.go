package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// forged is what a client would like to be taken for.
const forged = "CN=forged"

// prove checks that the server does what it is measured for: it refuses a revoked
// client, lets the other one in, and tells the backend who that is, from the
// certificate and not from the client's own headers.
func prove(ctx context.Context, c *client, f *files, s *server) error {
	bad := c.tls.Clone()
	bad.Certificates = []tls.Certificate{f.revoked}
	if got, _, err := identity(ctx, bad, s.address); err == nil {
		return fmt.Errorf("revoked client is let in, as %q", got)
	}
	// After the refusal, so that a dead server does not pass for a strict one.
	got, suite, err := identity(ctx, c.tls, s.address)
	if err != nil {
		return fmt.Errorf("good client is refused: %w", err)
	}
	s.suite = tls.CipherSuiteName(suite)
	for _, name := range identityNames {
		if values := got[identityName(name)]; len(values) != 1 || values[0] == "" || slices.Contains(values, forged) {
			return fmt.Errorf("backend got %s %q: want one value, of the client's certificate", identityName(name), values)
		}
	}
	text, err := url.PathUnescape(got.Get(identityName("Leaf")))
	if err != nil {
		return fmt.Errorf("decode leaf at the backend: %w", err)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || !slices.Equal(block.Bytes, f.client.Certificate[0]) {
		return errors.New("backend got another leaf than the client's")
	}
	return nil
}

// identity is the identity headers that the backend gets for a client that
// forges them, and the cipher suite.
func identity(ctx context.Context, config *tls.Config, address string) (http.Header, uint16, error) {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	client := http.Client{Transport: transport, Timeout: stall}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+identityPath, nil)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range identityNames {
		req.Header.Set(identityName(name), forged)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("status %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	var got http.Header
	if err := json.Unmarshal(text, &got); err != nil {
		return nil, 0, fmt.Errorf("decode backend's answer: %w", err)
	}
	return got, resp.TLS.CipherSuite, nil
}

package peers

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
)

// proof is what a server has been seen to do.
type proof struct {
	suite      string // of TLS 1.3
	noResuming string // why it does not resume sessions; empty if it does
	noHTTP2    string // likewise
}

// prove checks that a server does what it is measured for. What an error says
// makes its figures worthless; what it cannot do besides is in the proof.
func (b *bench) prove(ctx context.Context, s *server) (proof, error) {
	r, err := b.start(ctx, s, b.fewDir)
	if err != nil {
		return proof{}, err
	}
	defer r.Stop()
	p, err := b.proveRunning(ctx, s, r)
	if err != nil {
		return proof{}, fmt.Errorf("%w%s", err, r.Said())
	}
	// Some write their log only now and then, but at their end at the latest.
	r.Process.Stop()
	info, err := os.Stat(filepath.Join(r.site.Dir, s.log))
	if err != nil {
		return proof{}, fmt.Errorf("look at its log: %w", err)
	}
	if info.Size() == 0 {
		return proof{}, errors.New("its log is empty")
	}
	return p, nil
}

func (b *bench) proveRunning(ctx context.Context, s *server, r *running) (proof, error) {
	if _, _, err := newClient(b.authority.roots).get(ctx, r.site.Address, plainPath); err == nil {
		return proof{}, errors.New("client without a certificate is let in")
	}
	if err := b.proveRevocation(ctx, s, r); err != nil {
		return proof{}, err
	}
	// After the refusals, so that a dead server does not pass for a strict one.
	client := newClient(b.authority.roots, b.authority.good)
	text, state, err := client.get(ctx, r.site.Address, identityPath)
	if err != nil {
		return proof{}, fmt.Errorf("good client is refused: %w", err)
	}
	var got http.Header
	if err := json.Unmarshal(text, &got); err != nil {
		return proof{}, fmt.Errorf("decode the target's answer: %w", err)
	}
	if err := checkIdentity(got, s.mute, b.authority.good.Certificate[0]); err != nil {
		return proof{}, err
	}
	p := proof{suite: tls.CipherSuiteName(state.CipherSuite)}
	switch _, state, err := client.get(ctx, r.site.Address, plainPath); {
	case err != nil:
		return proof{}, fmt.Errorf("returning client is refused: %w", err)
	case !state.DidResume:
		p.noResuming = "it resumes no session of a client with a certificate"
	}
	client = newClient(b.authority.roots, b.authority.good)
	client.http2 = true
	if _, _, err := client.get(ctx, r.site.Address, plainPath); err != nil {
		p.noHTTP2 = fmt.Sprintf("it speaks no HTTP/2: %v", err)
	}
	return p, nil
}

// proveRevocation checks that a server which has CRLs refuses the revoked client.
func (b *bench) proveRevocation(ctx context.Context, s *server, r *running) error {
	if s.noCRL != "" {
		return nil
	}
	if _, _, err := newClient(b.authority.roots, b.authority.revoked).get(ctx, r.site.Address, plainPath); err == nil {
		return errors.New("revoked client is let in")
	}
	return nil
}

// checkIdentity checks the identity headers that the target got against the
// client's leaf. Of a name in mute there must be none, and of any other one
// value, which is not what the client said of itself.
func checkIdentity(got http.Header, mute []string, leaf []byte) error {
	for _, name := range identityNames {
		values := got[identityName(name)]
		if slices.Contains(mute, name) {
			if len(values) > 0 {
				return fmt.Errorf("target got %s %q: want none", identityName(name), values)
			}
			continue
		}
		if len(values) != 1 || values[0] == "" || values[0] == forged {
			return fmt.Errorf("target got %s %q: want one value, of the client's certificate", identityName(name), values)
		}
	}
	if told, err := decodeLeaf(got.Get(identityName("Leaf"))); err != nil {
		return fmt.Errorf("decode the leaf that the target got: %w", err)
	} else if !bytes.Equal(told, leaf) {
		return errors.New("target got another leaf than the client's")
	}
	return nil
}

// decodeLeaf reads a certificate as servers tell it: PEM escaped for URLs, or
// base64 of DER.
func decodeLeaf(text string) ([]byte, error) {
	unescaped, err := url.PathUnescape(text)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode([]byte(unescaped)); block != nil {
		return block.Bytes, nil
	}
	return base64.StdEncoding.DecodeString(text)
}

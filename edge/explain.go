package edge

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
)

// Explanation is what a listener would make of a client that presents a chain
// and proves that it holds its key.
type Explanation struct {
	Listener   string           `json:"listener"`
	ServerName string           `json:"server_name,omitempty"`
	Mode       config.Mode      `json:"mode"`
	TrustStore string           `json:"trust_store,omitempty"`
	Steps      []Step           `json:"steps"`
	Admitted   bool             `json:"admitted"`
	Code       reason.Code      `json:"code"`
	Cause      string           `json:"cause,omitempty"`
	Path       []string         `json:"path,omitempty"` // subjects, leaf to anchor
	Headers    []identity.Field `json:"headers"`        // what the target would be told
}

// Step is one row of the judgement.
type Step struct {
	Name    string `json:"step"`
	Outcome string `json:"outcome"` // passed, failed, or not reached
}

// steps are the rows of the judgement, in its order, with the codes that each
// can give.
var steps = []struct {
	name  string
	codes []reason.Code
	modes []config.Mode // nil: verify and optional only
}{
	{"server name", []reason.Code{reason.UnknownServerName}, allModes},
	{"trust store loaded", []reason.Code{reason.TrustStoreUnavailable}, nil},
	{"certificate presented", []reason.Code{reason.ClientCertMissing}, everyMode},
	{"size of the certificates", []reason.Code{reason.ClientCertMaxSizeExceeded}, everyMode},
	{"number of certificates", []reason.Code{reason.ClientCertMaxChainDepthExceeded}, nil},
	{"form and signatures", []reason.Code{reason.ClientCertInvalid}, everyMode},
	{"version, keys", []reason.Code{reason.ClientCertTypeUnsupported}, everyMode},
	{"path to a CA of the trust store", []reason.Code{reason.ClientCertUntrusted}, nil},
	{"hashes of the signatures", []reason.Code{reason.ClientCertIncompatible}, nil},
	{"dates", []reason.Code{reason.ClientCertNotYetValid, reason.ClientCertExpired}, nil},
	{"purpose", []reason.Code{reason.ClientCertPurposeInvalid}, nil},
	{"identity filters", []reason.Code{reason.ClientCertRejected}, nil},
	{"revocation", []reason.Code{reason.ClientCertCrlHit, reason.ClientCertCrlProcessingError, reason.ClientCertOcspDenied, reason.ClientCertOcspProcessingError}, nil},
}

var (
	allModes  = []config.Mode{config.ModeOff, config.ModePassthrough, config.ModeVerify, config.ModeOptional}
	everyMode = allModes[1:] // in which a certificate is asked for
)

// Explain says what a listener under cfg would make of a chain, DER, leaf first,
// at now; serverName is the SNI, "" for none. It runs the code that the handshake
// runs. It reads the files that cfg names and changes nothing. The error says why
// nothing can be said: a configuration that would not start, or a listener that
// judges nobody.
func Explain(cfg *config.Config, listener, serverName string, chain [][]byte, now time.Time) (*Explanation, error) {
	b := builder{cfg: cfg, readOnly: true, log: slog.New(slog.DiscardHandler)}
	g, problems := b.build()
	if err := problems.Err(); err != nil {
		return nil, err
	}
	p := g.policies[listener]
	switch {
	case p == nil:
		return nil, fmt.Errorf("listener %q: want one of %s", listener, strings.Join(slices.Sorted(maps.Keys(g.policies)), ", "))
	case p.tls == nil:
		return nil, fmt.Errorf("listener %s is plain HTTP: no client has an identity there", listener)
	}
	a := p.admissions.of(serverName)
	e := &Explanation{Listener: listener, ServerName: serverName, Mode: a.mode(), TrustStore: a.mutual.TrustStore, Headers: []identity.Field{}}
	if !p.selector.Serves(serverName) {
		e.conclude(reason.Errorf(reason.UnknownServerName, "no certificate is for server name %q", serverName))
		return e, nil
	}
	if a.mode() == config.ModeOff {
		e.conclude(nil)
		return e, nil
	}

	presented, err := parsePresented(chain)
	c := &Conn{policy: p, admission: a, presented: presented, hello: hello{serverName: serverName}}
	if err == nil && len(presented) == 0 && a.mode() != config.ModeOptional {
		err = errors.New("tls: client didn't provide a certificate") // crypto/tls sees to it
	}
	if err == nil {
		c.verified, err = a.judge(&truststore.Handshake{Presented: presented}, now)
	}
	if err == nil && !a.settles(presented, c.verified) {
		err = reason.Errorf(reason.InternalError, "no verdict")
	}
	e.conclude(err)
	if e.Admitted {
		e.Headers = append(e.Headers, c.identityFields(p.http.Identity)...)
	}
	if c.verified != nil {
		for _, cert := range c.verified.Path {
			e.Path = append(e.Path, identity.Subject(cert))
		}
	}
	return e, nil
}

// conclude fills in the verdict, and the steps up to it.
func (e *Explanation) conclude(err error) {
	e.Admitted, e.Code = err == nil, reason.Success
	if err != nil {
		refused := refusal(err)
		e.Code, e.Cause = refused.Code, refused.Cause.Error()
	}
	failed := false
	for _, s := range steps {
		if s.modes == nil && e.Mode != config.ModeVerify && e.Mode != config.ModeOptional || s.modes != nil && !slices.Contains(s.modes, e.Mode) {
			continue
		}
		outcome := "passed"
		switch {
		case failed:
			outcome = "not reached"
		case slices.Contains(s.codes, e.Code):
			outcome, failed = "failed", true
		}
		e.Steps = append(e.Steps, Step{s.name, outcome})
	}
}

// parsePresented parses a chain as crypto/tls does before it asks us, and refuses
// what it refuses, in its words, so that one table maps both to codes.
func parsePresented(chain [][]byte) ([]*x509.Certificate, error) {
	const ofMessage = 10 // of the message around the certificates, at the least
	size := ofMessage
	for _, der := range chain {
		size += len(der)
	}
	if size > 256<<10 {
		return nil, fmt.Errorf("tls: handshake message of length %d bytes exceeds maximum of 262144 bytes", size)
	}
	var certs []*x509.Certificate
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("tls: failed to parse client certificate: " + err.Error())
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > 8192 {
			return nil, errors.New("tls: client sent certificate containing RSA key larger than 8192 bits")
		}
		certs = append(certs, cert)
	}
	if len(certs) > 0 {
		switch certs[0].PublicKey.(type) {
		case *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey:
		default:
			return nil, fmt.Errorf("tls: client certificate contains an unsupported public key of type %T", certs[0].PublicKey)
		}
	}
	return certs, nil
}

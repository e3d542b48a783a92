package servercert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/filewatch"
)

// authority gets certificates from the CAs of an entry, tried in order, each by
// its challenges in order. certmagic's own issuer is not used: it opens sockets of
// its own for challenges.
type authority struct {
	manager    *Manager
	cas        []*ca
	challenges []config.ACMEChallenge
	dns        *certmagic.DNS01Solver
	inputs     []byte // what was read from files
}

var _ certmagic.Issuer = (*authority)(nil)

// ca is one directory that is asked for certificates.
type ca struct {
	manager   *Manager
	directory string
	email     string
	profile   string
	eab       *acme.EAB
	http      *http.Client
}

func newAuthority(cfg *config.ACME, o Options) (*authority, error) {
	a := &authority{manager: o.Manager, challenges: cfg.Solves()}
	if len(cfg.DNS.Exec) > 0 {
		command := append([]string{}, cfg.DNS.Exec...)
		if strings.Contains(command[0], "/") {
			command[0] = o.Resolve(command[0])
		}
		timeout := cfg.DNS.PropagationTimeout.Std()
		if timeout == 0 {
			timeout = -1
		}
		a.dns = &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
			DNSProvider: dnsCommand{command}, Resolvers: cfg.DNS.Resolvers, PropagationTimeout: timeout, Logger: o.Manager.zap(),
		}}
	}
	for i, from := range cfg.CAs() {
		field := "acme"
		if i > 0 {
			field = fmt.Sprintf("acme.fallback[%d]", i-1)
		}
		one, err := a.newCA(from, cfg.Email, field, o)
		if err != nil {
			return nil, err
		}
		a.cas = append(a.cas, one)
	}
	return a, nil
}

func (a *authority) newCA(from config.ACMECA, email, field string, o Options) (*ca, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 30 * time.Second
	if from.CAFile != "" {
		data, err := filewatch.ReadFile(o.Resolve(from.CAFile), maxFile)
		if err != nil {
			return nil, &FieldError{field + ".ca_file", err}
		}
		a.inputs = append(a.inputs, data...)
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(data) {
			return nil, &FieldError{field + ".ca_file", fmt.Errorf("%q: no certificate found: want a PEM file of CA certificates", from.CAFile)}
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	c := &ca{manager: o.Manager, directory: from.Directory, email: email, profile: from.Profile}
	c.http = &http.Client{Transport: &retryAfter{next: transport, note: func(at time.Time) { o.Manager.pauses.asked(from.Directory, at) }}, Timeout: time.Minute}
	if from.EAB.HMACFile != "" {
		data, err := filewatch.ReadFile(o.Resolve(from.EAB.HMACFile), maxFile)
		if err != nil {
			return nil, &FieldError{field + ".eab.hmac_file", err}
		}
		a.inputs = append(a.inputs, data...)
		// CAs hand it out in either alphabet, padded or not.
		key := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.TrimSpace(string(data)))
		if raw, err := base64.RawURLEncoding.DecodeString(key); err != nil || len(raw) == 0 {
			return nil, &FieldError{field + ".eab.hmac_file", fmt.Errorf("%q: want a key in base64url", from.EAB.HMACFile)}
		}
		c.eab = &acme.EAB{KeyID: from.EAB.KeyID, MACKey: key}
	}
	return c, nil
}

// IssuerKey implements certmagic.Issuer. It is one for all CAs, since what one of
// them has issued takes the place of what another has.
func (a *authority) IssuerKey() string { return "acme" }

// replaces is a certificate that a new one takes the place of, as the CA that
// issued it is told (RFC 9773, section 5).
type replaces struct {
	leaf *x509.Certificate
	ca   string
}

type replacesKey struct{}

// byHandKey marks the context of an order that an operator wants now.
type byHandKey struct{}

// refusedOrder is an order that the CA has refused, account and all being well.
type refusedOrder struct{ err error }

func (e *refusedOrder) Error() string { return e.err.Error() }

func (e *refusedOrder) Unwrap() error { return e.err }

// Issue implements certmagic.Issuer.
func (a *authority) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	kinds := a.challenges
	if len(csr.DNSNames) == 1 && strings.HasPrefix(csr.DNSNames[0], "*.") {
		kinds = []config.ACMEChallenge{config.ChallengeDNS}
	}
	var failed []error
	pauses, host := &a.manager.pauses, strings.Join(csr.DNSNames, " ")
	byHand, _ := ctx.Value(byHandKey{}).(bool)
	old, _ := ctx.Value(replacesKey{}).(replaces)
	for _, one := range a.cas {
		if until := pauses.until(one.directory, host, byHand, time.Now()); time.Now().Before(until) {
			failed = append(failed, &orderError{one.directory, string(kinds[0]), until, errAskedToWait})
			continue
		}
		issued, tried := a.issueBy(ctx, one, kinds, csr)
		if issued != nil {
			pauses.issued(one.directory, host)
			return issued, nil
		}
		var refusal *refusedOrder
		if errors.As(errors.Join(tried...), &refusal) && ctx.Err() == nil {
			pauses.refused(one.directory, host, time.Now(), func(n int) time.Duration { return retryIn(n, true, old.leaf) })
		}
		until := pauses.until(one.directory, host, false, time.Now())
		for i, err := range tried {
			failed = append(failed, &orderError{one.directory, string(kinds[i]), until, err})
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failed...)
}

// issueBy tries the challenges in turn with one CA; without a certificate it returns
// why, challenge by challenge.
func (a *authority) issueBy(ctx context.Context, one *ca, kinds []config.ACMEChallenge, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, []error) {
	var tried []error
	for _, kind := range kinds {
		issued, err := one.order(ctx, csr, string(kind), a.solver(kind))
		if err == nil {
			return issued, nil
		}
		tried = append(tried, err)
		if ctx.Err() != nil || !isAboutChallenge(err) {
			break
		}
	}
	return nil, tried
}

func (a *authority) solver(kind config.ACMEChallenge) acmez.Solver {
	switch kind {
	case config.ChallengeHTTP:
		return httpSolver{&a.manager.challenges}
	case config.ChallengeDNS:
		return a.dns
	}
	return alpnSolver{&a.manager.challenges}
}

// isAboutChallenge says whether another challenge may succeed where this one has
// failed.
func isAboutChallenge(err error) bool {
	var problem acme.Problem
	if errors.As(err, &problem) {
		_, checked := problem.Resource.(acme.Authorization)
		return checked
	}
	var broken net.Error
	return !errors.As(err, &broken)
}

// orderError is an order that one CA has not filled.
type orderError struct {
	ca, challenge string
	notBefore     time.Time // when the CA may be asked again, zero if it did not say
	err           error
}

func (e *orderError) Error() string {
	return fmt.Sprintf("order from %s by %s: %v", e.ca, e.challenge, e.err)
}

func (e *orderError) Unwrap() error { return e.err }

// errAskedToWait is for a CA that has said when it may be asked again.
var errAskedToWait = errors.New("the CA has asked for a pause that is not over")

// waitFor returns what the errors of an attempt say of the next: whether a CA has
// refused, rather than not answered, and until when all of them want to be left
// alone.
func waitFor(err error) (refused bool, notBefore time.Time) {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return false, time.Time{}
	}
	for i, one := range joined.Unwrap() {
		var order *orderError
		if !errors.As(one, &order) || order.notBefore.IsZero() {
			notBefore = time.Time{}
			break
		}
		if i == 0 || order.notBefore.Before(notBefore) {
			notBefore = order.notBefore
		}
	}
	var problem acme.Problem
	return errors.As(err, &problem) || errors.Is(err, errAskedToWait), notBefore
}

func (c *ca) client(kind string, solver acmez.Solver) *acmez.Client {
	return &acmez.Client{
		Client: &acme.Client{
			Directory:   c.directory,
			HTTPClient:  c.http,
			UserAgent:   "sallyport",
			PollTimeout: orderTime,
			Logger:      slog.New(quieter{c.manager.log.Handler()}).With("from", "acmez"),
		},
		ChallengeSolvers: map[string]acmez.Solver{kind: solver},
	}
}

// order gets one certificate.
func (c *ca) order(ctx context.Context, csr *x509.CertificateRequest, kind string, solver acmez.Solver) (*certmagic.IssuedCertificate, error) {
	client := c.client(kind, solver)
	old, known := ctx.Value(replacesKey{}).(replaces)
	known = known && old.ca == c.directory
	for again := true; ; again = false {
		account, err := c.account(ctx, client)
		if err != nil {
			return nil, err
		}
		params, err := acmez.OrderParametersFromCSR(account, csr)
		if err != nil {
			return nil, fmt.Errorf("make order: %w", err)
		}
		params.Profile = c.profile
		if known {
			params.Replaces = old.leaf
		}
		chains, err := client.ObtainCertificate(ctx, params)
		var problem acme.Problem
		if again && errors.As(err, &problem) && problem.Type == acme.ProblemTypeAccountDoesNotExist {
			// The CA has forgotten us: one that was installed anew, say.
			c.manager.log.Warn("CA does not know the account any more; another one is made", "ca", c.directory)
			if err := c.manager.store.Delete(c.accountKey()); err != nil {
				return nil, err
			}
			known = false // to the account that will ask
			continue
		}
		if again && known && errors.As(err, &problem) && problem.Status != http.StatusTooManyRequests && !isAboutChallenge(err) {
			c.manager.log.Debug("CA has not taken an order that replaces a certificate; ordered anew without", "ca", c.directory, "cause", err)
			known = false
			continue
		}
		if err != nil && errors.As(err, &problem) {
			return nil, &refusedOrder{err}
		}
		if err != nil {
			return nil, err
		}
		if len(chains) == 0 {
			return nil, errors.New("the CA has issued no certificate")
		}
		chains[0].CA = c.directory
		return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, nil
	}
}

// renewalInfo asks the CA when it wants the certificate to be renewed (RFC 9773).
func (c *ca) renewalInfo(ctx context.Context, leaf *x509.Certificate) (acme.RenewalInfo, error) {
	return c.client("", nil).GetRenewalInfo(ctx, leaf)
}

// retryAfter notes what a CA's refusals say of when to come back, which acmez
// does not tell.
type retryAfter struct {
	next *http.Transport
	note func(time.Time)
}

func (r *retryAfter) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err == nil && (response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable) {
		if at := retryTime(response.Header.Get("Retry-After"), time.Now()); !at.IsZero() {
			r.note(at)
		}
	}
	return response, err
}

func (r *retryAfter) CloseIdleConnections() { r.next.CloseIdleConnections() }

// maxRetryAfter bounds what a CA may ask for: beyond it a slip is more likely.
const maxRetryAfter = 24 * time.Hour

// retryTime reads a Retry-After header (RFC 9110, section 10.2.3); zero is none.
func retryTime(text string, now time.Time) time.Time {
	at := time.Time{}
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		at = now.Add(time.Duration(n) * time.Second)
	} else if date, err := http.ParseTime(text); err == nil && date.After(now) {
		at = date
	}
	if at.After(now.Add(maxRetryAfter)) {
		at = now.Add(maxRetryAfter)
	}
	return at
}

// zap is the manager's log as certmagic needs it.
func (m *Manager) zap() *zap.Logger { return zap.New(zapCore{log: m.log}) }

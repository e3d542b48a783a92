package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/ja4"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/tickets"
	"github.com/sallyport/sallyport/edge/truststore"
)

// doHandshake takes a connection through TLS and judges the client's
// certificate. It returns nil only when the client may come in; then, and only
// then, c.verified says who it is, where the mode tells clients apart.
//
// crypto/tls calls VerifyConnection before the client has proved that it holds
// its key, so until the handshake returns the chain is only presented: nothing
// may be kept, banned or told about it but what the log says as presented.
func (s *Server) doHandshake(c *Conn, now func() time.Time) *reason.Error {
	var verified *truststore.Verified
	session := &tickets.Session{}

	// One tls.Config for each connection, closing over it: the callbacks then
	// know whose handshake they judge.
	conf := c.policy.tls.Clone()
	conf.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		c.hello.serverName = info.ServerName
		c.hello.ja4 = ja4.Of(info)
		if s.answerChallenge(c, info, conf) {
			return nil, nil
		}
		c.admission = c.policy.admissions.of(info.ServerName)
		conf.ClientAuth = c.admission.clientAuth()
		conf.ClientCAs = c.admission.advertised()
		if !suitsHTTP2(info, conf) {
			conf.NextProtos = []string{"http/1.1"}
		}
		session = c.policy.session(s.tickets, c.admission, info.ServerName)
		session.Attach(conf)
		return nil, nil
	}
	conf.GetCertificate = func(info *tls.ClientHelloInfo) (*tls.Certificate, error) { return c.show(info) }
	conf.VerifyConnection = func(state tls.ConnectionState) error {
		if c.hello.challenge {
			return nil // nobody is let in by it
		}
		c.presented = state.PeerCertificates
		at := now()
		brought := truststore.Handshake{
			Presented: state.PeerCertificates,
			Staple:    state.OCSPResponse, // a client's, of TLS 1.3; on resumption as it was then
			Wait:      c.outOfTurn,
		}
		var err error
		verified, err = c.admission.judge(&brought, at)
		if brought.Took.Chain > 0 {
			c.checked = checked{at, brought.Took}
			s.metrics.checked(c.admission.mutual.TrustStore, &brought.Took)
		}
		return err
	}

	c.tls = tls.Server(c.wire, conf)
	err := c.tls.Handshake()
	c.handshake = now().Sub(c.accepted)
	if err != nil {
		if c.hello.unknownName {
			return reason.Errorf(reason.UnknownServerName, "no certificate is for server name %q", c.hello.serverName)
		}
		answerPlainHTTP(err)
		return refusal(err)
	}
	if c.hello.challenge {
		return reason.Errorf(reason.AcmeChallenge, "a CA has checked %q", c.hello.serverName)
	}
	if c.admission == nil || !c.admission.settles(c.presented, verified) {
		return reason.Errorf(reason.InternalError, "the handshake ended without a verdict on the client")
	}
	c.verified = verified
	c.shareCertificates()
	// Only now may the client come back with the session that it was given.
	session.Complete(verified != nil)
	return nil
}

// outOfTurn runs what waits for somebody else than the client, with the
// handshake's turn given to others meanwhile.
func (c *Conn) outOfTurn(wait func()) {
	turn := c.wire.shaking
	if turn == nil {
		wait()
		return
	}
	turn.wait()
	wait()
	_ = turn.work() // without one in time, the handshake's deadline is past and ends it
}

// shareCertificates puts the certificates of the path that the client was let in
// by in the place of the same ones as crypto/tls has parsed them for this
// connection, and holds them as long as it lasts: some 6 KiB for each connection,
// where the path is one for all of a client's. The slice is crypto/tls's own, of
// this connection alone; nobody else has seen it yet, and its values stay equal.
func (c *Conn) shareCertificates() {
	if c.verified == nil {
		return
	}
	for i, presented := range c.presented {
		for _, known := range c.verified.Path {
			if presented != known && bytes.Equal(presented.Raw, known.Raw) {
				c.presented[i] = known
				break
			}
		}
	}
}

// suitsHTTP2 says whether a handshake can end with a cipher suite that HTTP/2
// allows (RFC 9113, section 9.2.2). Where it cannot, offering h2 would let the
// client in only to be turned away with INADEQUATE_SECURITY.
func suitsHTTP2(info *tls.ClientHelloInfo, conf *tls.Config) bool {
	if (conf.MaxVersion == 0 || conf.MaxVersion >= tls.VersionTLS13) && slices.Contains(info.SupportedVersions, tls.VersionTLS13) {
		return true
	}
	for _, suite := range conf.CipherSuites {
		switch suite {
		case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
			if slices.Contains(info.CipherSuites, suite) {
				return true
			}
		}
	}
	return false
}

// answerPlainHTTP tells a client that speaks HTTP to the TLS port so, instead of
// leaving it with a closed connection.
func answerPlainHTTP(err error) {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil || !looksLikeHTTP(record.RecordHeader) {
		return
	}
	const answer = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 51\r\n\r\n" +
		"The plain HTTP request was sent to an HTTPS port.\r\n"
	record.Conn.Write([]byte(answer)) // best effort: the connection is refused in any case
}

func looksLikeHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

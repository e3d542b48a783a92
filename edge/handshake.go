package edge

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
)

// doHandshake takes a connection through TLS and judges the client's
// certificate. It returns nil only when the client may come in; then, and only
// then, c.verified says who it is (in mode verify).
//
// crypto/tls calls verifyPresented before the client has proved that it holds
// its key, so until the handshake returns the chain is only presented: nothing
// may be kept, banned or told about it but what the log says as presented.
func (s *Server) doHandshake(c *Conn, now func() time.Time) *reason.Error {
	var verified *truststore.Verified

	// One tls.Config for each connection, closing over it: the callbacks then
	// know whose handshake they judge, and no session state is shared.
	conf := c.policy.tls.Clone()
	conf.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		c.hello.serverName = info.ServerName
		return nil, nil
	}
	conf.GetCertificate = func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
		certificate := c.policy.selector.Pick(info)
		if certificate == nil {
			c.hello.unknownName = true
			return nil, nil // crypto/tls answers unrecognized_name
		}
		c.hello.certificate = certificate.Name()
		return certificate.Current(), nil
	}
	if c.policy.store != nil {
		conf.ClientCAs = c.policy.advertised()
	}
	if c.policy.asksForCertificate() {
		conf.VerifyConnection = func(state tls.ConnectionState) error {
			c.presented = state.PeerCertificates
			var err error
			verified, err = c.policy.judge(state.PeerCertificates, now())
			return err
		}
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
	if verified == nil && c.policy.mode() == config.ModeVerify {
		return reason.Errorf(reason.InternalError, "the handshake ended without a verdict on the client's certificate")
	}
	c.verified = verified
	return nil
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

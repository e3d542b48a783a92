package reason

// advice is what would have to change for such a connection to be let in, and by
// whom.
var advice = [codes]string{
	UnmappedConnectionError:         "The edge: this must not happen. Its log has the cause; please report it.",
	Success:                         "Nothing: the client was let in.",
	ProxyProtocolError:              "The proxy before the edge, or proxy_protocol.from: a PROXY header comes from the networks named there and from nowhere else.",
	LimitExceeded:                   "The client's number of connections, or the listener's limits.",
	Banned:                          "The client has failed too often. Mend what failed before, then wait, or end the ban: sallyport unban.",
	HandshakeTimeout:                "The client, or the network to it: it did not finish within limits.handshake_timeout.",
	ClientClosed:                    "The client: it hung up before the handshake was over. Health checks that only connect do this.",
	ClientAlert:                     "The client refused the edge: mostly it does not trust the edge's certificate, or the name is not in it.",
	ProtocolError:                   "The client: it speaks no TLS, or has no version, suite or group in common with security_policy.",
	UnknownServerName:               "The client's server name (SNI), or a certificate for that name.",
	AcmeChallenge:                   "Nothing: a CA has checked that the name is the edge's, and gets no further.",
	ServerCertUnavailable:           "The edge: no CA has issued a certificate for the name yet. See sallyport certificates.",
	TrustStoreUnavailable:           "The edge: fill the trust store, or see in status why it is not loaded.",
	InternalError:                   "The edge: its log has the cause.",
	ClientCertMissing:               "The client: give it a certificate and key. It sends none if the CAs that the listener advertises do not include its own.",
	ClientCertMaxSizeExceeded:       "The client sends too large a chain: only the leaf and the intermediates belong there. Or limits.client_certificate.",
	ClientCertMaxChainDepthExceeded: "The client sends too many certificates: only the leaf and the intermediates belong there. Or max_chain_depth.",
	ClientCertInvalid:               "The certificate: it is malformed, or not signed by the CA that it names. Issue it anew.",
	ClientCertTypeUnsupported:       "The certificate: X.509 version 3 with RSA of 2048 to 8192 bits or ECDSA on P-256, P-384 or P-521. Issue it anew (with -extfile, if by openssl x509).",
	ClientCertUntrusted:             "The trust store lacks the client's CA, or the client does not send the intermediates between its certificate and that CA.",
	ClientCertIncompatible:          "The certificate: a signature on its path uses SHA-1 or another hash that is not allowed. Issue it anew.",
	ClientCertNotYetValid:           "The certificate's notBefore is in the future: wait, or set the clock that is wrong.",
	ClientCertExpired:               "The certificate, or a CA above it, has passed its notAfter: renew it. ignore_client_certificate_expiry lets it pass.",
	ClientCertPurposeInvalid:        "The certificate: its extended key usage must have clientAuth. Under certificate_rules: strict more is demanded.",
	ClientCertRejected:              "The listener's identity filters or a plugin: they do not let this identity in.",
	ClientCertCrlHit:                "The certificate was revoked: the client needs another one, issued anew.",
	ClientCertCrlProcessingError:    "The CRL of the client's CA: it is missing, expired past its grace, or not signed by that CA. See sallyport truststores.",
	ClientCertOcspDenied:            "The certificate was revoked, says OCSP: the client needs another one, issued anew.",
	ClientCertOcspProcessingError:   "OCSP: no answer that can be used was to be had of the CA's responder, and one is required.",
	ClientCertIntentInvalid:         "The client presents a certificate whose private key it does not have.",
	PluginUnavailable:               "The plugin: it did not answer in time, or is down. See sallyport plugins.",
}

// Advice says in one or two sentences what would have to change for such a
// connection to be let in.
func (c Code) Advice() string {
	if c >= codes {
		return advice[UnmappedConnectionError]
	}
	return advice[c]
}

// Package pki makes throwaway public key infrastructures: CAs, leaves and CRLs,
// right ones and every wrong one that a mutual TLS edge has to refuse. Keys are
// random, never protected, and good for tests, demos and load only.
//
//	root, err := pki.NewRoot()
//	issuing, err := root.NewIntermediate(pki.PathLen(0))
//	alice, err := issuing.Issue(pki.CommonName("alice"))
//	server, err := root.Issue(pki.Server("localhost", "127.0.0.1"))
//	crl, err := issuing.CRL(pki.Revoke(alice))
//
// Everything returns an error; a test wraps the call in Must. Dates are relative
// to time.Now, which testing/synctest governs, unless options set them.
//
// # Bad clients
//
// Bad makes one client identity, or more, for every reason code that depends on
// the client's certificate alone. This is how; root is the trust anchor, mid an
// intermediate below it, other another root.
//
//	ClientCertMissing
//	    PresentAlways(tls.Certificate{})
//	ClientCertMaxSizeExceeded
//	    root.Issue(Extension(oid, false, make([]byte, 70<<10)))   over 64 KiB
//	    root.Issue(Extension(oid, false, make([]byte, 300<<10)))  over crypto/tls's own limit
//	ClientCertMaxChainDepthExceeded
//	    NewIntermediate four times, one below the other, then Issue
//	    leaf.Present(mid, mid, mid, mid)
//	ClientCertInvalid
//	    leaf.WithDER([]byte("garbage")), leaf.WithDER(leaf.DER[:100])
//	    root.Issue(Serial(big.NewInt(-1)))
//	    leaf.FlipSignature()
//	    root.Issue(SignedBy(other))   names root, signed by another key
//	    leaf.Chain = [][]byte{FlipSignature(mid.DER)}
//	ClientCertTypeUnsupported
//	    root.Issue(V1()), root.Issue(Key(RSA(1024))), Key(RSA(8200)), Key(P224), Key(Ed25519)
//	    root.Issue(PublicKeyInfo(der))   an algorithm that Go has no name for
//	ClientCertUntrusted
//	    SelfSigned(), other.Issue(), mid.Issue() and leaf.Present() without mid
//	    a CA below a CA made with PathLen(0)
//	    a leaf with DNS("a.test") below a CA with PermittedDNS("b.test")
//	    Extension(oid, true, der) with an OID that nobody knows, in leaf or CA
//	    below a CA made with IsCA(false), or with KeyUsage(x509.KeyUsageCRLSign)
//	ClientCertIncompatible
//	    mid.Issue(SHA1()), root.NewIntermediate(SHA1()), or SignedWith(x509.MD5WithRSA)
//	ClientCertNotYetValid, ClientCertExpired
//	    NotBefore(tomorrow), NotAfter(yesterday), in leaf or CA
//	ClientCertPurposeInvalid
//	    root.Issue(EKU(x509.ExtKeyUsageServerAuth))
//	    where rules are strict: EKU(), KeyUsage(x509.KeyUsageKeyAgreement), IsCA(true)
//	ClientCertCrlHit
//	    root.CRL(Revoke(leaf)), root.CRL(Revoke(mid))
//	ClientCertCrlProcessingError
//	    mid.CRL(NextUpdate(yesterday))
//	    mid.CRL(SignedBy(other)), mid.CRL(Extension(oid, true, der)), FlipSignature(crl)
//	ClientCertIntentInvalid
//	    leaf.WithKey(key)   proves another key than the certified one
//
// Not here, since the client's certificate does not decide them: identity
// filters and plugins (ClientCertRejected, PluginUnavailable), OCSP, and whatever
// fails before a certificate is seen.
//
// Beyond that: CrossSign gives one CA two paths to two roots, and Impostor gives
// a name a second key.
package pki

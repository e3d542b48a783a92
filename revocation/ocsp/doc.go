// Package ocsp judges what OCSP responders say about a certificate (RFC 6960,
// and RFC 5019 for those who sign ahead of time). A response comes over plain
// HTTP or from the client itself, so nothing of it is believed but what the
// issuer of the certificate answers for.
//
// [NewQuestion] is about one certificate and the CA that issued it,
// [Question.Request] makes the request for it, [Question.Validate] turns a
// response into an [Answer]. The package fetches, caches and decides nothing;
// what an Unknown or a missing answer means is the caller's policy.
//
// # What makes a response count
//
//   - It is at most [MaxResponse] bytes of DER with nothing behind any of its
//     parts, successful, and of type id-pkix-ocsp-basic version 1.
//   - One of its SingleResponses names the certificate: hash of the issuer's
//     name, hash of the issuer's key, and serial number. Of several that do,
//     all have to hold, and the strictest status counts.
//   - It is signed by the issuer's own key, or by a delegate whose certificate
//     comes with it, is signed by that very key, names that issuer, has the
//     extended key usage id-kp-OCSPSigning, has neither a key usage that forbids
//     signing nor a critical extension that is not understood, and is within its
//     dates. Without the extension id-pkix-ocsp-nocheck, [Check.Delegate] has to
//     vouch for the delegate: a stolen delegate key could otherwise answer for
//     itself.
//   - Responder ID and signer agree.
//   - Signatures are SHA-256, SHA-384 or SHA-512 with RSA, RSA-PSS or ECDSA, or
//     Ed25519; keys are RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519.
//     That holds for the delegate's certificate as well.
//   - Now lies between thisUpdate and nextUpdate, and producedAt is neither
//     ahead of now nor behind thisUpdate, all with [Skew] of room. Without a
//     nextUpdate, thisUpdate may be [Check.MaxAge] ago.
//   - No extension is critical, but for the nonce, which is understood.
//   - A nonce that was sent and comes back is the same.
//
// # Reasons
//
// A signed "revoked" stands whatever its reason is. certificateHold is Revoked
// and may end: a later answer may be Good. removeFromCRL says nothing in a
// response, which has no entries to remove, so it does not lift the revocation
// that it comes with.
//
// # Where openssl ocsp differs
//
// It takes, and this package refuses: signatures with SHA-1 or MD5, also that of
// the delegate's certificate; RSA keys below 2048 bits, and P-224; critical
// extensions, and one given twice; versions other than 1; bytes behind the
// response, more than 64 KiB or eight certificates; a producedAt in the future or
// before thisUpdate; a delegate without id-pkix-ocsp-nocheck whose revocation
// nobody looked at; a delegate whose key usage forbids signatures; a response
// without nextUpdate of whatever age (unless -status_age is given). Of several
// SingleResponses about one certificate it takes the first, and looks at no other.
// It warns of a status that is out of date or not yet valid, and prints it all
// the same; the tests count that as a refusal.
//
// It refuses, and this package takes: certIDs with another hash than the one it
// is told to look for. Names are compared byte by byte here and by RFC 5280
// section 7.1 there.
package ocsp

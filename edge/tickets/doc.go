// Package tickets lets clients resume TLS sessions without lowering what it
// takes to come in.
//
// A resumed handshake proves that the client was there when a full one was done,
// and skips certificate and key. So a session is bound to what it was made under
// (Binding), is usable only once its handshake returned nil (Session.Complete),
// and ends a Lifetime after the last full handshake, however often it is
// resumed. Nothing here replaces a check: crypto/tls calls VerifyConnection in
// resumed handshakes too, with the certificates of the full one, and the caller
// judges them again. A ticket that is good for nothing, for whatever reason,
// makes a full handshake, never an error.
//
// # Order of calls
//
// In Go 1.26, which a test pins:
//
//	TLS 1.2 full     UnwrapSession(nothing) VerifyConnection CertificateVerify Finished WrapSession
//	TLS 1.2 resumed  UnwrapSession VerifyConnection WrapSession Finished
//	TLS 1.3 full     VerifyConnection CertificateVerify WrapSession Finished
//	TLS 1.3 resumed  UnwrapSession WrapSession VerifyConnection Finished
//
// CertificateVerify and Finished are the client's. A resumed handshake thus
// issues a ticket before the client is judged (TLS 1.3) or has proved that the
// ticket it offered is its own (TLS 1.2). And crypto/tls dates a TLS 1.3 session
// anew at each resumption, so by its own rule a session could go on for ever.
//
// # Why sessions are stored
//
// A ticket could hold the session, sealed under a key of the edge's. Here it is
// 32 random bytes and the session stays in memory, because:
//
//   - Whoever has a sealing key can make a session for any certificate, without
//     its private key, and read recorded TLS 1.2. Without one there is nothing to
//     steal, rotate or share, and nothing from outside to decrypt and parse.
//   - A session issued in a handshake that then fails is never there, instead of
//     being in the hands of the refused client.
//   - A kill takes the sessions away. Sealed, it would be a list to search for a
//     Lifetime, which has to be bounded, and then something has to give.
//   - It is smaller. BenchmarkHandshake, chain of two P-256 certificates: 337 B to
//     the server and 256 B back for a TLS 1.2 connection, against 1267 and 1186
//     sealed; 418 and 337 against 1330 and 1249 in TLS 1.3 (X25519). A sealed
//     ticket grows with the client's chain, this one does not.
//   - It costs no more. A ticket taken and another issued: 5.4 µs stored, 6.6 µs
//     sealed, of some 450 (TLS 1.2) to 900 µs (TLS 1.3) that a resumed connection
//     takes of both ends together, in which the two cannot be told apart; a full
//     one takes 1250 to 1300 µs.
//
// The price: about 1.7 KB of memory for a session, so that beyond some 40,000
// sessions the oldest go; and sessions are of one process. A process that takes
// over from another gets them from its memory (Export, Import); after any other
// restart, or at another edge, a client does a full handshake.
package tickets

// Package revocation answers whether a CA has revoked a certificate, from the
// CRLs (RFC 5280 section 5) that it is given. An answer is exact: Revoked only
// for a certificate that a list signed by its issuer's own key names, Good only
// where such a list covers it and does not name it, Unknown in every other
// case. Nothing here fetches, stores or judges freshness: callers read the
// dates of a [Verdict].
//
// [Parse] turns bytes into immutable lists, [NewIndex] a set of lists into an
// immutable [Index] to be swapped by one atomic pointer, [Prepare] a
// certificate and its verified issuer into a [Link] that any Index can check.
// A list costs the bytes of its DER plus about 12 bytes per entry.
//
// # Which list decides
//
// Lists of one issuer name and one scope (equal issuing distribution point)
// compete. One is superseded, and no longer read, once another one that is
// current and fully understood has neither an earlier thisUpdate nor a lower
// CRL number and differs in one of them; so leaving a newer complete list
// un-revokes. Where number and date contradict each other, both lists revoke
// and neither hides the other. That a newer file may not be replaced by an
// older one is the loader's to see to.
//
// A list whose thisUpdate is more than five minutes ahead, or that carries a
// critical extension this package does not know, in itself or in an entry, can
// revoke but never answers Good. A list not understood also keeps the older
// ones of its scope from answering Good, since what it says is newer.
//
// A delta list needs a complete list of its issuer, key and scope with
// base number <= number < delta number. Then its entries add to that list, its
// removeFromCRL entries lift a certificateHold (and nothing else), and its
// dates count where they are later. A delta without such a list adds
// revocations only; one that the complete list has caught up with is ignored.
//
// A list is in scope of a certificate (RFC 5280 section 6.3.3) when its issuing
// distribution point names no distribution point or one of the certificate's,
// and its onlyContains flag fits the certificate's basicConstraints. Lists for
// some reasons answer Good only together, once they cover all reasons.
//
// # What is not supported
//
// Indirect CRLs are refused by Parse. A list signed by another key than the one
// that signed the certificate (separate CRL signing key, the other side of a
// key rollover) is as if absent: Unknown. Names are compared by RFC 5280
// section 7.1 without Unicode normalisation of composed characters.
//
// # Where Parse differs from x509.ParseRevocationList
//
// Parse also accepts: version 1 lists; empty extension lists in entries.
//
// Parse also refuses: trailing data anywhere, also behind nextUpdate, in
// entries and in extension values; empty revokedCertificates; empty
// crlExtensions; any PEM block that is not a well-formed X509 CRL; empty issuer
// names; nextUpdate before thisUpdate; reason codes 7 and above 10, and
// removeFromCRL in a complete list; extensions given twice; malformed authority
// key identifiers, invalidity dates and issuing distribution points; CRL
// numbers that are negative or over 20 octets; delta indicators that are not
// critical or come without a CRL number; certificateIssuer in entries;
// signatures with unused bits; signature algorithms other than those of
// [List.SignatureAlgorithm].
//
// Serial numbers keep their sign and may have any length: -1 and 1 differ.
package revocation

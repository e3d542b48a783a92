// Package revocation answers whether a CA has revoked a certificate, from the
// CRLs (RFC 5280 section 5) that it is given. An answer is exact: Revoked only
// for a certificate that a list signed by its issuer's own key names, Good only
// where such a list covers it and does not name it, Unknown in every other
// case. Nothing here fetches or judges freshness: callers read the dates of a
// [Verdict].
//
// [ReadFile], [Read] and [Parse] turn bytes into immutable lists, [NewIndex] a
// set of lists into an immutable [Index] to be swapped by one atomic pointer,
// [Prepare] a certificate and its verified issuer into a [Link] that any Index
// can check. A check neither locks nor allocates.
//
// Lists are read in a constant half megabyte of memory, of whatever size they
// are. What stays of an entry is about 20 bytes: its serial, reason and date, and
// 12 bits of a filter at which a check of a certificate that is not listed ends.
// With a [Dir] they are in a file that is mapped, of which the filter should fit
// the memory, and from which the next start has them in milliseconds. A list of
// more than 131072 entries keeps the day of a revocation, a smaller one the
// second.
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
// # What is kept on disk
//
// A Dir has a file for each list, named by the digest of its DER: its fields, its
// signature and the digest that this is of, and its entries. Signatures are
// verified by whoever needs the list, kept or not; but what ties the entries to
// the signed digest are checksums, which find damage and not intent. So the
// directory has to be the user's alone. Damage that a check meets makes the list
// answer nothing ([List.Damaged]): certificates in its scope are Unknown, as with
// a list not understood, until it is read again.
//
// # What is not supported
//
// Indirect CRLs are refused. A list signed by another key than the one
// that signed the certificate (separate CRL signing key, the other side of a
// key rollover) is as if absent: Unknown. Names are compared by RFC 5280
// section 7.1 without Unicode normalisation of composed characters.
//
// # Where lists are read other than by x509.ParseRevocationList
//
// Also accepted: version 1 lists; empty extension lists in entries.
//
// Also refused: trailing data anywhere, also behind nextUpdate, in entries and
// in extension values; empty revokedCertificates; empty crlExtensions; any PEM
// block that is not a well-formed X509 CRL; empty issuer names; nextUpdate before
// thisUpdate; reason codes 7 and above 10, and removeFromCRL in a complete list;
// extensions given twice, and more than 32 of them; malformed authority key
// identifiers, invalidity dates and issuing distribution points; CRL numbers that
// are negative or over 20 octets; delta indicators that are not critical or come
// without a CRL number; certificateIssuer in entries; times without seconds; empty
// signatures and such with unused bits; signature algorithms other than those of [List.SignatureAlgorithm];
// entries and other fields of more than 64 KiB.
//
// Serial numbers keep their sign and may have any length that an entry may have:
// -1 and 1 differ, and so do -1 and 255.
package revocation

// Package ocsp asks OCSP responders about client certificates, in the background,
// and remembers what they said: [Client.Lookup] answers from memory at once,
// [Client.Wait] for as long as its context lets it. What an answer is worth is
// judged by revocation/ocsp, whom may be connected to by edge/fetch.
//
// The responder is the one that a certificate names (authority information
// access), so only certificates whose chain was verified may be asked about.
//
// An answer counts until it expires. A revocation that is no certificateHold
// counts longer, until a newer answer says otherwise. An answer older than the
// one that is known never takes its place: whoever is on the way could otherwise
// bring back the "good" of yesterday. Revoked certificates, and those of clients
// that are in ([Client.Live]), are not forgotten for the sake of others.
//
// A question that failed is not asked again for a while (negative cache), longer
// each time; a host that cannot be reached, does not answer in time or has errors
// of its own three times in a row is left alone, whatever it is to be asked
// about. One host never has all who ask.
//
// A Client goes on under other settings by [Client.Assume]. With Options.Dir what
// responders said is kept over a restart, and judged anew when its certificate is
// asked about: revocations for as long as they count, all else while it is fresh.
// What is damaged is told, removed, and as if it had never been.
package ocsp

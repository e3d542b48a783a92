package truststore

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"
)

// soon is how long before a CA's notAfter it is warned of.
const soon = 30 * 24 * time.Hour

// Warnings tells what about these CAs will keep clients out, now or before
// long. None of it is reason to refuse the bundle: the others in it work.
func Warnings(cas []*x509.Certificate, now time.Time) []string {
	var warnings []string
	for _, ca := range cas {
		warn := func(format string, args ...any) {
			warnings = append(warnings, describe(ca)+" "+fmt.Sprintf(format, args...))
		}
		switch {
		case now.Before(ca.NotBefore):
			warn("is not valid before %s: its clients are refused", stamp(ca.NotBefore))
		case now.After(ca.NotAfter):
			warn("expired at %s: its clients are refused", stamp(ca.NotAfter))
		case now.Add(soon).After(ca.NotAfter):
			warn("expires at %s", stamp(ca.NotAfter))
		}
		if err := checkKey(ca, Policy{AllowEd25519: true}); err != nil {
			warn("%v: its clients are refused", err)
		} else if err := checkKey(ca, Policy{}); err != nil {
			warn("%v: elsewhere its clients are refused", err)
		}
		// An anchor's own signature is not checked, but where the CA's maker still
		// signs so, the certificates below it may be signed so too, and those are
		// refused.
		if !bytes.Equal(ca.RawSubject, ca.RawIssuer) {
			if err := checkHash(ca); err != nil {
				warn("%v", err)
			}
		}
		if len(ca.UnhandledCriticalExtensions) > 0 {
			warn("has the critical extension %v, which is not understood: its clients are refused", ca.UnhandledCriticalExtensions[0])
		}
	}
	return warnings
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

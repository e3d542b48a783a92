package ban

import (
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// weighing is how much failures with one code count.
type weighing struct {
	plain    config.Weight
	verified config.Weight // where the chain presented has a verified path
}

const (
	ordinary config.Weight = 1000
	little   config.Weight = 100 // never nothing: a fleet may fail so, and an attacker too
)

// same counts alike whether or not there is a verified path, as for most codes
// there is none to speak of.
func same(w config.Weight) weighing { return weighing{w, w} }

// eased counts little where a CA that we trust vouches for the client: that is
// more likely one of ours with something wrong than an attacker. It does not
// count nothing: anyone can present a chain that is not his, and the holder of a
// revoked certificate is who revocation is for.
var eased = weighing{plain: ordinary, verified: little}

// weighings are the built-in weights. A code that is not here counts nothing.
var weighings = map[reason.Code]weighing{
	// Nobody is to blame, or we are: an outage of ours must not ban the clients
	// that try again.
	reason.Success:                       same(0),
	reason.UnmappedConnectionError:       same(0), // a defect of ours, by definition
	reason.TrustStoreUnavailable:         same(0),
	reason.InternalError:                 same(0),
	reason.ClientCertCrlProcessingError:  same(0), // our CRL is missing or expired
	reason.ClientCertOcspProcessingError: same(0), // a responder is down
	reason.PluginUnavailable:             same(0),
	reason.LimitExceeded:                 same(0), // has done its work already; a global one may be exhausted by others
	reason.Banned:                        same(0), // or a ban would renew itself

	// Talk that is no TLS, or none to be had. Our listeners have one protocol, so
	// this is a scanner or something badly broken.
	reason.ProtocolError:      same(ordinary),
	reason.ProxyProtocolError: same(ordinary), // proxies of ours are exempt, so this one is a stranger
	reason.HandshakeTimeout:   same(ordinary), // holds a connection open for nothing

	// Port checks, preconnecting browsers and people who change their mind close
	// before they have said anything.
	reason.ClientClosed: same(little),
	// It distrusts us: likely our own certificate, and then of all clients.
	reason.ClientAlert: same(little),
	// A name that we have just stopped serving has honest clients for as long as
	// DNS sends them.
	reason.UnknownServerName: same(little),

	// No certificate of ours, or none at all.
	reason.ClientCertMissing:               same(ordinary),
	reason.ClientCertMaxSizeExceeded:       same(ordinary),
	reason.ClientCertMaxChainDepthExceeded: same(ordinary),
	reason.ClientCertInvalid:               same(ordinary),
	reason.ClientCertTypeUnsupported:       same(ordinary),
	reason.ClientCertUntrusted:             same(ordinary),
	reason.ClientCertIncompatible:          same(ordinary),
	reason.ClientCertPurposeInvalid:        same(ordinary), // a server's certificate, say: public, so anyone can present it
	reason.ClientCertIntentInvalid:         same(ordinary), // somebody else's certificate, proven

	// Clients that we know, and do not let in any more, or not yet, or not here.
	reason.ClientCertNotYetValid: eased,
	reason.ClientCertExpired:     eased,
	reason.ClientCertRejected:    eased,
	reason.ClientCertCrlHit:      eased,
	reason.ClientCertOcspDenied:  eased,
}

// weigh returns the weights in force, by code. A configured weight takes the
// place of the built-in one; of an eased code, of what it counts with a verified
// path, and it never makes the other count less.
func weigh(configured map[config.ReasonCode]config.Weight) []weighing {
	table := make([]weighing, len(reason.All()))
	for code, w := range weighings {
		if own, ok := configured[config.ReasonCode(code.String())]; ok && w != same(0) {
			if w == eased {
				w = weighing{plain: max(ordinary, own), verified: own}
			} else {
				w = same(own)
			}
		}
		table[code] = w
	}
	return table
}

// weightOf is what a failure counts. An unknown code counts nothing: to be banned
// there must be a reason.
func (s *settings) weightOf(code reason.Code, verified bool) config.Weight {
	if int(code) >= len(s.weights) {
		return 0
	}
	if verified {
		return s.weights[code].verified
	}
	return s.weights[code].plain
}

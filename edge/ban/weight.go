package ban

import (
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// weighing is how much failures with one code count.
type weighing struct {
	plain    config.Weight
	verified config.Weight // where the chain presented has a verified path
	greeted  config.Weight // where none has, and the edge has answered a ClientHello
}

const (
	ordinary config.Weight = 1000
	little   config.Weight = 100 // never nothing: a fleet may fail so, and an attacker too
)

// same counts alike whether or not there is a verified path, as for most codes
// there is none to speak of.
func same(w config.Weight) weighing { return weighing{w, w, w} }

// eased counts little where a CA that we trust vouches for the client: that is
// more likely one of ours with something wrong than an attacker. It does not
// count nothing: anyone can present a chain that is not his, and the holder of a
// revoked certificate is who revocation is for.
var eased = weighing{plain: ordinary, verified: little, greeted: ordinary}

// hungUp counts little where the client has had nothing of us, and a whole failure
// where it has made us sign: that is what a handshake costs.
var hungUp = weighing{plain: little, verified: little, greeted: ordinary}

// weighings are the built-in weights. A code that is not here counts nothing.
var weighings = map[reason.Code]weighing{
	// Nobody is to blame, or we are: an outage of ours must not ban the clients
	// that try again.
	reason.Success:                       same(0),
	reason.UnmappedConnectionError:       same(0), // a defect of ours, by definition
	reason.AcmeChallenge:                 same(0), // done as it should be
	reason.ServerCertUnavailable:         same(0),
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
	reason.ClientClosed: hungUp,
	// It distrusts us, with good cause perhaps: when a certificate of ours has
	// expired, honest clients that try again every second must not be banned. But
	// whoever wants signatures for nothing can end each handshake so.
	reason.ClientAlert: {plain: little, verified: little, greeted: 2 * little},
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
				w = weighing{plain: max(ordinary, own), verified: own, greeted: max(ordinary, own)}
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
func (s *settings) weightOf(o Observation) config.Weight {
	if int(o.Code) >= len(s.weights) {
		return 0
	}
	switch w := s.weights[o.Code]; {
	case o.Verified:
		return w.verified
	case o.Greeted:
		return w.greeted
	default:
		return w.plain
	}
}

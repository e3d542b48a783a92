package identity

import (
	"net/http"

	"github.com/sallyport/sallyport/edge/config"
)

// Stripper knows the headers that carry a client's identity, which a client must
// not be able to send. It never changes. A nil Stripper is a mistake and panics
// rather than let them pass.
type Stripper struct {
	exact    map[string]struct{}
	families *[256][]string // by first letter, folded
	begins   [256]bool      // first letters of exact
	longest  int            // of exact
}

// families are the headers known in the field to carry a client's identity, each
// with all names that go on behind it with a hyphen.
var families = []string{
	"x-amzn-mtls",                 // ALB
	"x-amzn-tls",                  // ALB
	"x-forwarded-client-cert",     // Envoy
	"client-cert",                 // RFC 9440, and Google Cloud's variables
	"x-client-cert",               // Google Cloud's examples
	"x-forwarded-tls-client-cert", // Traefik
	"x-ssl",                       // nginx's and HAProxy's custom
	"ssl-client",                  // nginx's and Apache's custom
	"cloudfront-viewer-cert",      // CloudFront
	"cf-client-cert",              // Cloudflare
	"x-arr-clientcert",            // Azure App Service
	"x-mtls",                      // ours
}

// NewStripper returns a Stripper of every identity header that any preset sets or
// that is known in the field, and of the names given: renamed headers, and those
// that a plugin owns. Each counts with its -Too-Large variant.
func NewStripper(names ...string) *Stripper {
	s := &Stripper{exact: make(map[string]struct{}), families: new([256][]string)}
	for _, family := range families {
		s.families[family[0]] = append(s.families[family[0]], family)
	}
	for _, name := range names {
		name = fold(name)
		if name == "" {
			continue
		}
		for _, each := range []string{name, fold(name + config.TooLargeSuffix)} {
			s.exact[each] = struct{}{}
			s.begins[each[0]] = true
			s.longest = max(s.longest, len(each))
		}
	}
	return s
}

// Match says whether a target could take a header of this name for one that
// carries a client's identity: in any case, with any byte that is neither letter
// nor digit in place of a hyphen, and with white space around it. It does not
// allocate unless a name longer than 128 bytes was given to NewStripper.
func (s *Stripper) Match(name string) bool {
	name = trim(name)
	if name == "" {
		return false
	}
	for _, family := range s.families[foldByte(name[0])] {
		if inFamily(name, family) {
			return true
		}
	}
	if len(name) > s.longest || !s.begins[foldByte(name[0])] {
		return false
	}
	var room [maxNameLength + len(config.TooLargeSuffix)]byte
	buffer := room[:]
	if len(name) > len(buffer) {
		buffer = make([]byte, len(name))
	}
	buffer = buffer[:len(name)]
	for i := range buffer {
		buffer[i] = foldByte(name[i])
	}
	_, ok := s.exact[string(buffer)]
	return ok
}

// inFamily says whether name folds to family, or to something that begins with
// family and a hyphen.
func inFamily(name, family string) bool {
	if len(name) < len(family) {
		return false
	}
	for i := range len(family) {
		if foldByte(name[i]) != family[i] {
			return false
		}
	}
	return len(name) == len(family) || foldByte(name[len(family)]) == '-'
}

// Strip deletes from h every field whose name matches. It is for trailers as
// well.
func (s *Stripper) Strip(h http.Header) {
	for name := range h {
		if s.Match(name) {
			delete(h, name)
		}
	}
}

package proxy

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/edge/http1"
)

// challengePath is what the paths begin with by which a CA checks a host.
const challengePath = "/.well-known/acme-challenge/"

// answerChallenge answers a CA that checks a host, and says whether it did. What is
// no challenge of ours goes its usual way: a target may have challenges of its own.
func (x *exchange) answerChallenge() bool {
	challenge := x.listener.Challenge
	if challenge == nil || x.listener.Secure || x.req.Method != http.MethodGet && x.req.Method != http.MethodHead {
		return false
	}
	path, _, _ := strings.Cut(x.req.Target, "?")
	token, ok := strings.CutPrefix(path, challengePath)
	if !ok {
		return false
	}
	answer, ok := challenge(x.req.Host, strings.Clone(token))
	if !ok {
		return false
	}
	x.record.Action = "fixed-response"
	x.reply(http.StatusOK, "application/octet-stream", []byte(answer), http1.Field{})
	return true
}

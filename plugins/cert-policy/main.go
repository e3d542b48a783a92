// Command cert-policy is a plugin that admits requests by rules in CEL, the Common
// Expression Language, over the client's certificate, the connection and the
// request. docs/plugins.md tells operators of it; its code is an example of what
// a plugin whose needs depend on its configuration looks like.
//
//	config:
//	  rules:
//	    - {name: readers, when: '"payments" in cert.organizational_units && request.method == "GET"', then: allow}
//	  default: deny
package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/sdk"
)

// policy is the rules, in the order in which they are tried.
type policy struct {
	rules    []*rule
	fallback sdk.Verdict
	needs    []sdk.Field
}

// Manifest declares every variable's field. Needs then leaves those that the rules
// name.
func (*policy) Manifest() sdk.Manifest {
	m := sdk.Manifest{Name: "cert-policy", Version: "1.0.0", Needs: []sdk.Field{sdk.AllHeaders}}
	for _, v := range variables {
		m.Needs = append(m.Needs, v.field)
	}
	return m
}

// Configure compiles the rules.
func (p *policy) Configure(c sdk.Config) error {
	var s settings
	if err := c.Decode(&s); err != nil {
		return err
	}
	next, err := s.compile()
	if err != nil {
		return err
	}
	*p = *next
	return nil
}

// Needs are the fields that the rules name. What is decided by few fields is
// decided once for many requests.
func (p *policy) Needs() []sdk.Field { return p.needs }

// forever is as long as the edge keeps verdicts: a rule has nothing to go by but
// the fields, and there is no clock among them.
const forever = 1 << 62

// AuthorizeRequest decides by the first rule that is true. One that cannot be
// evaluated denies: it might have been the one to do so.
func (p *policy) AuthorizeRequest(ctx context.Context, r sdk.Request) sdk.Verdict {
	for _, rule := range p.rules {
		switch holds, err := rule.holds(ctx, r); {
		case ctx.Err() != nil:
			return sdk.Deny(http.StatusServiceUnavailable, "nobody waits any more")
		case err != nil:
			return sdk.Deny(http.StatusForbidden, fmt.Sprintf("rule %s: %v", rule.name, err)).For(forever).DependsOn(rule.depends...)
		case holds:
			return rule.verdict
		}
	}
	return p.fallback
}

func main() { sdk.Serve(&policy{}) }

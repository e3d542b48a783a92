// Command ou-policy admits clients by an organizational unit of their certificate,
// and tells the target which one it was. Its configuration: {"allow": ["payments"]}.
package main

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/sdk"
)

type policy struct {
	Allow []string `json:"allow"`
}

func (*policy) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name:  "ou-policy",
		Needs: []sdk.Field{sdk.CertOrganizationalUnits},
		Owns:  []string{"X-Unit"},
	}
}

func (p *policy) Configure(c sdk.Config) error { return c.Decode(p) }

func (p *policy) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
	for _, unit := range r.Peer().OrganizationalUnits() {
		if slices.Contains(p.Allow, unit) {
			return sdk.Allow().SetHeader("X-Unit", unit).For(time.Minute)
		}
	}
	return sdk.Deny(403, "no unit that is allowed")
}

func main() { sdk.Serve(&policy{}) }

package main

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/sdk"
)

// plugin is the rule for Sallyport, by its SDK. Whether its verdicts are kept is
// the edge's configuration.
type plugin struct{ concurrency int }

func (p plugin) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name:        "bench-policy",
		Needs:       []sdk.Field{sdk.CertOrganizationalUnits},
		Owns:        []string{unitHeader},
		Concurrency: p.concurrency,
	}
}

func (plugin) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
	if unit, ok := admittedFor(r.Peer().OrganizationalUnits()); ok {
		return sdk.Allow().SetHeader(unitHeader, unit).For(time.Minute)
	}
	return sdk.Deny(403, refusal)
}

// servePlugin returns only if the process was not started by an edge.
func servePlugin(concurrency int) error {
	sdk.Serve(plugin{concurrency})
	return nil
}

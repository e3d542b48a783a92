package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/sdk"
)

// policyPlugin is a plugin for scripts: it lets in the certificates whose common
// names are listed, and requests but those for /denied.
type policyPlugin struct {
	Allow []string `json:"allow"`
	// For is how long its verdicts hold.
	For string `json:"for"`
	// Mark is what it calls itself in X-Policy.
	Mark string `json:"mark"`

	// Closed is a file: once it is there, nobody comes in.
	Closed string `json:"closed"`

	life time.Duration
	shut atomic.Bool
}

// Run takes back what was said when it is closed.
func (p *policyPlugin) Run(ctx context.Context, host *sdk.Host) error {
	for p.Closed != "" {
		if _, err := os.Stat(p.Closed); err == nil {
			p.shut.Store(true)
			host.InvalidateAll()
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func (*policyPlugin) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "policy", Version: "1.2.3", Owns: []string{"X-Policy", "X-Client"},
		Needs: []sdk.Field{sdk.CertCommonName, sdk.Path, sdk.Header("X-Policy")},
	}
}

func (p *policyPlugin) Configure(c sdk.Config) error {
	if err := c.Decode(p); err != nil {
		return err
	}
	if len(p.Allow) == 0 {
		return fmt.Errorf("allow: want at least one name")
	}
	var err error
	if p.For != "" {
		p.life, err = time.ParseDuration(p.For)
	}
	return err
}

func (p *policyPlugin) AuthorizeConnection(_ context.Context, c sdk.Connection) sdk.Verdict {
	if p.shut.Load() {
		return sdk.Deny(403, "closed")
	}
	if name := c.Peer().CommonName(); c.Peer().Verified() && slices.Contains(p.Allow, name) {
		return sdk.Allow().SetHeader("X-Client", name)
	}
	return sdk.Deny(403, "not on the list").SetHeader("X-Why", "list")
}

func (p *policyPlugin) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
	switch {
	case r.Header("X-Policy") != "":
		return sdk.Deny(500, "a client has set a header of ours")
	case r.Path() == "/denied":
		return sdk.Deny(451, "nobody may").For(p.life)
	case r.Path() == "/crash":
		os.Exit(3)
	}
	return sdk.Allow().SetHeader("X-Policy", p.Mark).For(p.life)
}

func (p *policyPlugin) ShapeResponse(context.Context, sdk.Response) sdk.Verdict {
	return sdk.Allow().SetHeader("X-Shaped", "yes")
}

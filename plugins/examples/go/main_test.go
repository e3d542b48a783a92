package main

import (
	"testing"

	"github.com/sallyport/sallyport/sdk/sdktest"
)

const config = `{"allow": ["payments"]}`

func TestOnlyPayments(t *testing.T) {
	plugin := sdktest.Start(t, &policy{}, config)
	ask := func(peer *sdktest.Peer) sdktest.Verdict {
		return plugin.AuthorizeRequest(sdktest.Request{Connection: sdktest.Connection{Peer: peer}})
	}
	if got := ask(sdktest.NewPeer(t, sdktest.WithOU("payments"))); !got.Allowed || got.Header("X-Unit") != "payments" {
		t.Errorf("of the unit: %v", got)
	}
	if got := ask(sdktest.NewPeer(t, sdktest.WithOU("marketing"))); got.Allowed || got.Status != 403 {
		t.Errorf("of another unit: %v", got)
	}
	if got := ask(sdktest.NewPeer(t, sdktest.WithOU("payments"), sdktest.Unverified())); got.Allowed {
		t.Errorf("unverified: %v", got)
	}
}

func TestConformance(t *testing.T) {
	sdktest.Conformance(t, func(t *testing.T) *sdktest.Plugin { return sdktest.Start(t, &policy{}, config) })
}

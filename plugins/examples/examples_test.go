// Package examples_test runs the plugins that need nothing but an interpreter.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/sdk/sdktest"
)

const config = `{"allow": ["payments", "treasury", "Großkunden"]}`

// run starts an example with the interpreter that it needs.
func run(t *testing.T, interpreter, script string) *sdktest.Plugin {
	t.Helper()
	path, err := exec.LookPath(interpreter)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed: %v", interpreter, err)
	} else if err != nil {
		t.Skipf("%s is not installed", interpreter)
	}
	return sdktest.Run(t, config, path, filepath.FromSlash(script))
}

func TestExamples(t *testing.T) {
	for interpreter, script := range map[string]string{
		"python3": "python/ou_policy.py",
		"node":    "node/ou-policy.js",
	} {
		t.Run(interpreter, func(t *testing.T) {
			t.Parallel()
			t.Run("decides", func(t *testing.T) { decides(t, run(t, interpreter, script)) })
			sdktest.Conformance(t, func(t *testing.T) *sdktest.Plugin { return run(t, interpreter, script) })
		})
	}
}

func decides(t *testing.T, plugin *sdktest.Plugin) {
	units := func(units ...string) (options []sdktest.PeerOption) {
		for _, u := range units {
			options = append(options, sdktest.WithOU(u))
		}
		return options
	}
	for _, c := range []struct {
		what  string
		peer  *sdktest.Peer
		allow string // the unit, or nothing: denied
	}{
		{"one unit", sdktest.NewPeer(t, units("payments")...), "payments"},
		{"the second of two units", sdktest.NewPeer(t, units("marketing", "treasury")...), "treasury"},
		{"no ASCII", sdktest.NewPeer(t, units("Großkunden")...), "Großkunden"},
		{"another unit", sdktest.NewPeer(t, units("marketing")...), ""},
		{"a part of a unit", sdktest.NewPeer(t, units("payment")...), ""},
		{"no unit", sdktest.NewPeer(t, sdktest.WithCN("payments")), ""},
		{"unverified", sdktest.NewPeer(t, append(units("payments"), sdktest.Unverified())...), ""},
		{"no certificate", nil, ""},
	} {
		got := plugin.AuthorizeRequest(sdktest.Request{Connection: sdktest.Connection{Peer: c.peer}})
		if got.Allowed != (c.allow != "") || got.Header("X-Unit") != c.allow {
			t.Errorf("%s: %v", c.what, got)
		}
		if !got.Allowed && (got.Status != 403 || got.Reason != "no unit that is allowed") {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

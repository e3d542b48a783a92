package servercert

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestRenewAllByHand: a name whose order takes long does not hold up the others of
// its entry, and each says what came of it.
func TestRenewAllByHand(t *testing.T) {
	o := in(t.TempDir())
	o.Manager = NewManager(Dir(filepath.Join(t.TempDir(), "state")), o.Manager.log)
	c := pki.Must(Load(config.Certificate{Name: "c", Hosts: []string{"a.example", "b.example"}, ACME: &config.ACME{Directory: "https://ca.example/dir", KeyType: config.KeyP256}}, o))
	e := c.source.(*acmeEntry)
	e.running = t.Context() // the test does what run would
	renewed := make(chan error, 1)
	go func() { renewed <- c.Renew(context.Background()) }()
	a, b := e.names["a.example"], e.names["b.example"]
	await(t, "asked for both", func() bool { return a.wantedByHand() != nil && b.wantedByHand() != nil })
	b.endByHand(nil)
	a.endByHand(errors.New("its CA is away"))
	err := <-renewed
	if err == nil || !strings.Contains(err.Error(), "a.example: its CA is away") || strings.Contains(err.Error(), "b.example") {
		t.Errorf("%v, want why a.example was not renewed, and nothing of b.example", err)
	}
}

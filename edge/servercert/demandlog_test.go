package servercert

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestDemandLogIsBounded: clients that bring name after name, which they may do
// before any certificate of theirs is looked at, do not fill the log.
func TestDemandLogIsBounded(t *testing.T) {
	status := http.StatusForbidden
	ask := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer ask.Close()
	log := &lockedBuffer{}
	o := in(t.TempDir())
	o.Manager = NewManager(Dir(filepath.Join(t.TempDir(), "state")), slog.New(slog.NewTextHandler(log, nil)))
	c := pki.Must(Load(config.Certificate{Name: "c", ACME: &config.ACME{Directory: "https://ca.example/dir", KeyType: config.KeyP256,
		OnDemand: &config.OnDemand{Ask: ask.URL, MaxNames: 10, Rate: config.OnDemandRate{Names: 1, Within: config.Duration(time.Minute)}}}}, o))
	defer c.source.(*acmeEntry).demand.http.CloseIdleConnections()
	for i := range 3 * demandLogLines {
		if err := c.Obtain(t.Context(), fmt.Sprintf("n%d.example", i)); !errors.Is(err, ErrNotAllowed) {
			t.Fatal(err)
		}
	}
	status = http.StatusInternalServerError
	for i := range demandLogLines {
		if err := c.Obtain(t.Context(), fmt.Sprintf("e%d.example", i)); err == nil {
			t.Fatal("no error")
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != demandLogLines {
		t.Errorf("%d lines, want %d:\n%s", lines, demandLogLines, log.String())
	}
	if n := c.Stats(); n.DemandRefused != 3*demandLogLines || n.DemandLimited != demandLogLines {
		t.Errorf("counted %+v", n)
	}
}

func TestDemandLog(t *testing.T) {
	d, now := &demandLog{}, time.Now()
	for i := range demandLogLines + 7 {
		if untold, ok := d.take(now); ok != (i < demandLogLines) || untold != 0 {
			t.Fatalf("line %d: %t, %d untold", i, ok, untold)
		}
	}
	if untold, ok := d.take(now.Add(demandLogTime)); !ok || untold != 7 {
		t.Errorf("a minute later: %t, %d untold, want 7", ok, untold)
	}
	if untold, ok := d.take(now.Add(demandLogTime)); !ok || untold != 0 {
		t.Errorf("then: %t, %d untold, want none", ok, untold)
	}
}

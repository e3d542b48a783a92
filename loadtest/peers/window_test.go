package peers

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

func TestCheck(t *testing.T) {
	usage := &loadtest.Usage{User: time.Second}
	refused := loadtest.ErrorCount{Kind: "status 400", Refusal: true, Count: 3, Example: "Bad Request"}
	failed := loadtest.ErrorCount{Kind: "reset", Count: 2, Example: "connection reset by peer"}
	for _, test := range []struct {
		name    string
		result  loadtest.Result
		refusal bool
		err     string
	}{
		{"done", loadtest.Result{Server: usage, Units: loadtest.Units{Due: 5, Done: 5}}, false, ""},
		{"refused, as wanted", loadtest.Result{Server: usage, Units: loadtest.Units{Due: 3, Refused: 3}, Errors: []loadtest.ErrorCount{refused}}, true, ""},
		{"some not begun", loadtest.Result{Server: usage, Units: loadtest.Units{Due: 5, Done: 4, Unfinished: 1}}, false, ""},
		{"no figures", loadtest.Result{Units: loadtest.Units{Due: 5, Done: 5}, Warnings: []string{"no process 7"}}, false, "account the server: no process 7"},
		{"nothing", loadtest.Result{Server: usage, Wall: time.Second}, false, "nothing was done in 1s"},
		{"failed", loadtest.Result{Server: usage, Units: loadtest.Units{Due: 5, Done: 3, Failed: 2}, Errors: []loadtest.ErrorCount{failed}}, false,
			"of 5 units 2 did not end as they should: 2 reset (connection reset by peer)"},
		{"good clients refused", loadtest.Result{Server: usage, Units: loadtest.Units{Due: 5, Done: 2, Refused: 3}, Errors: []loadtest.ErrorCount{refused}}, false,
			"of 5 units 3 did not end as they should: 3 status 400 (Bad Request)"},
		{"failed, where a refusal is wanted", loadtest.Result{Server: usage, Units: loadtest.Units{Due: 5, Refused: 3, Failed: 2}, Errors: []loadtest.ErrorCount{refused, failed}}, true,
			"of 5 units 2 did not end as they should: 2 reset (connection reset by peer)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := check(&test.result, test.refusal)
			switch {
			case test.err == "" && err != nil:
				t.Errorf("check: %v, want none", err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("check: %v, want %q in it", err, test.err)
			}
		})
	}
}

// A window that costs too little is made longer, until it costs enough, and the
// next one begins with that length.
func TestMeasureMakesWindowsLonger(t *testing.T) {
	b := newBench(t)
	b.size.length = 20 * time.Millisecond
	s, sc := b.servers[0], scenarios[0]
	figure, err := b.measure(t.Context(), s, sc)
	if err != nil {
		t.Fatal(err)
	}
	if figure <= 0 {
		t.Errorf("figure %g, want over 0", figure)
	}
	if got := b.lengths[[2]string{s.name, sc.name}]; got <= b.size.length {
		t.Errorf("window of %s cost %s, want a longer one", got, leastCPU)
	}
}

// New clients come once, in the warm-up or afterwards.
func TestWarmUpWithNewClients(t *testing.T) {
	b := newBench(t)
	r, err := b.start(t.Context(), b.servers[0], b.fewDir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	plan := loadtest.Plan{
		Scenario: loadtest.Handshake, Target: "https://" + r.site.Address + plainPath, ServerName: serverName,
		Roots: b.authority.roots, Clients: b.newClients, WarmUp: time.Second,
	}
	if err := b.warmUp(t.Context(), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Clients) != 300 || plan.Count != 300 || plan.WarmUp != 0 || &plan.Clients[0] != &b.newClients[100] {
		t.Errorf("%d clients for %d units after a warm-up, then %s more of it, want the last 300 of 400, once each", len(plan.Clients), plan.Count, plan.WarmUp)
	}
}

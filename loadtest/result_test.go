package loadtest

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// planFor is a small plan of alice's.
func planFor(target string, s Scenario) Plan {
	return Plan{
		Target: target, Scenario: s, Connections: 2, Count: 6,
		Clients: []tls.Certificate{authority().alice.TLSCertificate()}, Roots: roots(),
	}
}

// run runs a plan, and checks what is true of every result.
func run(t testing.TB, p Plan) *Result {
	t.Helper()
	r, err := Run(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	return r
}

// wantUnits fails the test, with what went wrong, unless units ended so.
func wantUnits(t testing.TB, r *Result, done, refused, failed int64) {
	t.Helper()
	if u := r.Units; u.Done != done || u.Refused != refused || u.Failed != failed {
		t.Fatalf("%d done, %d refused, %d failed, %d unfinished; want %d, %d, %d; errors: %+v",
			u.Done, u.Refused, u.Failed, u.Unfinished, done, refused, failed, r.Errors)
	}
}

// check checks that a result does not contradict itself.
func check(t testing.TB, r *Result) {
	t.Helper()
	u := r.Units
	if u.Done+u.Refused+u.Failed+u.Unfinished != u.Due {
		t.Errorf("units do not add up to those due: %+v", u)
	}
	latency, refusal := u.Done, u.Refused
	if r.Plan.Pace.Open() && r.Plan.Scenario != Idle {
		vain := u.Unfinished
		for _, e := range r.Errors {
			if timedOut(e.Kind) {
				vain += e.Count
			}
		}
		if r.Plan.ExpectRefusal {
			refusal += vain
		} else {
			latency += vain
		}
	}
	if r.Latency.Count != latency || r.Service.Count != u.Done || r.Refusal.Count != refusal {
		t.Errorf("distributions of %d, %d and %d, want %d, %d and %d; units: %+v",
			r.Latency.Count, r.Service.Count, r.Refusal.Count, latency, u.Done, refusal, u)
	}
	if !r.Plan.Pace.Open() && !reflect.DeepEqual(r.Latency, r.Service) {
		t.Errorf("closed loop, but latency %+v is not service %+v", r.Latency, r.Service)
	}
	if u.Resumed > u.Done {
		t.Errorf("%d resumed of %d done", u.Resumed, u.Done)
	}

	var sum Second
	for i, s := range r.Seconds {
		if s.At != i {
			t.Errorf("second %d says that it is %d", i, s.At)
		}
		sum.Done += s.Done
		sum.Refused += s.Refused
		sum.Failed += s.Failed
		sum.Asked += s.Asked
	}
	if sum.Done != u.Done || sum.Refused != u.Refused || sum.Failed != u.Failed {
		t.Errorf("seconds add up to %d, %d and %d, units are %+v", sum.Done, sum.Refused, sum.Failed, u)
	}
	// Unit 0 is due at once, so as many are due as were asked for, rounded up.
	if r.Plan.Pace.Open() && (sum.Asked > float64(u.Due)+1e-6 || sum.Asked < float64(u.Due)-1-1e-6) {
		t.Errorf("seconds asked for %g, %d were due", sum.Asked, u.Due)
	}
	if !r.Plan.Pace.Open() && sum.Asked != 0 {
		t.Errorf("closed loop asked for %g", sum.Asked)
	}

	var refused, failed int64
	for _, e := range r.Errors {
		if e.Kind == "" || e.Example == "" || e.Count < 1 {
			t.Errorf("error without kind, example or count: %+v", e)
		}
		if e.Refusal {
			refused += e.Count
		} else {
			failed += e.Count
		}
	}
	if refused != u.Refused || failed != u.Failed {
		t.Errorf("errors count %d refused and %d failed, units are %+v", refused, failed, u)
	}
	if !slices.IsSortedFunc(r.Errors, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	}) {
		t.Errorf("errors are not in order: %+v", r.Errors)
	}
	for name, d := range r.Phases {
		if d.Count == 0 {
			t.Errorf("phase %s is empty", name)
		}
	}
}

// A result is read back as it was written, but for what only Go callers set.
func TestResultJSON(t *testing.T) {
	t.Parallel()
	r := run(t, planFor(serve(t, ok), Handshake))
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	want := *r
	want.Plan.Clients, want.Plan.Roots = nil, nil
	want.Started = want.Started.Round(0) // without the monotonic clock
	back.Started = back.Started.In(want.Started.Location())
	if !reflect.DeepEqual(back, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", back, want)
	}
}

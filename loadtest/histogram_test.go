package loadtest

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestHistogram compares percentiles with those of the sorted values.
func TestHistogram(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var values []time.Duration
	var sum float64
	for range 20_000 {
		// From some microseconds to some ten seconds, evenly over the magnitudes.
		d := time.Duration(float64(time.Microsecond) * (1 + random.ExpFloat64()) * float64(int64(1)<<random.IntN(20)))
		values = append(values, d)
		sum += float64(d)
		h.record(d)
	}
	slices.Sort(values)
	near := func(got, want time.Duration) bool {
		return (got - want).Abs() <= want/500 // three digits, and where a bucket's values are taken to be
	}
	d := h.distribution()
	if d.Count != 20_000 || d.Min != values[0] || d.Max != values[len(values)-1] || !near(d.Mean, time.Duration(sum/20_000)) {
		t.Errorf("got %+v", d)
	}
	for _, c := range []struct {
		part float64
		got  time.Duration
	}{{0.5, d.P50}, {0.9, d.P90}, {0.99, d.P99}, {0.999, d.P999}, {0.9999, d.P9999}} {
		if want := values[int(c.part*20_000)-1]; !near(c.got, want) {
			t.Errorf("%g: got %s, want %s", c.part, c.got, want)
		}
	}
	if first, last := d.Curve[0], d.Curve[len(d.Curve)-1]; first != (Point{0, d.Min}) || last != (Point{100, d.Max}) {
		t.Errorf("the curve goes from %+v to %+v", first, last)
	}
	for i, p := range d.Curve[1:] {
		if before := d.Curve[i]; p.Percentile <= before.Percentile || p.Value < before.Value {
			t.Errorf("%+v follows %+v", p, before)
		}
	}

	// In parts it is the same, and a part that was cleared is as new.
	var parts [3]histogram
	for i := range parts {
		parts[i].record(time.Hour)
		parts[i].clear()
	}
	for i, v := range values {
		parts[i%2].record(v)
	}
	var whole histogram
	for i := range parts {
		whole.add(&parts[i])
	}
	got := whole.distribution()
	got.Mean = d.Mean // added up in another order
	if !reflect.DeepEqual(got, d) {
		t.Errorf("in parts %+v\nat once %+v", got, d)
	}
}

func TestHistogramEnds(t *testing.T) {
	t.Parallel()
	var h histogram
	if d := h.distribution(); !reflect.DeepEqual(d, Distribution{}) || h.at(50) != 0 {
		t.Errorf("empty, but %+v", d)
	}
	h.record(-time.Second) // a clock that was set
	if d := h.distribution(); d.Min != 0 || d.Max != 0 || d.P50 != 0 || d.Count != 1 {
		t.Errorf("below zero: %+v", d)
	}
	h.clear()
	h.record(3 * time.Hour)
	if d := h.distribution(); d.Min != 3*time.Hour || d.Max != 3*time.Hour || d.P50 != 3*time.Hour || d.Mean != 3*time.Hour {
		t.Errorf("above the top: %+v", d)
	}
	h.clear()
	h.record(1234567 * time.Nanosecond)
	want := []Point{{0, 1234567}, {100, 1234567}}
	if d := h.distribution(); !reflect.DeepEqual(d.Curve, want) || d.P9999 != 1234567 {
		t.Errorf("one value: %+v", d)
	}
}

// Kinds of errors are bounded, whatever a server makes up.
func TestRecorderBoundsKinds(t *testing.T) {
	t.Parallel()
	p := (&Plan{}).withDefaults()
	r := newRecorder(&p, 1)
	for status := range maxKinds + 50 {
		r.shards[0].record(&p, time.Now(), &outcome{status: 1000 + status, ended: time.Now()})
	}
	var res Result
	r.into(&res)
	if len(res.Errors) != maxKinds+1 || res.Errors[0].Kind != "other" || res.Errors[0].Count != 50 || res.Units.Failed != maxKinds+50 {
		t.Errorf("%d kinds, the first %+v; units %+v", len(res.Errors), res.Errors[0], res.Units)
	}
}

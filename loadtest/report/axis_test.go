package report

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func labels(a axis) string {
	var all []string
	for _, t := range a.ticks {
		if t.label != "" {
			all = append(all, t.label)
		}
	}
	return strings.Join(all, ", ")
}

func TestAxesHaveRoundMarks(t *testing.T) {
	for _, test := range []struct {
		name string
		axis axis
		want string
	}{
		{"nothing", linearAxis(0, false, number), "0, 0.2, 0.4, 0.6, 0.8, 1"},
		{"no number", linearAxis(math.NaN(), false, number), "0, 0.2, 0.4, 0.6, 0.8, 1"},
		{"beyond all measure", linearAxis(math.MaxFloat64, false, number), "0, 0.2, 0.4, 0.6, 0.8, 1"},
		{"seven", linearAxis(7, false, number), "0, 2, 4, 6, 8"},
		{"fifty", linearAxis(50, false, rate), "0/s, 10/s, 20/s, 30/s, 40/s, 50/s"},
		{"fifty-one", linearAxis(51, false, number), "0, 20, 40, 60"},
		{"thousands", linearAxis(2400, false, number), "0, 500, 1,000, 1,500, 2,000, 2,500"},
		{"a byte", linearAxis(1, true, size), "0 B, 1 B"},
		{"bytes", linearAxis(37<<20, true, size), "0 B, 8 MiB, 16 MiB, 24 MiB, 32 MiB, 40 MiB"},
		{"bytes on a mark", linearAxis(5<<30, true, size), "0 B, 1 GiB, 2 GiB, 3 GiB, 4 GiB, 5 GiB"},
		{"one time", logAxis(2e5, 2e5, duration), "100 µs, 200 µs, 500 µs"},
		{"one time between marks", logAxis(3e5, 3e5, duration), "200 µs, 500 µs"},
		{"a decade", logAxis(2.1e5, 4e6, duration), "200 µs, 500 µs, 1 ms, 2 ms, 5 ms"},
		{"many decades", logAxis(1e5, 5e9, duration), "100 µs, 1 ms, 10 ms, 100 ms, 1 s"},
		{"no times", logAxis(math.Inf(1), 0, duration), "1 ns, 2 ns, 5 ns, 10 ns"},
		{"a second", timeAxis(0), "0"},
		{"seconds", timeAxis(29), "0, 5, 10, 15, 20, 25"},
		{"minutes", timeAxis(400), "0:00, 1:00, 2:00, 3:00, 4:00, 5:00, 6:00"},
		{"a day", timeAxis(86400), "0:00, 240:00, 480:00, 720:00, 960:00, 1200:00, 1440:00"},
	} {
		if got := labels(test.axis); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if !slices.IsSortedFunc(test.axis.ticks, func(a, b tick) int { return int(math.Copysign(1, a.at-b.at)) }) {
			t.Errorf("%s: marks are not in order: %v", test.name, test.axis.ticks)
		}
	}
}

func TestPlacesOnAxes(t *testing.T) {
	for name, test := range map[string]struct{ got, want float64 }{
		"the middle":            {linearAxis(100, false, number).pos(50), 0.5},
		"beyond the end":        {linearAxis(100, false, number).pos(1e9), 1},
		"under the start":       {linearAxis(100, false, number).pos(-1), 0},
		"the middle of decades": {logAxis(1e3, 1e5, duration).pos(1e4), 0.5},
		"zero on a log axis":    {logAxis(1e3, 1e5, duration).pos(0), 0},
		"the first nine":        {percentileAxis().pos(90), 0.25},
		"the third nine":        {percentileAxis().pos(99.9), 0.75},
		"all units":             {percentileAxis().pos(100), 1},
	} {
		if math.Abs(test.got-test.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", name, test.got, test.want)
		}
	}
	if p := linearAxis(1, false, number).pos(math.NaN()); !math.IsNaN(p) {
		t.Errorf("no number is at %g", p)
	}
}

func TestThinKeepsPeaks(t *testing.T) {
	var points []point
	for i := range 86_400 {
		points = append(points, point{float64(i), 10})
	}
	points[4321].y, points[70_000].y, points[70_001].y = 99, -5, math.NaN()
	thinned := thin(points)
	if len(thinned) > mostPoints+2 || len(thinned) < mostPoints/4 {
		t.Errorf("%d points, want at most %d", len(thinned), mostPoints)
	}
	for _, want := range []point{points[4321], points[70_000]} {
		if !slices.Contains(thinned, want) {
			t.Errorf("%v is gone", want)
		}
	}
	if !slices.IsSortedFunc(thinned, func(a, b point) int { return int(a.x - b.x) }) {
		t.Error("out of order")
	}
}

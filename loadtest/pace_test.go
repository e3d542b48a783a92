package loadtest

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		pace  Pace
		over  time.Duration
		units int64
		first Pace
		due   map[int64]time.Duration
		until map[time.Duration]float64
	}{
		{Pace{Rate: 1000}, 2 * time.Second, 2000, Pace{Rate: 1000},
			map[int64]time.Duration{0: 0, 1: ms, 500: 500 * ms, 1999: 1999 * ms},
			map[time.Duration]float64{0: 0, 500 * ms: 500, 2000 * ms: 2000, time.Hour: 2000}},
		// Unit 1 is due two seconds on, and the third would be at four.
		{Pace{Rate: 0.5}, 3 * time.Second, 2, Pace{Rate: 0.5},
			map[int64]time.Duration{0: 0, 1: 2000 * ms},
			map[time.Duration]float64{1000 * ms: 0.5, 3000 * ms: 1.5}},
		// n = 25 t²
		{Pace{From: 0, To: 100}, 2 * time.Second, 100, Pace{Rate: 50},
			map[int64]time.Duration{0: 0, 1: 200 * ms, 25: 1000 * ms, 81: 1800 * ms},
			map[time.Duration]float64{0: 0, 1000 * ms: 25, 2000 * ms: 100, 3000 * ms: 100}},
		// n = 100 t - 25 t²
		{Pace{From: 100, To: 0}, 2 * time.Second, 100, Pace{Rate: 100},
			map[int64]time.Duration{0: 0, 75: 1000 * ms, 99: 1800 * ms},
			map[time.Duration]float64{1000 * ms: 75, 2000 * ms: 100}},
		// n = 50 t + 25 t²
		{Pace{From: 50, To: 150}, 2 * time.Second, 200, Pace{Rate: 50},
			map[int64]time.Duration{0: 0, 75: 1000 * ms},
			map[time.Duration]float64{1000 * ms: 75, 2000 * ms: 200}},
		{Pace{From: 100, To: 100}, time.Second, 100, Pace{Rate: 100},
			map[int64]time.Duration{0: 0, 50: 500 * ms}, map[time.Duration]float64{500 * ms: 50}},
		{Pace{Steps: []float64{10, 20, 40}}, 3 * time.Second, 70, Pace{Rate: 10},
			map[int64]time.Duration{0: 0, 9: 900 * ms, 10: 1000 * ms, 29: 1950 * ms, 30: 2000 * ms, 69: 2975 * ms},
			map[time.Duration]float64{500 * ms: 5, 1000 * ms: 10, 1500 * ms: 20, 2000 * ms: 30, 3000 * ms: 70}},
		{Pace{Steps: []float64{0.25, 4}}, 2 * time.Second, 5, Pace{Rate: 0.25},
			map[int64]time.Duration{0: 0, 1: 1187500 * time.Microsecond, 4: 1937500 * time.Microsecond},
			map[time.Duration]float64{1000 * ms: 0.25, 2000 * ms: 4.25}},
	} {
		s := c.pace.over(c.over)
		if got := s.units(); got != c.units {
			t.Errorf("%s over %s: %d units, want %d", c.pace, c.over, got, c.units)
		}
		if got := s.first(); !reflect.DeepEqual(got, c.first) {
			t.Errorf("%s starts with %s, want %s", c.pace, got, c.first)
		}
		for n, want := range c.due {
			if got := s.due(n); (got - want).Abs() > time.Microsecond {
				t.Errorf("%s over %s: unit %d is due at %s, want %s", c.pace, c.over, n, got, want)
			}
		}
		for at, want := range c.until {
			if got := s.until(at); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s over %s: %g units until %s, want %g", c.pace, c.over, got, at, want)
			}
		}
		checkSchedule(t, c.pace, c.over)
	}
}

// checkSchedule checks what is true of every schedule: due and until are each
// other's inverse, and no unit is due before the one before it or after the end.
func checkSchedule(t *testing.T, p Pace, over time.Duration) {
	t.Helper()
	s := p.over(over)
	units := s.units()
	var before time.Duration
	for k := range int64(200) {
		n := k * max(units/200, 1)
		if n >= units {
			break
		}
		at := s.due(n)
		if at < before || at > over {
			t.Fatalf("%s over %s: unit %d is due at %s, after one at %s", p, over, n, at, before)
		}
		// A nanosecond is what a moment is rounded to.
		rate := s.until(at+time.Nanosecond) - s.until(at-time.Nanosecond)
		if got := s.until(at); math.Abs(got-float64(n)) > 1e-6+1e-9*float64(n)+rate {
			t.Fatalf("%s over %s: unit %d is due at %s, when %g were", p, over, n, at, got)
		}
		before = at
	}
}

func TestScheduleAllocatesNothing(t *testing.T) {
	s := Pace{Steps: []float64{10, 2000, 40}}.over(time.Minute)
	var n int64
	if allocs := testing.AllocsPerRun(100, func() {
		s.due(n)
		n += 100
	}); allocs != 0 {
		t.Errorf("%g allocations", allocs)
	}
}

func TestParsePace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Pace{
		"":               {},
		"2000":           {Rate: 2000},
		"0.5":            {Rate: 0.5},
		"100..2000":      {From: 100, To: 2000},
		"0..50":          {To: 50},
		"50..0":          {From: 50},
		"100,200,400.25": {Steps: []float64{100, 200, 400.25}},
	} {
		got, err := ParsePace(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%q is written %q", text, got)
		}
		if got.Open() != (text != "") {
			t.Errorf("%q: open loop: %t", text, got.Open())
		}
	}
	for _, text := range []string{
		"0", "-1", "0.0001", "1000001", "NaN", "Inf", "fast", "10/s", " 10",
		"..", "1..", "..1", "0..0", "-1..5", "1..x", "1..2..3", "1..1e9",
		",", "1,", "1,,2", "1,0", "1,x", "1..2,3", strings.Repeat("1,", maxSteps) + "1",
	} {
		got, err := ParsePace(text)
		if err == nil {
			t.Errorf("%.20q: got %+v, want an error", text, got)
		} else if !strings.HasPrefix(err.Error(), `pace "`+text+`": `) || !strings.Contains(err.Error(), "want") {
			t.Errorf("%.20q: error %q does not quote it, or say what is wanted", text, err)
		}
	}
}

// FuzzPace reads any text: what is taken is written as it is read, and lays out
// a schedule.
func FuzzPace(f *testing.F) {
	for _, text := range []string{"", "2000", "0.001", "100..2000", "0..50", "50..0", "1,20,400", "1e3", "0x10", "1_000", "NaN", "..", "1,"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePace(text)
		if err != nil {
			return
		}
		if !p.Open() {
			if text != "" {
				t.Fatalf("%q is closed loop", text)
			}
			return
		}
		back, err := ParsePace(p.String())
		if err != nil || back.Rate != p.Rate || back.From != p.From || back.To != p.To || !slices.Equal(back.Steps, p.Steps) {
			t.Fatalf("%q is written %q, which reads %+v, %v", text, p, back, err)
		}
		checkSchedule(t, p, 10*time.Second)
	})
}

package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// axis maps values to the range from 0 to 1 and says where its marks are.
type axis struct {
	lo, hi float64 // of place's results
	place  func(float64) float64
	ticks  []tick
}

type tick struct {
	at    float64 // 0 to 1
	label string
}

// pos is where a value is on the axis; NaN where it has no place.
func (a axis) pos(v float64) float64 {
	p := (a.place(v) - a.lo) / (a.hi - a.lo)
	if !finite(p) {
		return math.NaN()
	}
	return min(max(p, 0), 1)
}

func (a axis) mark(v float64, label string) axis {
	a.ticks = append(a.ticks, tick{a.pos(v), short(label)})
	return a
}

// short leaves out the decimals that a mark, being round, does not need.
func short(label string) string {
	end := strings.IndexAny(label+" ", " /")
	digits, unit := label[:end], label[end:]
	if strings.Contains(digits, ".") {
		digits = strings.TrimRight(strings.TrimRight(digits, "0"), ".")
	}
	return digits + unit
}

// linearAxis starts at zero, so that heights may be compared. Its steps are 1, 2
// or 5 times a power of ten; where binary is set, powers of two.
func linearAxis(top float64, binary bool, show func(float64) string) axis {
	if !(top > 1e-9 && top < 1e20) { // nothing, or nothing that can be plotted
		top = 1
	}
	step := roundStep(top/mostSteps, binary)
	hi := step * math.Ceil(top/step)
	a := axis{hi: hi, place: func(v float64) float64 { return v }}
	for i := range int(math.Round(hi/step)) + 1 {
		a = a.mark(float64(i)*step, show(float64(i)*step))
	}
	return a
}

// mostSteps is how many fit on an axis with their labels.
const mostSteps = 5

// roundStep is the least round number that is not under least.
func roundStep(least float64, binary bool) float64 {
	if binary {
		return math.Max(1, math.Pow(2, math.Ceil(math.Log2(least))))
	}
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, s := range []float64{1, 2, 5} {
		if s*power >= least*0.999999 {
			return s * power
		}
	}
	return 10 * power
}

// logAxis covers lo to hi, both above zero, widened to the next of 1, 2 and 5
// times a power of ten. What is not above zero is placed at the bottom.
func logAxis(lo, hi float64, show func(float64) string) axis {
	if !finite(lo) || !finite(hi) || lo <= 0 || hi < lo {
		lo, hi = 1, 10
	}
	var marks []float64
	for decade := math.Floor(math.Log10(lo)); decade <= math.Ceil(math.Log10(hi)); decade++ {
		for _, s := range []float64{1, 2, 5} {
			marks = append(marks, s*math.Pow(10, decade))
		}
	}
	below := max(0, sortedBefore(marks, lo))
	above := min(len(marks)-1, sortedAfter(marks, hi))
	if below == above { // one value, on a mark
		below, above = max(0, below-1), min(len(marks)-1, above+1)
	}
	marks = marks[below : above+1]
	bottom := marks[0]
	place := func(v float64) float64 { return math.Log10(max(v, bottom)) }
	a := axis{lo: place(bottom), hi: place(marks[len(marks)-1]), place: place}
	for _, v := range marks {
		// Past three decades only powers of ten have room for a label.
		power := math.Abs(math.Log10(v)-math.Round(math.Log10(v))) < 1e-9
		label := ""
		if a.hi-a.lo <= 3 || power {
			label = show(v)
		}
		a = a.mark(v, label)
	}
	return a
}

// sortedBefore is the index of the last mark at or under v.
func sortedBefore(marks []float64, v float64) int {
	return slices.IndexFunc(append(marks, math.Inf(1)), func(m float64) bool { return m > v*1.000001 }) - 1
}

// sortedAfter is the index of the first mark at or over v.
func sortedAfter(marks []float64, v float64) int {
	return slices.IndexFunc(append(marks, math.Inf(1)), func(m float64) bool { return m >= v*0.999999 })
}

// lastPercentile is where a percentile axis ends.
const lastPercentile = 99.99

// percentileAxis spreads out the slowest units: each nine takes as much room as
// the one before.
func percentileAxis() axis {
	place := func(p float64) float64 { return -math.Log10(1 - min(p, lastPercentile)/100) }
	a := axis{lo: 0, hi: place(lastPercentile), place: place}
	for _, p := range []struct {
		v     float64
		label string
	}{{0, "0"}, {50, "50"}, {75, "75"}, {90, "90"}, {95, "95"}, {99, "99"}, {99.5, "99.5"}, {99.9, "99.9"}, {99.95, "99.95"}, {99.99, "99.99"}} {
		a = a.mark(p.v, p.label)
	}
	return a
}

// timeAxis covers seconds from the start.
func timeAxis(last int) axis {
	const marks = 8
	step := 1
	for _, s := range []int{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400} {
		step = s
		if last/s <= marks {
			break
		}
	}
	a := axis{hi: math.Max(float64(last), 1), place: func(v float64) float64 { return v }}
	for s := 0; s <= last; s += step {
		label := strconv.Itoa(s)
		if last >= 120 {
			label = fmt.Sprintf("%d:%02d", s/60, s%60)
		}
		a.ticks = append(a.ticks, tick{a.pos(float64(s)), label})
	}
	return a
}

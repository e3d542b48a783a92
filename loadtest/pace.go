package loadtest

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Pace is when units begin, in units a second. The zero value is closed loop:
// each connection begins the next unit when it has ended the last. Otherwise the
// loop is open: units begin when they are due, whatever became of those before.
// Only one of Rate, From with To, and Steps may be set.
type Pace struct {
	// Rate is constant.
	Rate float64 `yaml:"rate,omitempty" json:"rate,omitempty"`
	// From rises or falls evenly to To in Duration.
	From float64 `yaml:"from,omitempty" json:"from,omitempty"`
	To   float64 `yaml:"to,omitempty" json:"to,omitempty"`
	// Steps are rates, each for an equal part of Duration.
	Steps []float64 `yaml:"steps,omitempty,flow" json:"steps,omitempty"`
}

// maxSteps bounds what a plan may ask for.
const maxSteps = 1000

// Open says whether the loop is open.
func (p Pace) Open() bool { return p.Rate != 0 || p.From != 0 || p.To != 0 || len(p.Steps) > 0 }

// String is the pace as ParsePace reads it.
func (p Pace) String() string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case len(p.Steps) > 0:
		texts := make([]string, len(p.Steps))
		for i, rate := range p.Steps {
			texts[i] = number(rate)
		}
		return strings.Join(texts, ",")
	case p.From != 0 || p.To != 0:
		return number(p.From) + ".." + number(p.To)
	case p.Rate != 0:
		return number(p.Rate)
	}
	return ""
}

// ParsePace reads a pace as a command line has it: 2000 is constant, 100..2000
// is a ramp, and 100,200,400 are steps. The empty text is closed loop.
func ParsePace(text string) (Pace, error) {
	bad := func() (Pace, error) {
		return Pace{}, fmt.Errorf("pace %q: want units a second, such as 2000, 100..2000 or 100,200,400", text)
	}
	var p Pace
	var err error
	from, to, ramp := strings.Cut(text, "..")
	switch {
	case text == "":
		return p, nil
	case ramp:
		var err2 error
		p.From, err = strconv.ParseFloat(from, 64)
		p.To, err2 = strconv.ParseFloat(to, 64)
		if err != nil || err2 != nil {
			return bad()
		}
	case strings.Contains(text, ","):
		for part := range strings.SplitSeq(text, ",") {
			rate, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return bad()
			}
			p.Steps = append(p.Steps, rate)
		}
	default:
		if p.Rate, err = strconv.ParseFloat(text, 64); err != nil {
			return bad()
		}
	}
	if problems := p.problems(); len(problems) > 0 {
		return Pace{}, fmt.Errorf("pace %q: %s", text, problems[0])
	}
	if !p.Open() {
		return bad() // a rate of 0 is not what closed loop is
	}
	return p, nil
}

// problems says what is wrong with p, each a text that quotes the value.
func (p Pace) problems() []string {
	var found []string
	rate := func(key string, value, least float64) {
		if !(value >= least && value <= MaxRate) { // NaN is neither
			found = append(found, fmt.Sprintf("%s: %g: want units a second, %g to %d", key, value, least, MaxRate))
		}
	}
	const least = 0.001
	kinds := 0
	if p.Rate != 0 {
		kinds++
		rate("rate", p.Rate, least)
	}
	if p.From != 0 || p.To != 0 {
		kinds++
		rate("from", p.From, 0)
		rate("to", p.To, 0)
	}
	if len(p.Steps) > 0 {
		kinds++
		for i, step := range p.Steps {
			rate(fmt.Sprintf("steps[%d]", i), step, least)
		}
	}
	if len(p.Steps) > maxSteps {
		found = append(found, fmt.Sprintf("steps: %d of them: want %d at most", len(p.Steps), maxSteps))
	}
	if kinds > 1 {
		found = append(found, fmt.Sprintf("%q: want only one of rate, from with to, and steps", []string{
			"rate " + fmt.Sprint(p.Rate), fmt.Sprintf("from %v to %v", p.From, p.To), fmt.Sprintf("steps %v", p.Steps)}))
	}
	return found
}

// schedule says when each unit is due: unit n at the moment at which the
// integral of the rate over time is n.
type schedule []stretch

// stretch is a time in which the rate changes evenly.
type stretch struct {
	at, length float64 // seconds
	from, to   float64 // units a second
	before     float64 // units due before it
}

func (s stretch) units() float64 { return s.length * (s.from + s.to) / 2 }

// over lays a pace over the time that it is to last.
func (p Pace) over(d time.Duration) schedule {
	stretches := []stretch{{from: p.Rate, to: p.Rate}}
	switch {
	case len(p.Steps) > 0:
		stretches = stretches[:0]
		for _, rate := range p.Steps {
			stretches = append(stretches, stretch{from: rate, to: rate})
		}
	case p.Rate == 0:
		stretches[0].from, stretches[0].to = p.From, p.To
	}
	length := d.Seconds() / float64(len(stretches))
	var before float64
	for i := range stretches {
		s := &stretches[i]
		s.at, s.length, s.before = float64(i)*length, length, before
		before += s.units()
	}
	return stretches
}

// first is the constant pace that a schedule starts with; of a ramp from 0, its
// mean.
func (s schedule) first() Pace {
	if s[0].from == 0 {
		return Pace{Rate: s[0].units() / s[0].length}
	}
	return Pace{Rate: s[0].from}
}

// units is how many units are due in all. A rounding error makes no unit.
func (s schedule) units() int64 {
	last := s[len(s)-1]
	return int64(math.Ceil(last.before + last.units() - 1e-6))
}

// due is when unit n, counted from 0, is due. It allocates nothing.
func (s schedule) due(n int64) time.Duration {
	i := sort.Search(len(s), func(i int) bool { return s[i].before > float64(n) }) - 1
	part := s[i]
	k := float64(n) - part.before
	if k <= 0 {
		return seconds(part.at)
	}
	// The root of from·x + slope·x²/2 = k, in the form that stays exact where the
	// slope is 0.
	slope := (part.to - part.from) / part.length
	root := math.Sqrt(max(0, part.from*part.from+2*slope*k))
	return seconds(part.at + 2*k/(part.from+root))
}

// until is the integral of the rate up to t.
func (s schedule) until(t time.Duration) float64 {
	x := t.Seconds()
	for _, part := range s {
		if past := x - part.at; past < part.length {
			past = max(0, past)
			slope := (part.to - part.from) / part.length
			return part.before + past*part.from + slope*past*past/2
		}
	}
	last := s[len(s)-1]
	return last.before + last.units()
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

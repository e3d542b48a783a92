package page

import (
	"fmt"
	"time"
)

// ago tells an age as people do.
func ago(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	return span(d) + " ago"
}

// left tells what remains.
func left(d time.Duration) string {
	if d <= 0 {
		return "over since " + span(-d)
	}
	return span(d)
}

// span is a length of time in its largest unit that fits twice.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// urgency is the class of something that ends in so long.
func urgency(left time.Duration) string {
	switch {
	case left <= 0:
		return "bad"
	case left < 15*24*time.Hour:
		return "warn"
	}
	return "good"
}

// freshness is the class of a list that was issued at from, to be followed by
// another at to: a warning from four fifths of the way on.
func freshness(from, to, now time.Time) string {
	switch {
	case !now.Before(to):
		return "bad"
	case now.After(to.Add(-to.Sub(from) / 5)):
		return "warn"
	}
	return "good"
}

// sound is the class of a target's state.
func sound(state string) string {
	switch state {
	case "healthy":
		return "good"
	case "unhealthy":
		return "bad"
	case "initial", "draining":
		return "warn"
	}
	return ""
}

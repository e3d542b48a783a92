package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// none stands for what was not measured, and for what is no number.
const none = "–"

// longestText is how many characters of a foreign text are shown.
const longestText = 400

// number is v with three significant digits, and thousands set apart.
func number(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return none
	case v == 0:
		return "0"
	case size >= 99.95:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case size >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// count is a number of things.
func count(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return none
	}
	return thousands(strconv.FormatFloat(v, 'f', 0, 64))
}

// rate is a number of things a second.
func rate(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return none
	}
	return number(v) + "/s"
}

// duration is a time in nanoseconds, in the unit that needs the fewest digits.
func duration(ns float64) string {
	return scaled(ns, 1000, []string{"ns", "µs", "ms", "s"})
}

// size is a number of bytes.
func size(v float64) string {
	return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB"})
}

func scaled(v, base float64, units []string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return none
	}
	unit := 0
	// Half a unit below the next one would round up to it.
	for math.Abs(v) >= base-0.5 && unit < len(units)-1 {
		v /= base
		unit++
	}
	if unit == 0 {
		return count(v) + " " + units[0]
	}
	return number(v) + " " + units[unit]
}

// percent is a part of a whole.
func percent(part, whole float64) string {
	v := 100 * part / whole
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return none
	case v > 99.95 && v < 100: // never 100 % of what is not all
		return "99.9 %"
	case v >= 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64) + " %"
	}
	return number(v) + " %"
}

// factor is the ratio of two measurements.
func factor(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return none
	}
	return number(v) + "×"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// plain is a text from outside, fit for a terminal: on one line, of bounded
// length, and without characters that move the cursor or turn the direction of
// writing.
func plain(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == longestText {
			b.WriteRune('…')
			break
		}
		n++
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

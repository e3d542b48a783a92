package logfile

import (
	"os"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/edge/albline"
)

// maxHeader is the most that a header has, in bytes: RFC 5424, section 6, bounds
// its parts.
const maxHeader = 400

// header is what stands before a message of syslog (RFC 5424, section 6.2): it is
// put there when the line is queued, since its time is the line's.
type header struct{ before, after string }

// newHeader makes the header of an informational message: version 1, no
// structured data.
func newHeader(to Syslog) *header {
	const informational = 6
	host, _ := os.Hostname()
	return &header{
		before: "<" + strconv.Itoa(8*to.Facility+informational) + ">1 ",
		after:  " " + headerPart(host, 255) + " sallyport " + strconv.Itoa(os.Getpid()) + " " + headerPart(to.MessageID, 32) + " - ",
	}
}

// headerPart is value in printable ASCII, "-" where there is none.
func headerPart(value string, most int) string {
	part := []byte(value[:min(len(value), most)])
	for i, c := range part {
		if c <= ' ' || c > '~' {
			part[i] = '_'
		}
	}
	if len(part) == 0 {
		return "-"
	}
	return string(part)
}

func (h *header) append(dst []byte, now time.Time) []byte {
	if h == nil {
		return dst
	}
	dst = albline.AppendTime(append(dst, h.before...), now)
	return append(dst, h.after...)
}

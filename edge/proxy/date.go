package proxy

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dateLine is a Date field, printed once a second.
type dateLine struct {
	second int64
	line   []byte
}

var today atomic.Pointer[dateLine]

// appendDate appends the Date that a response lacks (RFC 9110, section 6.6.1).
func appendDate(out []byte, now time.Time) []byte {
	d := today.Load()
	if d == nil || d.second != now.Unix() {
		d = &dateLine{second: now.Unix()}
		d.line = append(now.UTC().AppendFormat(append(d.line, "Date: "...), http.TimeFormat), "\r\n"...)
		today.Store(d)
	}
	return append(out, d.line...)
}

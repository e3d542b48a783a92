package proxy

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// response1 is a response on its way out by HTTP/1.1. What is small waits in the
// exchange's out, so that it goes with the head in one write.
type response1 struct {
	chunked bool
	close   bool // the connection ends with it
	noBody  bool
	endless bool // only the connection's end says where the body ends
}

// coalesce is how much is put together for one write: a record of TLS.
const coalesce = 16 << 10

// interim sends a 1xx response.
func (c *conn1) interim(r *http1.Response) error {
	x := c.x
	out := appendStatus(make([]byte, 0, 512), r)
	out = appendResponseFields(out, r)
	out = append(out, "\r\n"...)
	x.moved()
	return c.send(out)
}

// begin keeps the head back in out.
func (c *conn1) begin(r *http1.Response, length int64) (int, error) {
	x, w := c.x, &c.response
	w.noBody = !http1.HasBody(x.req.Method, r.Status)
	out := appendStatus(x.out[:0], r)
	out = appendResponseFields(out, r)
	if !hasKind(r.Fields, http1.Date) {
		out = appendDate(out, time.Now())
	}
	old := x.req.Minor == 0
	switch {
	case length >= 0:
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), length, 10), "\r\n"...)
	case length == http1.Unknown && old:
		w.close, w.endless = true, true
	case length == http1.Unknown:
		w.chunked = true
		out = appendTrailerNames(out, r)
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	w.close = w.close || x.closing || x.about.close || old && !x.about.keep || c.body.held || c.body.spoiled.Load() || c.isDraining()
	switch {
	case w.close:
		out = append(out, "Connection: close\r\n"...)
	case old:
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	x.out = append(out, "\r\n"...)
	return len(x.out), nil
}

// write keeps a small piece back, and sends a large one.
func (c *conn1) write(p []byte) error {
	x, w := c.x, &c.response
	if len(x.out) > 0 && len(x.out)+len(p) > coalesce {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if !w.chunked && len(x.out) == 0 && len(p) > coalesce/2 {
		return c.send(p)
	}
	if w.chunked {
		x.out = append(append(http1.AppendChunkSize(x.out, len(p)), p...), "\r\n"...)
	} else {
		x.out = append(x.out, p...)
	}
	if len(x.out) >= coalesce {
		return c.flush()
	}
	return nil
}

func (c *conn1) flush() error {
	x := c.x
	if len(x.out) == 0 {
		return nil
	}
	err := c.send(x.out)
	x.out = x.out[:0]
	return err
}

// end sends the end.
func (c *conn1) end(trailers []http1.Field) error {
	x := c.x
	if c.response.chunked && !c.response.noBody {
		x.out = append(x.out, "0\r\n"...)
		for i := range trailers {
			if f := &trailers[i]; mayTrail(f.Name) {
				x.out = appendField(x.out, f.Name, f.Value)
			}
		}
		x.out = append(x.out, "\r\n"...)
	}
	return c.flush()
}

// send gives each write its time: a client that does not read is not waited for.
func (c *conn1) send(p []byte) error {
	if until, due := c.sending.due(time.Now(), c.limit); due {
		c.Conn.Conn.SetWriteDeadline(until)
	}
	several := c.More != nil && len(p) > coalesce
	if several {
		c.More((len(p) - 1) / coalesce)
	}
	_, err := c.Conn.Conn.Write(p)
	if several {
		c.More(0)
	}
	if err != nil {
		c.response.close = true
	}
	return err
}

func (c *conn1) cutRead() { c.Conn.Conn.SetReadDeadline(time.Now()) }

// cutWrite has nothing to do: send has given each write its time.
func (c *conn1) cutWrite() {}

func appendStatus(out []byte, r *http1.Response) []byte {
	if r.Status < 100 || r.Status > 999 {
		panic("response with status " + strconv.Itoa(r.Status))
	}
	out = strconv.AppendInt(append(out, "HTTP/1.1 "...), int64(r.Status), 10)
	reason := r.Reason
	if reason == "" {
		reason = http.StatusText(r.Status)
	}
	return append(append(append(out, ' '), reason...), "\r\n"...)
}

// appendResponseFields appends those that are not about the target's connection.
func appendResponseFields(out []byte, r *http1.Response) []byte {
	names := false
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Kind == http1.Connection && !http1.EqualFold(f.Value, "close") && !http1.EqualFold(f.Value, "keep-alive") {
			names = true
		}
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Kind.HopByHop() || names && listed(r.Fields, f.Name) {
			continue
		}
		out = appendField(out, f.Name, f.Value)
	}
	return out
}

// appendTrailerNames announces the trailers that the target has announced.
func appendTrailerNames(out []byte, r *http1.Response) []byte {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Kind == http1.Trailer {
			out = appendField(out, f.Name, f.Value)
		}
	}
	return out
}

func hasKind(fields []http1.Field, kind http1.Kind) bool {
	for i := range fields {
		if fields[i].Kind == kind {
			return true
		}
	}
	return false
}

package sdk_test

import (
	"errors"
	"testing"

	"github.com/sallyport/sallyport/sdk/frame"
)

// TestMalformedCalls holds that a field in another form than its kind's ends the
// session, before any hook sees it.
func TestMalformedCalls(t *testing.T) {
	number := func(tag frame.Tag, n uint64) []byte { return frame.AppendUint(nil, tag, n) }
	text := func(tag frame.Tag, s string) []byte { return frame.AppendString(nil, tag, s) }
	for what, body := range map[string][]byte{
		"number of 4 bytes":      text(frame.TagClientPort, "abcd"),
		"number without a byte":  text(frame.TagResponseStatus, ""),
		"truth of 2":             number(frame.TagCertVerified, 2),
		"truth of 1 byte":        text(frame.TagResumed, "\x01"),
		"time of 9 bytes":        text(frame.TagCertNotAfter, "123456789"),
		"hash of 31 bytes":       text(frame.TagCertSHA256, "0123456789012345678901234567890"),
		"header without a value": text(frame.TagHeader, "x-tenant"),
		"verified twice":         append(number(frame.TagCertVerified, 1), number(frame.TagCertVerified, 0)...),
		"path twice":             append(text(frame.TagPath, "/a"), text(frame.TagPath, "/b")...),
	} {
		for _, concurrency := range []int{1, 2} {
			for _, kind := range []frame.Type{frame.Connection, frame.Request, frame.Response, frame.Observe} {
				h, served := serve(t, t.Context(), allowing(concurrency))
				id := uint32(1)
				if kind == frame.Observe {
					id = 0
				}
				h.send(t, frame.End(append(frame.Begin(nil, kind, id), body...), 0))
				if err := receive(t, served, what+": ServeConn returns"); !errors.Is(err, frame.ErrMalformed) {
					t.Errorf("%s in %v: %v", what, kind, err)
				}
				h.conn.Close()
			}
		}
	}
}

// TestIdsInUse holds that an id cannot be used again before its call is answered,
// and that no call is taken after GOAWAY.
func TestIdsInUse(t *testing.T) {
	call := func(id uint32) []byte {
		return frame.End(frame.AppendString(frame.Begin(nil, frame.Request, id), frame.TagPath, "/wait"), 0)
	}
	for what, says := range map[string][]byte{
		"id in use":    call(1),
		"after GOAWAY": append(frame.Append(nil, frame.GoAway, 0), call(2)...),
	} {
		p, begun, _ := waiting(2)
		h, served := serve(t, t.Context(), p)
		h.send(t, call(1))
		receive(t, begun, "the hook begins")
		h.send(t, says)
		if err := receive(t, served, "ServeConn returns"); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
		h.conn.Close()
	}
}

package proxy

import (
	"github.com/sallyport/sallyport/edge/http1"
)

// side is the client's side of one exchange: a request on an HTTP/1.1 connection,
// or a stream of HTTP/2. read and trailers are called by one goroutine at a time,
// the others, which write, by one at a time; the cuts by any.
type side interface {
	// buffered returns what of the body is there already, without waiting, and
	// whether that is all. It may be called once, before read.
	buffered() (p []byte, whole bool, err error)
	// read reads the body; io.EOF is its end, a *malformedError what is wrong
	// with it.
	read(p []byte) (int, error)
	// trailers are the fields behind the body.
	trailers() []http1.Field
	// proceed tells a client that holds its body back to send it.
	proceed() error

	// interim sends a 1xx response.
	interim(r *http1.Response) error
	// begin sends the head of the response, or keeps it back until more is
	// written; length as in http1.Response. It returns the head's size.
	begin(r *http1.Response, length int64) (int, error)
	// write sends a piece of the body; it may keep small ones back.
	write(p []byte) error
	// flush sends what is kept back.
	flush() error
	// end sends the end of the response, with its trailers.
	end(trailers []http1.Field) error

	// watch looks out for the client's going away, until the exchange is over,
	// and then says so to x.
	watch(x *exchange)
	// hurry bounds the time that the client has for the rest of its body.
	hurry()
	cutRead()
	cutWrite()
}

// malformedError is a body that breaks the framing it announced.
type malformedError struct{ reason string }

func (e *malformedError) Error() string { return "refuse malformed request: " + e.reason }

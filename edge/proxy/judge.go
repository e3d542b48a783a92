package proxy

import (
	"bytes"
	"net/http"
	"unsafe"

	"github.com/sallyport/sallyport/edge/http1"
)

// Judge decides about the requests of one connection. Its methods are called
// concurrently for requests of HTTP/2, and may take their time. Nothing of what
// they are given may be kept beyond Over.
type Judge interface {
	// Request judges a request that nothing else is wrong with, before anything is
	// done with it. It has to set Admitted, or the request is refused.
	Request(*Judged)
	// Response may set ResponseEdits for a target's response, and clear Admitted: then
	// the client gets a refusal in its place.
	Response(*Judged, *http1.Response)
	// Answered is told of the response whose head is about to go out; it changes
	// nothing any more.
	Answered(*Judged, *http1.Response)
	// Over ends what Request began.
	Over(*Judged)
}

// Judged is a request before its Judge, and what becomes of it. The zero Judged
// refuses.
type Judged struct {
	Head     *http1.Request
	Listener *Listener
	Admitted bool
	// Edits change the header that the target gets, of an admitted request. They may
	// give it fields that a client may not send, and take away what the edge says.
	Edits http1.Edits
	// Decisive, if not nil, says whether the request was judged by a header of that
	// name. It is none of the request's trailers then, which nobody has judged.
	Decisive interface{ Decisive(name string) bool }
	// ResponseEdits change the header of the target's response. Its trailers lose what
	// they drop.
	ResponseEdits http1.Edits

	// Of a refusal: the status of the answer, 503 if it is 0; whether the client may
	// try again soon; whether the connection ends; changes of the answer's header;
	// and what the record says.
	Status         int
	RetryAfter     bool
	Close          bool
	Answer         http1.Edits
	Reason, Detail string

	// State is the Judge's own.
	State any

	x        *exchange
	answered bool
}

// Passes says whether a field of the client's goes on to the target.
func (j *Judged) Passes(f *http1.Field) bool { return j.x.goesOn(f) }

// TraceID returns the X-Amzn-Trace-Id that the target gets.
func (j *Judged) TraceID() string {
	if j.x.record.TraceID == "" {
		j.x.makeTraceID(&j.x.about)
	}
	return j.x.record.TraceID
}

// judge has the request judged. It says no if that has answered it.
func (x *exchange) judge() bool {
	j := &x.judged
	*j = Judged{Head: &x.req, Listener: x.listener, x: x}
	if judge := x.client.Judge; judge != nil {
		judge.Request(j)
	}
	if !j.Admitted {
		x.refuse(j)
	}
	return j.Admitted
}

// judgeResponse has a target's response judged. It says no if the client got
// another one.
func (x *exchange) judgeResponse() bool {
	j := &x.judged
	if j.x == nil {
		return true
	}
	x.client.Judge.Response(j, &x.resp)
	if !j.Admitted {
		j.ResponseEdits = nil
		x.dropTarget()
		x.refuse(j)
		return false
	}
	x.edit(j.ResponseEdits)
	return true
}

// judgedAnswer tells of a response.
func (x *exchange) judgedAnswer() {
	if j := &x.judged; j.x != nil && x.client.Judge != nil && !j.answered {
		j.answered = true
		x.client.Judge.Answered(j, &x.resp)
	}
}

// judgedOver ends the judging.
func (x *exchange) judgedOver() {
	if j := &x.judged; j.x != nil && x.client.Judge != nil {
		x.client.Judge.Over(j)
	}
	x.judged = Judged{}
}

// refuse answers for a Judge.
func (x *exchange) refuse(j *Judged) {
	status := j.Status
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	if x.record.ErrorReason = j.Reason; j.Reason == "" {
		x.record.ErrorReason = ReasonInternal
	}
	x.record.ErrorDetail = j.Detail
	x.closing = x.closing || j.Close || status == http.StatusBadRequest || status == http.StatusRequestTimeout
	extra := http1.Field{}
	if j.RetryAfter {
		extra = http1.Field{Name: "Retry-After", Value: "1"}
	}
	x.reply(status, "text/html", page(status), extra)
}

// appendEdits appends the lines that a Judge has made, and takes out those of the
// edge, which begin at from, that it has replaced.
func (x *exchange) appendEdits(dst []byte, from int) []byte {
	edits := x.judged.Edits
	if len(edits) == 0 {
		return dst
	}
	kept := dst[:from]
	for rest := dst[from:]; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		line := rest[:end]
		rest = rest[end:]
		name := line[:bytes.IndexByte(line, ':')]
		if !edits.Drops(unsafe.String(unsafe.SliceData(name), len(name))) {
			kept = append(kept, line...)
		}
	}
	edits.Lines(func(name, value string) bool {
		kept = appendField(kept, name, value)
		return true
	})
	return kept
}

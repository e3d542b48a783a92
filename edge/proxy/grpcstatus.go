package proxy

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// Status codes of gRPC that the edge answers with.
const (
	grpcCancelled         = 1
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcInternal          = 13
	grpcUnavailable       = 14
)

// answerGRPC answers a call with an error of the edge's own, in trailers alone: of
// a page with an HTTP status a client of gRPC makes little. The record has the
// HTTP status, as it would for any other request.
func (c *call) answerGRPC(status int) {
	x := c.x
	code := grpcUnavailable
	var reset streamError
	switch {
	case errors.As(c.failure, &reset):
		code = c.codeOfReset(reset.Code)
	case status == http.StatusBadRequest:
		code = grpcInternal
	}
	x.resp = http1.Response{Status: http.StatusOK, Minor: 1, Fields: x.judged.Answer.Apply(append(x.fields[:0],
		http1.Field{Name: "Content-Type", Value: "application/grpc"},
		http1.Field{Name: "Grpc-Status", Value: strconv.Itoa(code)},
		http1.Field{Name: "Grpc-Message", Value: strconv.Itoa(status) + " " + http.StatusText(status)}))}
	err := x.begin(0)
	x.record.ELBStatusCode = status
	if err == nil {
		err = x.side.end(nil)
	}
	x.resp.Fields = nil
	if err != nil {
		x.aborted = true
	}
}

// codeOfReset is the status that a client of gRPC makes of a stream's reset, which
// is all that the target has said. One whose time is up is reset by its server as
// if somebody had cancelled it.
func (c *call) codeOfReset(code uint32) int {
	const refused, cancel, calm, insecure = 7, 8, 11, 12
	switch code {
	case refused:
		return grpcUnavailable
	case cancel:
		if limit, ok := grpcTimeout(c.fields["grpc-timeout"]); ok && time.Since(c.x.started) >= limit {
			return grpcDeadlineExceeded
		}
		return grpcCancelled
	case calm:
		return grpcResourceExhausted
	case insecure:
		return grpcPermissionDenied
	}
	return grpcInternal
}

// grpcTimeout reads a grpc-timeout: at most eight digits and a unit.
func grpcTimeout(values []string) (limit time.Duration, ok bool) {
	if len(values) != 1 || len(values[0]) < 2 || len(values[0]) > 9 {
		return 0, false
	}
	digits, unit := values[0][:len(values[0])-1], values[0][len(values[0])-1]
	n, err := strconv.ParseUint(digits, 10, 32)
	at := strings.IndexByte("HMSmun", unit)
	if err != nil || at < 0 {
		return 0, false
	}
	// The largest, in hours, is longer than a Duration can be.
	each := [...]time.Duration{time.Hour, time.Minute, time.Second, time.Millisecond, time.Microsecond, time.Nanosecond}[at]
	if time.Duration(n) > (1<<63-1)/each {
		return 1<<63 - 1, true
	}
	return time.Duration(n) * each, true
}

package trace

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxAnswer bounds what is read of a collector's answer that takes spans, in bytes:
// two numbers and a text for people. Of one that refuses, maxText is read.
const maxAnswer = 64 << 10

// answers reads what the collector answers, on its way to the client, which would
// take a warning for a failure and keep a text of any length. One request at a time.
type answers struct {
	transport http.RoundTripper
	rejected  int64  // spans, by the last answer
	why       string // as it says
}

// RoundTrip asks the collector. It returns an answer without a body where the
// collector takes spans, and otherwise one whose body is cut.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.rejected, a.why = 0, ""
	response, err := a.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit := int64(maxText)
	taken := response.StatusCode/100 == 2
	if taken {
		limit = maxAnswer
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	response.Body.Close()
	if taken && int64(len(text)) > limit {
		err = fmt.Errorf("answer of over %d bytes", limit)
	}
	if err == nil && taken {
		a.rejected, a.why, err = partialSuccess(response.Header.Get("Content-Type"), text)
		text = nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the collector's answer: %w", err)
	}
	text = text[:min(len(text), maxText)]
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return response, nil
}

// partialSuccess returns how many spans an answer says were rejected, and why, by
// OTLP's "Partial Success". None, where it is of a type that says nothing of that.
func partialSuccess(contentType string, text []byte) (rejected int64, why string, err error) {
	answer := &collectorpb.ExportTraceServiceResponse{}
	switch kind, _, _ := mime.ParseMediaType(contentType); kind {
	case "application/x-protobuf":
		err = proto.Unmarshal(text, answer)
	case "application/json":
		if len(text) > 0 {
			err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, answer)
		}
	}
	if err != nil {
		return 0, "", err
	}
	partial := answer.GetPartialSuccess()
	return max(partial.GetRejectedSpans(), 0), partial.GetErrorMessage(), nil
}

package proxy

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/sallyport/sallyport/edge/config"
)

// Action is what becomes of a request: forward, fixed response or redirect. It
// is immutable. The zero Action has no target: it answers 503.
type Action struct {
	group    *TargetGroup
	fixed    *fixedResponse
	redirect *redirect
}

// fixedResponse is an answer of the edge's own.
type fixedResponse struct {
	status      int
	contentType string
	body        []byte
	length      string
}

// maxMessageBody is ALB's.
const maxMessageBody = 1024

// NewAction makes an Action of its configuration; groups are those that it may
// name. It is an error if cfg does not have exactly one of its fields, if its
// group is unknown, if a part of a redirect does not parse, and if a redirect
// leads a client back to where it comes from.
func NewAction(cfg config.Action, groups map[string]*TargetGroup) (Action, error) {
	n := 0
	for _, set := range []bool{cfg.Forward != "", cfg.FixedResponse != nil, cfg.Redirect != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return Action{}, errors.New("want exactly one of forward, fixed_response and redirect")
	}
	switch {
	case cfg.FixedResponse != nil:
		f := cfg.FixedResponse
		if class := f.StatusCode / 100; class != 2 && class != 4 && class != 5 {
			return Action{}, fmt.Errorf("fixed response with status code %d: want 2XX, 4XX or 5XX", f.StatusCode)
		}
		if len(f.MessageBody) > maxMessageBody {
			return Action{}, fmt.Errorf("fixed response with a message body of %d bytes: want at most %d", len(f.MessageBody), maxMessageBody)
		}
		return Action{fixed: &fixedResponse{
			status:      f.StatusCode,
			contentType: f.ContentType,
			body:        []byte(f.MessageBody),
			length:      strconv.Itoa(len(f.MessageBody)),
		}}, nil
	case cfg.Redirect != nil:
		r, err := newRedirect(*cfg.Redirect)
		if err != nil {
			return Action{}, fmt.Errorf("redirect: %w", err)
		}
		return Action{redirect: r}, nil
	}
	group := groups[cfg.Forward]
	if group == nil {
		return Action{}, fmt.Errorf("forward to %q: no such target group", cfg.Forward)
	}
	return Action{group: group}, nil
}

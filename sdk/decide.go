package sdk

import (
	"github.com/sallyport/sallyport/sdk/frame"
)

// decide calls the hook that is asked for, whatever it does.
func (s *session) decide(c *call) frame.VerdictBody {
	body, fault := s.ask(c).finish(&s.declared)
	if fault != "" {
		s.log.Error("verdict cannot be sent", "hook", c.kind.String(), "why", fault)
	}
	return body
}

// ask calls the hook. A panic in it denies.
func (s *session) ask(c *call) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(c.kind.String(), p)
			v = Deny(statusMistake, "plugin panicked")
		}
	}()
	switch handle := c.connection(); {
	case c.kind == frame.Connection && s.connection != nil:
		return s.connection.AuthorizeConnection(c.ctx, handle)
	case c.kind == frame.Request && s.request != nil && s.shape != nil:
		v = s.request.AuthorizeRequest(c.ctx, Request{handle})
		if v.Allowed() {
			v = v.and(s.shape.ShapeRequest(c.ctx, Request{handle}))
		}
		return v
	case c.kind == frame.Request && s.request != nil:
		return s.request.AuthorizeRequest(c.ctx, Request{handle})
	case c.kind == frame.Request && s.shape != nil:
		return s.shape.ShapeRequest(c.ctx, Request{handle})
	case c.kind == frame.Response && s.response != nil:
		return s.response.ShapeResponse(c.ctx, Response{Request{handle}})
	}
	return Verdict{}.broken("asked for a hook that was not offered: " + c.kind.String())
}

// notice tells the Observer.
func (s *session) notice(c *call) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(c.kind.String(), p)
		}
	}()
	if s.observe != nil {
		s.observe.Observe(Response{Request{c.connection()}})
	}
}

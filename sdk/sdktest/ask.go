package sdktest

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Hello is what the plugin says of itself.
func (p *Plugin) Hello() frame.HelloBody { return p.hello }

// AuthorizeConnection asks for a verdict on a connection.
func (p *Plugin) AuthorizeConnection(c Connection) Verdict {
	p.t.Helper()
	return p.verdict(p.send(frame.Connection, p.connectionBody(c)))
}

// AuthorizeRequest asks for a verdict on a request, which is the edit of its
// headers too: RequestAuthorizer and RequestShaper are asked in one round trip.
func (p *Plugin) AuthorizeRequest(r Request) Verdict {
	p.t.Helper()
	return p.BeginRequest(r).Verdict()
}

// ShapeResponse asks for a verdict on a response.
func (p *Plugin) ShapeResponse(r Response) Verdict {
	p.t.Helper()
	return p.verdict(p.send(frame.Response, p.responseBody(r)))
}

// Observe tells of what is over. There is no answer.
func (p *Plugin) Observe(r Response) {
	p.write(appendFrame(nil, frame.Observe, 0, p.responseBody(r)))
}

// Call is a call under way.
type Call struct {
	plugin *Plugin
	call   call
}

// BeginRequest asks for a verdict on a request, and does not wait for it.
func (p *Plugin) BeginRequest(r Request) *Call {
	return &Call{p, p.send(frame.Request, p.requestBody(r))}
}

// Verdict waits for the verdict.
func (c *Call) Verdict() Verdict {
	c.plugin.t.Helper()
	return c.plugin.verdict(c.call)
}

// Cancel says that nobody waits for the verdict any more, as the edge does when
// the call's time is over: the context of the hook ends. A plugin may or may not
// still answer.
func (c *Call) Cancel() {
	c.plugin.write(frame.Append(nil, frame.Cancel, c.call.id))
}

func (p *Plugin) verdict(c call) Verdict {
	p.t.Helper()
	v, err := p.receiveVerdict(c)
	if err != nil {
		p.t.Errorf("wait for a verdict: %v", err)
	}
	return v
}

// WaitForLog waits until the plugin has logged a line that contains text, in its
// message or its facts, and gives it: "WARN message key=value".
func (p *Plugin) WaitForLog(text string) string {
	p.t.Helper()
	var found string
	p.waitFor("log "+text, func() bool {
		for _, line := range p.lines {
			if s := logLine(line); strings.Contains(s, text) {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// WaitForInvalidation waits until the plugin has invalidated verdicts n times, and
// gives the n-th: the SHA-256 of a certificate, or all.
func (p *Plugin) WaitForInvalidation(n int) (certificate [32]byte, all bool) {
	p.t.Helper()
	var body frame.InvalidateBody
	p.waitFor(fmt.Sprintf("invalidate %d times", n), func() bool {
		if len(p.invalidations) < n {
			return false
		}
		body = p.invalidations[n-1]
		return true
	})
	return body.Leaf, !body.One
}

// waitFor waits until done, which is called with the lock held.
func (p *Plugin) waitFor(what string, done func() bool) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		ok, changed, gone := done(), p.changed, p.readErr
		p.mu.Unlock()
		if ok {
			return
		}
		if gone != nil {
			p.t.Fatalf("the plugin has gone, and did not %s: %v", what, gone)
		}
		select {
		case <-changed:
		case <-timeout:
			p.t.Fatalf("the plugin did not %s within %v", what, patience)
		}
	}
}

func logLine(line frame.LogBody) string {
	levels := map[frame.Level]string{frame.Debug: "DEBUG", frame.Info: "INFO", frame.Warn: "WARN", frame.Error: "ERROR"}
	var s strings.Builder
	s.WriteString(levels[line.Level] + " " + line.Message)
	for _, a := range line.Attrs {
		fmt.Fprintf(&s, " %s=%s", a.Key, a.Value)
	}
	return s.String()
}

func (p *Plugin) connectionBody(c Connection) (body []byte) {
	for _, need := range p.needs {
		body = c.append(body, need.Tag)
	}
	return body
}

func (p *Plugin) requestBody(r Request) (body []byte) {
	for _, need := range p.needs {
		body = r.append(body, need)
	}
	return body
}

func (p *Plugin) responseBody(r Response) (body []byte) {
	for _, need := range p.needs {
		body = r.append(body, need)
	}
	return body
}

package edge

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
)

// storeNumbers gives every trust store that is ever in force a number of its own,
// since its generations count from one.
var storeNumbers atomic.Uint64

// preparePlugins starts what the generation's plugins need, and ties them to its
// listeners. Nobody can see the generation yet.
func (s *Server) preparePlugins(next, old *generation) (*pluginhost.Next, error) {
	next.storeNumbers = map[*truststore.Store]uint64{}
	for _, store := range next.stores {
		if old != nil && old.storeNumbers[store] != 0 {
			next.storeNumbers[store] = old.storeNumbers[store]
		} else {
			next.storeNumbers[store] = storeNumbers.Add(1)
		}
	}
	plugins, err := s.plugins.Prepare(context.Background(), next.cfg, next.identityNames)
	if err != nil {
		return nil, err
	}
	// No client may send what a plugin owns, on no listener, and whether or not the
	// plugin is asked there.
	owned := plugins.Owned()
	strip := identity.NewStripper(append(owned, next.identityNames...)...)
	for _, p := range next.policies {
		if len(owned) > 0 {
			p.http.Strip = strip
		}
		p.chain = plugins.Chain(p.cfg.Plugins)
		p.http.Judged = p.chain != nil
	}
	return plugins, nil
}

// plugins checks what can be checked without starting them.
func (b *builder) plugins() {
	for name, cfg := range b.cfg.Plugins {
		if err := pluginhost.Check(cfg, b.cfg.ResolvePath); err != nil {
			key := ".command"
			if cfg.Headers.On() {
				key = ".headers"
			}
			b.problem("plugins."+name+key, "%v", err)
		}
		for i, path := range cfg.Sandbox.Write {
			if isRoot(b.cfg.ResolvePath(path)) {
				b.warning(fmt.Sprintf("plugins.%s.sandbox.write[%d]", name, i), "%q: is the whole file system, so the plugin may change every file that its user may; want the directories that it needs", path)
			}
		}
		if cfg.OnError == config.OnErrorAllow && b.old == nil {
			b.log.Warn("plugin fails open: what it is away or late for is let in", "plugin", name)
		}
	}
	for _, err := range pluginhost.Contested(b.cfg.Plugins) {
		b.pluginProblem(err, ".headers")
	}
}

// isRoot says whether a path is the root of the file system, links resolved.
func isRoot(path string) bool {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return filepath.Clean(path) == "/"
}

// judgement is what plugins have said of a connection.
type judgement struct {
	chain    *pluginhost.Chain
	version  uint64
	decision pluginhost.Decision
}

// current says whether it is of this chain, which has taken nothing back since.
func (j *judgement) current(chain *pluginhost.Chain) bool {
	return j != nil && j.chain == chain && j.version == chain.Version()
}

// holds says whether it is good for another request. A refusal always is. What came
// in because a plugin gave no verdict never is: the plugin may deny it, once it can
// be asked.
func (j *judgement) holds(chain *pluginhost.Chain) bool {
	return j != nil && (j.decision.Outcome != pluginhost.Admitted || !j.decision.Open && j.current(chain))
}

// authorize asks the listener's plugins whether an authenticated client may come
// in. The connection stays in either case: the answer is for its first request.
func (s *Server) authorize(c *Conn) *reason.Error {
	c.facts.Store(s.factsOf(c))
	chain, ok := c.enterChain()
	if chain == nil {
		return nil
	}
	if !ok {
		return reason.Errorf(reason.PluginUnavailable, "the listener is gone")
	}
	defer chain.Leave()
	c.judging.Lock()
	defer c.judging.Unlock()
	j := &judgement{}
	if s.traces(c) {
		j.decision.Told = noted(&c.verdicts)
	}
	s.judgeConnection(c, chain, j)
	j.decision.Told = nil
	c.judgement.Store(j)
	return refusedBy(&j.decision)
}

// judgeConnection asks the plugins about a connection. The caller holds c.judging.
// A connection that is judged anew has done nothing anew: of a hint only what is
// beyond the ones before counts, or a plugin's restart would ban its clients.
func (s *Server) judgeConnection(c *Conn, chain *pluginhost.Chain, j *judgement) {
	j.chain, j.version = chain, chain.Version()
	chain.Connection(c.facts.Load(), &j.decision)
	if weight := j.decision.Ban; weight > c.hinted {
		s.hintBan(c, weight-c.hinted)
		c.hinted = weight
	}
}

// refusedBy is the refusal that a decision comes to, nil for none.
func refusedBy(d *pluginhost.Decision) *reason.Error {
	switch d.Outcome {
	case pluginhost.Admitted:
		return nil
	case pluginhost.Denied:
		return reason.Errorf(reason.ClientCertRejected, "plugin %s: %s", d.Plugin, d.Reason)
	}
	return reason.Errorf(reason.PluginUnavailable, "plugin %s: %v", d.Plugin, d.Failure)
}

// factsOf is what plugins may be told of a connection whose handshake is done. Who
// the client is, they are told only where the edge knows.
func (s *Server) factsOf(c *Conn) *pluginhost.Connection {
	f := &pluginhost.Connection{
		ID:         c.traceID,
		Client:     c.client,
		Server:     c.server,
		Listener:   c.policy.name,
		ServerName: c.hello.serverName,
		JA4:        c.hello.ja4,
	}
	if c.tls != nil {
		state := c.tls.ConnectionState()
		f.ALPN, f.Resumed = state.NegotiatedProtocol, state.DidResume
		f.TLSVersion, f.CipherSuite = tlsNames(&state)
	}
	if c.verified == nil {
		return f
	}
	f.Chain, f.NotAfter = c.verified.Path, c.verified.NotAfter
	name := c.admission.mutual.TrustStore
	f.Epoch = func() pluginhost.Epoch {
		g := s.generation.Load()
		store := g.stores[name]
		if store == nil {
			return pluginhost.Epoch{}
		}
		return pluginhost.Epoch{Store: g.storeNumbers[store], Generation: store.Generation()}
	}
	return f
}

// enterChain returns the chain of the listener's plugins, nil if it has none. It is
// not ok if the chain is that of a listener that is gone; else it must be left.
func (c *Conn) enterChain() (chain *pluginhost.Chain, ok bool) {
	// A chain that cannot be entered has just been replaced, and is looked up again.
	for range 2 {
		if chain = c.socket.policy.Load().chain; chain == nil || chain.Enter() {
			return chain, true
		}
	}
	return chain, false
}

// hintBan tells of failures that a plugin has seen in what a client does: once for
// each request or response that a verdict is applied to, whether the plugin was
// asked or a kept verdict has answered. They count for this connection's own
// address, whoever was the first to get that verdict.
func (s *Server) hintBan(c *Conn, weight int) {
	if weight > 0 {
		s.bans.keeper.Observe(ban.Observation{
			Addr:     c.client.Addr(),
			Direct:   !c.peer.IsValid(),
			Code:     reason.ClientCertRejected,
			Verified: c.verified != nil,
			Failures: weight,
		})
	}
}

// judge puts a connection's requests before its listener's plugins.
type judge struct {
	s *Server
	c *Conn
}

// ruling is what plugins say of one request.
type ruling struct {
	chain    *pluginhost.Chain
	request  pluginhost.Request
	decision pluginhost.Decision
	response pluginhost.Decision
}

// note has what plugins say of the request noted in its trace.
func (r *ruling) note(j *proxy.Judged) {
	r.decision.Told = func(plugin string, h pluginhost.Hook, o pluginhost.Outcome, begun time.Time, took time.Duration) {
		j.Note(accesslog.Verdict{Plugin: plugin, Hook: h.String(), Outcome: o.String(), Begun: begun, Took: took})
	}
	r.response.Told = r.decision.Told
}

var rulings = sync.Pool{New: func() any { return new(ruling) }}

// Request asks about a request, and first about its connection, if that has not
// been judged by the plugins in force.
func (g judge) Request(r *proxy.Judged) {
	c := g.c
	if j := c.judgement.Load(); j != nil && j.decision.Outcome != pluginhost.Admitted {
		refuseFor(r, &j.decision)
		r.Close = true
		c.finish() // behind this answer
		return
	}
	chain, ok := c.enterChain()
	switch {
	case chain == nil:
		r.Admitted = true // a reload has just taken the plugins off the listener
		return
	case !ok:
		r.Reason, r.Close = proxy.ReasonPluginUnavailable, true
		return
	}
	rule := rulings.Get().(*ruling)
	rule.chain = chain
	r.State = rule
	j, refused := g.connection(chain)
	if refused != nil {
		refuseFor(r, refused)
		return
	}
	rule.request = pluginhost.Request{Head: r.Head, Secure: r.Listener.Secure, Passed: r, ID: r}
	d := &rule.decision
	if r.Traced() {
		rule.note(r)
	}
	chain.Request(c.facts.Load(), &rule.request, j.decision.Edits, d)
	g.s.hintBan(c, d.Ban)
	if d.Outcome != pluginhost.Admitted {
		refuseFor(r, d)
		return
	}
	r.Admitted, r.Edits, r.Decisive = true, d.Edits, chain
}

// connection returns what the plugins in force say of the connection. One that
// they deny after it was let in ends.
func (g judge) connection(chain *pluginhost.Chain) (*judgement, *pluginhost.Decision) {
	c := g.c
	before := c.judgement.Load()
	if before.holds(chain) {
		return before, nil
	}
	c.judging.Lock()
	defer c.judging.Unlock()
	j := c.judgement.Load()
	// Requests that come while the plugins are being asked share what comes of it, also
	// that there was no verdict: else each in turn would wait for a plugin that is late.
	if !j.holds(chain) && (j == before || !j.current(chain)) {
		j = &judgement{}
		g.s.judgeConnection(c, chain, j)
	}
	switch j.decision.Outcome {
	case pluginhost.Admitted:
		c.judgement.Store(j)
		return j, nil
	case pluginhost.Denied:
		c.judgement.Store(j)
		c.endSoon(connlog.PolicyChanged, refusedBy(&j.decision).Cause.Error())
	}
	return nil, &j.decision // and if no plugin answers, the next request asks again
}

// refuseFor refuses a request as the plugins have decided.
func refuseFor(r *proxy.Judged, d *pluginhost.Decision) {
	r.Admitted = false
	if d.Outcome == pluginhost.Denied {
		r.Status, r.Reason, r.Answer = d.Status, proxy.ReasonPluginDenied, d.Edits
		r.Detail = d.Plugin + ": " + d.Reason
		return
	}
	r.Reason, r.RetryAfter = proxy.ReasonPluginUnavailable, true
	r.Detail = fmt.Sprintf("%s: %v", d.Plugin, d.Failure)
}

// Response asks how the response is to change.
func (g judge) Response(r *proxy.Judged, response *http1.Response) {
	rule, ok := r.State.(*ruling)
	if !ok {
		return
	}
	d := &rule.response
	rule.chain.Response(g.c.facts.Load(), &rule.request, response, d)
	g.s.hintBan(g.c, d.Ban)
	if d.Outcome != pluginhost.Admitted {
		refuseFor(r, d)
		return
	}
	r.ResponseEdits = d.Edits
}

// Answered tells the plugins that observe.
func (g judge) Answered(r *proxy.Judged, response *http1.Response) {
	if rule, ok := r.State.(*ruling); ok && rule.request.Head != nil {
		rule.chain.Observe(g.c.facts.Load(), &rule.request, response)
		rule.request.Head = nil
	}
}

// Over ends what Request began.
func (g judge) Over(r *proxy.Judged) {
	rule, ok := r.State.(*ruling)
	if !ok {
		return
	}
	g.Answered(r, nil)
	rule.chain.Leave()
	*rule = ruling{}
	rulings.Put(rule)
}

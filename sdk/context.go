package sdk

import (
	"context"
	"sync"
	"time"
)

// callContext is the context of one call. Most hooks never look at theirs, so it
// costs nothing until then, and one that was not looked at is used again.
//
// In a session that handles calls in order, nobody reads what the edge sends while
// a hook runs; watch, called when the context is first looked at, begins to.
type callContext struct {
	base  context.Context
	watch func(cancel context.CancelFunc) (stop func())

	mu     sync.Mutex
	live   bool
	inner  context.Context
	cancel context.CancelFunc
	stop   func()
}

// begin gives the context of a new call: this one, if nobody can hold on to it.
func (c *callContext) begin() *callContext {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.live = true
		return c
	}
	return &callContext{base: c.base, watch: c.watch, live: true}
}

// end cancels the context. When it has returned, nobody reads for it any more.
func (c *callContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = false
	if c.cancel != nil {
		c.cancel()
	}
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// abandon cancels the context of a call that goes on.
func (c *callContext) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.real()
	c.cancel()
}

// real makes the context that this one stands for. c.mu is held.
func (c *callContext) real() context.Context {
	if c.inner == nil {
		c.inner, c.cancel = context.WithCancel(c.base)
		if !c.live {
			c.cancel()
		}
	}
	return c.inner
}

func (c *callContext) look() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	inner := c.real()
	if c.live && c.watch != nil && c.stop == nil {
		c.stop = c.watch(c.cancel)
	}
	return inner
}

// Deadline implements context.Context. Only the edge knows it.
func (c *callContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} { return c.look().Done() }

// Err implements context.Context.
func (c *callContext) Err() error { return c.look().Err() }

// Value implements context.Context. It asks the context behind, so that contexts
// derived from this one find it and need no goroutine.
func (c *callContext) Value(key any) any {
	c.mu.Lock()
	at := c.inner
	c.mu.Unlock()
	if at == nil {
		at = c.base
	}
	return at.Value(key)
}

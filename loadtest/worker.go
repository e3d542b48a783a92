package loadtest

import "time"

// worker begins one unit after another.
type worker struct {
	road    *road
	securer *securer
	reader  responseReader
	link    *link     // of scenarios that keep connections
	keeps   *identity // the only client that it comes as; nil: any
	shard   *shard
	outcome outcome
	begun   int64
}

// work takes turns until there are none.
func (w *worker) work(t *turns) {
	for {
		due, ok := t.take()
		if !ok {
			return
		}
		w.begun++
		w.unit(time.Now())
		if w.outcome.err != nil && t.ctx.Err() != nil {
			if t.token != nil {
				w.shard.waited(w.road.plan, time.Since(due), 1)
			}
			return // the run's end broke it off
		}
		if t.token == nil {
			due = w.outcome.begun
		}
		w.shard.record(w.road.plan, due, &w.outcome)
	}
}

// unit does one unit, and leaves what became of it in w.outcome.
func (w *worker) unit(begun time.Time) {
	o := &w.outcome
	*o = outcome{begun: begun}
	if w.link != nil {
		// A request that the server has not taken is to be sent once more (RFC 9113
		// section 6.8), but not for ever: a server could refuse to take any.
		const most = 3
		for attempt := 1; ; attempt++ {
			c := w.link.get(o)
			if c == nil {
				return
			}
			w.link.release(c, c.exchange(&w.link.reader, o))
			if attempt == most || !notTaken(o.err) {
				return
			}
			*o = outcome{begun: begun}
		}
	}
	if c := w.connect(); c != nil {
		c.close()
	}
}

// connect makes a connection and one exchange on it, and returns the connection,
// whatever came of that; nil if there was none.
func (w *worker) connect() *conn {
	w.securer.who = w.keeps
	if w.keeps == nil {
		w.securer.who = w.road.clients.take()
	}
	c := w.road.dial(w.securer, &w.outcome)
	if c == nil {
		return nil
	}
	w.reader.reset(c.tls)
	c.exchange(&w.reader, &w.outcome)
	return c
}

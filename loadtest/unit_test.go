package loadtest

import (
	"context"
	"io"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// TestSeconds wants every second to be told once, as it is in the result but for
// what came after the last.
func TestSeconds(t *testing.T) {
	t.Parallel()
	p := planFor(serve(t, ok), Request)
	p.Pace, p.Count, p.Duration = Pace{Rate: 200}, 0, 1400*time.Millisecond
	var told []Second
	r, err := Run(t.Context(), p, func(s Second) { told = append(told, s) })
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	if !reflect.DeepEqual(told, r.Seconds) || len(told) != 2 {
		t.Errorf("told %+v\nresult %+v", told, r.Seconds)
	}
	if s := r.Seconds[0]; s.P50 <= 0 || s.P99 < s.P50 || s.Max < s.P99 || s.Open != 2 {
		t.Errorf("got %+v", s)
	}
}

// canned is a connection on which every request is answered at once.
type canned struct {
	net.Conn // nil: what else is called shows
	answer   []byte
	pending  int
}

func (c *canned) Read(b []byte) (int, error) {
	if c.pending == 0 {
		return 0, io.EOF
	}
	c.pending--
	return copy(b, c.answer), nil
}
func (c *canned) Write(b []byte) (int, error) { c.pending++; return len(b), nil }
func (*canned) SetDeadline(time.Time) error   { return nil }
func (*canned) Close() error                  { return nil }
func (*canned) Handshake() error              { return nil }
func (*canned) negotiated() (n negotiated)    { return n }

// TestUnitAllocatesNothing has all of the generator's own work for a request on
// a connection that is there: taking a turn, the exchange, and the record of it.
func TestUnitAllocatesNothing(t *testing.T) {
	for name, pace := range map[string]Pace{"closed": {}, "open": {Rate: MaxRate}} {
		p := Plan{Target: "https://127.0.0.1/", Scenario: Request, Connections: 1, Duration: time.Hour}.withDefaults()
		e, err := newEngine(t.Context(), p, netip.AddrPort{})
		if err != nil {
			t.Fatal(err)
		}
		answering := &canned{answer: []byte("HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: 5\r\n\r\nhello")}
		w, l := e.workers[0], e.links[0]
		l.conn = &conn{road: e.road, tls: answering, raw: answering, forget: func() bool { return true }}
		l.reader.reset(answering)
		r := newRecorder(&p, 1)
		w.shard = r.shard(0)
		ctx, cancel := context.WithCancelCause(t.Context())
		turns, err := newTurns(ctx, cancel, pace, time.Hour, MaxCount)
		if err != nil {
			t.Fatal(err)
		}
		turns.begin()
		// Far enough in that none has to be waited for.
		turns.start = turns.start.Add(-time.Minute)
		var units int64
		unit := func() {
			due, ok := turns.take()
			if !ok {
				t.Fatal("no turn")
			}
			w.unit(time.Now())
			w.shard.record(&p, due, &w.outcome)
			units++
		}
		if allocs := testing.AllocsPerRun(1000, unit); allocs != 0 {
			t.Errorf("%s loop: %g allocations a unit", name, allocs)
		}
		var res Result
		r.into(&res)
		if res.Units.Done != units || res.Units.BytesIn != 5*units {
			t.Errorf("%s loop: %d done with %d bytes, want %d: %+v", name, res.Units.Done, res.Units.BytesIn, units, res.Errors)
		}
		turns.close()
		e.end()
	}
}

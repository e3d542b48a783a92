package peers

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// leastCPU is what a window must have cost the server, so that a tick lost at
// either end is 2.5 percent at most.
const leastCPU = 40 * tick

// longest is how long a window may get to cost that.
const longest = 20 * time.Second

// measure loads a server that was just started, and returns what the scenario's
// figure came to. A unit that fails is an error.
func (b *bench) measure(ctx context.Context, s *server, sc *scenario) (float64, error) {
	// What was long enough once is where to begin: a window that was too short is
	// time lost.
	turn := [2]string{s.name, sc.name}
	length := max(b.size.length, b.lengths[turn])
	for {
		r, err := b.window(ctx, s, sc, length)
		if err != nil {
			return 0, err
		}
		cpu := r.Server.User + r.Server.System
		if !sc.cpu || cpu >= leastCPU {
			b.lengths[turn] = length
			return sc.figure(r), nil
		}
		if length >= longest {
			return 0, fmt.Errorf("a window of %s and %d units cost %s of CPU: want %s or more", length, r.Units.Done+r.Units.Refused, cpu, leastCPU)
		}
		// Half as much again as it should take, and no more than twenty times.
		factor := min(20, 1.5*float64(leastCPU)/float64(max(cpu, tick)))
		length = min(longest, time.Duration(factor*float64(length)))
	}
}

// window starts a server, loads it, and stops it.
func (b *bench) window(ctx context.Context, s *server, sc *scenario, length time.Duration) (*loadtest.Result, error) {
	dir := b.fewDir
	if sc.many {
		dir = b.manyDir
	}
	r, err := b.start(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	defer r.Stop()
	if err := b.proveRevocation(ctx, s, r); err != nil {
		return nil, err
	}
	plan := loadtest.Plan{
		Name:        s.name + ", " + sc.name,
		Target:      "https://" + r.site.Address + plainPath,
		Headers:     map[string]string{"Host": r.site.Name()},
		ServerName:  serverName,
		Clients:     []tls.Certificate{b.authority.good},
		Roots:       b.authority.roots,
		TLSVersion:  "1.3",
		Groups:      []string{"x25519"},
		Connections: 8,
		WarmUp:      b.size.warmUp,
		Duration:    length,
		Timeout:     stall,
		PID:         r.PID,
	}
	sc.plan(b, &plan)
	if sc.fresh {
		if err := b.warmUp(ctx, &plan); err != nil {
			return nil, fmt.Errorf("%w%s", err, r.Said())
		}
	}
	profile := b.profile(ctx, s, sc, r, length)
	defer profile.stop()
	result, err := loadtest.Run(ctx, plan, nil)
	if err == nil {
		err = check(result, plan.ExpectRefusal)
	}
	if err == nil {
		err = profile.wait()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // which broke the run off: not the server's fault
	}
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, r.Said())
	}
	b.machine = result.Machine
	return result, nil
}

// warmUp runs a plan's warm-up with a quarter of its clients, and leaves it with
// the others, each of whom may come once.
func (b *bench) warmUp(ctx context.Context, p *loadtest.Plan) error {
	first := len(p.Clients) / 4
	warm := *p
	warm.Clients, warm.Count = p.Clients[:first], int64(first)
	warm.WarmUp, warm.Duration = 0, p.WarmUp
	p.Clients, p.Count, p.WarmUp = p.Clients[first:], int64(len(p.Clients)-first), 0
	_, err := loadtest.Run(ctx, warm, nil)
	return err
}

// check says why a result is none to go by: a figure is of units that all ended
// as the scenario wants.
func check(r *loadtest.Result, refusal bool) error {
	wanted, other := r.Units.Done, r.Units.Refused
	if refusal {
		wanted, other = other, wanted
	}
	switch {
	case r.Server == nil:
		return fmt.Errorf("account the server: %s", strings.Join(r.Warnings, "; "))
	case r.Units.Failed+other > 0:
		var kinds []string
		for _, e := range r.Errors {
			if !e.Refusal || !refusal {
				kinds = append(kinds, fmt.Sprintf("%d %s (%s)", e.Count, e.Kind, e.Example))
			}
		}
		return fmt.Errorf("of %d units %d did not end as they should: %s", r.Units.Due, r.Units.Failed+other, strings.Join(kinds, ", "))
	case wanted == 0:
		return fmt.Errorf("nothing was done in %s", r.Wall)
	}
	return nil
}

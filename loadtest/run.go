package loadtest

import (
	"context"
	"errors"
	"time"
)

// openers is how many connections of scenario idle are opened at once.
const openers = 64

// Run runs a plan, and returns what it measured. each, if it is not nil, is told
// of every second as it is over, by one goroutine at a time; it must return soon.
//
// The end of ctx ends the run early: the result is then of what was done until
// there. The error is of what kept the generator from working: a plan that is
// not valid, files that cannot be read, a target that may not be loaded, no such
// process. What the server does is never an error, but counted.
func Run(ctx context.Context, p Plan, each func(Second)) (*Result, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	p = p.withDefaults()
	address, err := newGuard().resolve(ctx, p)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(ctx, p, address)
	if err != nil {
		return nil, err
	}
	result, err := e.run(each)
	if err != nil {
		return nil, err
	}
	if p.Calibrate && p.Scenario != Idle && ctx.Err() == nil {
		capacity, err := calibrate(ctx, p)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		result.Capacity = capacity
	}
	result.warn(e)
	return result, nil
}

// clockFault is a clock that cannot be used, which ends a run.
type clockFault struct{ error }

// timerError is the clock's, if that is why ctx has ended.
func timerError(ctx context.Context) error {
	var fault clockFault
	if errors.As(context.Cause(ctx), &fault) {
		return fault.error
	}
	return nil
}

// result puts together what a run measured.
func (e *engine) result(started time.Time, p phase, r *recorder, w *watch) *Result {
	res := &Result{
		Version: 1, Name: e.plan.Name, Started: started, Plan: e.plan, Machine: thisMachine(),
		Wall: p.wall, Seconds: w.seconds, Warnings: []string{},
	}
	r.into(res)
	res.Units.Due = p.due
	res.Units.Unfinished = max(0, p.due-res.Units.Done-res.Units.Refused-res.Units.Failed)
	if p.wall > 0 {
		res.Units.Rate = float64(res.Units.Done) / p.wall.Seconds()
	}
	if res.Errors == nil {
		res.Errors = []ErrorCount{}
	}
	units := res.Units.Done + res.Units.Refused
	res.Server, res.Generator = e.meter.server(units), e.meter.generator(units)
	return res
}

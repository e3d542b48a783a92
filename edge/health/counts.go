package health

import (
	"slices"
	"sync/atomic"
)

// counts go on from group to group.
type counts struct {
	open      atomic.Uint64
	ejections atomic.Uint64
	checks    [8]atomic.Uint64 // by place in Results
}

func (c *counts) check(r *result) {
	result := r.reason
	if r.pass {
		result = passed
	}
	if i := slices.Index(Results(), result); i >= 0 {
		c.checks[i].Add(1)
	}
}

// Counts are what a group has counted since the edge was started.
type Counts struct {
	// FailedOpen is requests that went to targets none of which was healthy.
	FailedOpen uint64
	Ejections  uint64
	Checks     map[string]uint64 // by result, of all there are
}

// Counts returns what the group has counted.
func (g *Group) Counts() Counts {
	c := Counts{FailedOpen: g.counts.open.Load(), Ejections: g.counts.ejections.Load(), Checks: map[string]uint64{}}
	for i, result := range Results() {
		c.Checks[result] = g.counts.checks[i].Load()
	}
	return c
}

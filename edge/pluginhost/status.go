package pluginhost

import (
	"slices"
	"strings"
	"time"
)

// Status is what an operator may know of a plugin.
type Status struct {
	Name    string `json:"name"`
	State   State  `json:"state"`
	Trouble string `json:"trouble,omitempty"` // why its process last ended, or was not started
	// NextStart is when one that does not run is started.
	NextStart time.Time `json:"next_start,omitzero"`
	Restarts  uint64    `json:"restarts"`

	// What its HELLO says.
	Program     string   `json:"program"`
	Version     string   `json:"version,omitempty"`
	Hooks       []string `json:"hooks"` // those in use
	Needs       []string `json:"needs"`
	Owns        []string `json:"owns,omitempty"`
	Concurrency int      `json:"concurrency"`

	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started"`
	// StartTook is how long the last start took, from when it was due, in seconds.
	StartTook float64      `json:"start_took_seconds"`
	InFlight  int          `json:"in_flight"`
	Cached    int          `json:"cached"` // verdicts kept now
	Sandbox   []Protection `json:"sandbox,omitempty"`

	Stats        map[string]HookStats `json:"stats"` // by hook
	Observed     uint64               `json:"observed"`
	NotObserved  uint64               `json:"not_observed"`  // left out, as it did not keep up
	LinesDropped uint64               `json:"lines_dropped"` // of its log
}

// Status lists the plugins in force, by name.
func (h *Host) Status() []Status {
	h.mu.Lock()
	list := make([]Status, 0, len(h.plugins))
	for _, p := range h.plugins {
		list = append(list, p.status())
	}
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// shapeStatus is the status of a plugin that is no program.
func (p *Plugin) shapeStatus() Status {
	s := Status{Name: p.name, State: Serving, Program: "headers", Hooks: p.hooks.Names(), Needs: p.known.Needs, Owns: p.known.Owns, Concurrency: 1, Stats: map[string]HookStats{}}
	for h := range hooks {
		if p.asks(h) {
			s.Stats[h.String()] = p.stats.hooks[h].snapshot()
		}
	}
	return s
}

func (p *Plugin) status() Status {
	if p.shape != nil {
		return p.shapeStatus()
	}
	i := p.current.Load()
	s := Status{
		Name:         p.name,
		Program:      i.hello.Name,
		Version:      i.hello.Version,
		Hooks:        p.hooks.Names(),
		Needs:        i.hello.Needs,
		Owns:         i.hello.Owns,
		Concurrency:  i.hello.Concurrency,
		Started:      i.started,
		StartTook:    i.took.Seconds(),
		Stats:        map[string]HookStats{},
		Restarts:     p.stats.restarts.Load(),
		Observed:     p.stats.observed.Load(),
		NotObserved:  p.stats.unobserved.Load(),
		LinesDropped: p.stats.logDropped.Load(),
	}
	p.mu.Lock()
	s.State, s.Trouble = p.state, p.trouble
	if s.State == Waiting || s.State == Degraded {
		s.NextStart = p.next
	}
	p.mu.Unlock()
	if !i.isDead() {
		s.PID = i.process.Pid()
		s.Sandbox = i.process.Report()
		if s.State == Serving && i.breaker.isOpen() {
			s.State = Broken
		}
		i.out.mu.Lock()
		s.InFlight = len(i.waiting)
		i.out.mu.Unlock()
	} else if s.State == Serving {
		s.State = Waiting // its end is just being noticed
	}
	if i.cache != nil {
		s.Cached = i.cache.len()
	}
	for h := range hooks {
		if p.asks(h) {
			s.Stats[h.String()] = p.stats.hooks[h].snapshot()
		}
	}
	return s
}

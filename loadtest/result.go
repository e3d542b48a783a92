package loadtest

import "time"

// Result is what a run measured. Its JSON is what --json prints and what
// sallyload report reads; durations are in nanoseconds.
type Result struct {
	Version int       `json:"version"` // of this format: 1
	Name    string    `json:"name"`    // of the plan, or its target
	Started time.Time `json:"started"`
	Plan    Plan      `json:"plan"`
	Machine Machine   `json:"machine"`

	Wall   time.Duration `json:"wall"` // of the measured part: without warm-up and calibration
	Units  Units         `json:"units"`
	Errors []ErrorCount  `json:"errors"` // most frequent first

	// Latency is of units that were done, from the moment each was due: what a
	// client that does not wait for others would have seen. Those that waited in
	// vain, until the time-out or the end of the run, count as long as they had
	// waited by then, which is less than they would have had to: without them, a
	// server that answers no more would have no latency. Closed-loop load has no
	// such moment; there it equals Service.
	Latency Distribution `json:"latency"`
	// Service is from the moment that a unit was really begun.
	Service Distribution `json:"service"`
	// Refusal is of units that the server refused, as Latency. Where refusals are
	// expected, those that waited in vain are here.
	Refusal Distribution `json:"refusal"`
	// Phases are parts of a unit, from where each began: connect, handshake,
	// first_byte. Only what the scenario has.
	Phases map[string]Distribution `json:"phases"`

	Seconds []Second `json:"seconds"`

	Server    *Usage `json:"server,omitempty"` // nil: no pid was given
	Generator Usage  `json:"generator"`
	// Capacity is what the generator reached against a server of its own that
	// does nothing, units a second; 0 where it was not calibrated.
	Capacity float64  `json:"capacity"`
	Warnings []string `json:"warnings"`
}

// Machine is where a run took place.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// Units are counted by how they ended.
type Units struct {
	Due        int64   `json:"due"`        // by the pace; closed-loop: begun
	Done       int64   `json:"done"`       // with the answer that was wanted
	Refused    int64   `json:"refused"`    // by the server, which said so
	Failed     int64   `json:"failed"`     // in any other way
	Unfinished int64   `json:"unfinished"` // due, but not begun or not at an end when the run was over
	Resumed    int64   `json:"resumed"`    // of Done: on a resumed TLS session
	Rate       float64 `json:"rate"`       // done a second
	BytesIn    int64   `json:"bytes_in"`   // of bodies
	BytesOut   int64   `json:"bytes_out"`
}

// ErrorCount is one kind of refusal or failure, as the client saw it.
type ErrorCount struct {
	Kind    string `json:"kind"`    // "connect refused", "tls alert bad certificate", "status 403", …
	Refusal bool   `json:"refusal"` // the server's own word
	Count   int64  `json:"count"`
	Example string `json:"example"` // the text of one
}

// Distribution sums up a histogram; all zero when nothing was recorded.
type Distribution struct {
	Count int64         `json:"count"`
	Min   time.Duration `json:"min"`
	Mean  time.Duration `json:"mean"`
	P50   time.Duration `json:"p50"`
	P90   time.Duration `json:"p90"`
	P99   time.Duration `json:"p99"`
	P999  time.Duration `json:"p99_9"`
	P9999 time.Duration `json:"p99_99"`
	Max   time.Duration `json:"max"`
	// Curve is the whole of it, for plots: value at rising percentiles.
	Curve []Point `json:"curve,omitempty"`
}

// Point says that so many percent took no longer than Value.
type Point struct {
	Percentile float64       `json:"percentile"` // 0 to 100
	Value      time.Duration `json:"value"`
}

// Second is what happened in one second of the run.
type Second struct {
	At      int           `json:"at"`    // from the start, 0 first
	Asked   float64       `json:"asked"` // units due in it; 0 in closed loop
	Done    int64         `json:"done"`
	Refused int64         `json:"refused"`
	Failed  int64         `json:"failed"`
	P50     time.Duration `json:"p50"` // of Latency, units done in it
	P99     time.Duration `json:"p99"`
	Max     time.Duration `json:"max"`
	Open    int64         `json:"open"` // connections at its end
	CPU     time.Duration `json:"cpu"`  // the server's, in it; 0 without a pid
	RSS     int64         `json:"rss"`  // the server's, bytes; 0 without a pid
}

// Usage is what a process used during the measured part.
type Usage struct {
	PID       int           `json:"pid"`
	User      time.Duration `json:"user"`
	System    time.Duration `json:"system"`
	PerUnit   time.Duration `json:"per_unit"`   // user and system, by units done and refused
	RSSBefore int64         `json:"rss_before"` // bytes
	RSSPeak   int64         `json:"rss_peak"`
	RSSAfter  int64         `json:"rss_after"`
	// RSSPerConnection is what the server grew by for each connection that was
	// still held at the end, in bytes; scenario idle only.
	RSSPerConnection int64 `json:"rss_per_connection,omitempty"`
}

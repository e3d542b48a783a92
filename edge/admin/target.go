package admin

import "time"

// Target is one of a target group. State, reason and description are ALB's.
type Target struct {
	TargetGroup string    `json:"target_group"`
	Target      string    `json:"target"` // its URL
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Description string    `json:"description,omitempty"`
	Since       time.Time `json:"since"` // of the state
	// EjectedUntil is when the target has requests again that it has none of for now
	// as those before failed.
	EjectedUntil time.Time    `json:"ejected_until,omitzero"`
	Requests     int          `json:"requests"` // that are not over
	LastCheck    *HealthCheck `json:"last_check,omitempty"`
}

// HealthCheck is the last check of a target, under the names of the health-check
// log.
type HealthCheck struct {
	Time       time.Time `json:"time"`
	Latency    float64   `json:"latency"`               // in seconds
	Status     string    `json:"status"`                // PASS or FAIL
	StatusCode *int      `json:"status_code,omitempty"` // none: there was no answer
	ReasonCode string    `json:"reason_code,omitempty"`
	Detail     string    `json:"detail,omitempty"`
}

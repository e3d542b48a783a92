package admin

import "time"

// State is what an edge is doing.
type State string

const (
	Starting State = "starting"
	Ready    State = "ready"
	Draining State = "draining"
)

// Status is what an edge says of itself.
type Status struct {
	State         State     `json:"state"`
	Version       string    `json:"version"`
	PID           int       `json:"pid"`
	Started       time.Time `json:"started"`
	Configuration string    `json:"configuration"` // the file
	Generation    uint64    `json:"generation"`    // counts the configurations put in force
	LoadedAt      time.Time `json:"loaded_at"`

	MemoryLimit MemoryLimit  `json:"memory_limit,omitzero"`
	Rights      Rights       `json:"rights"`
	Predecessor *Predecessor `json:"predecessor,omitempty"`

	ReloadError string     `json:"reload_error,omitempty"` // why the last reload was refused
	Listeners   []Listener `json:"listeners"`
	Targets     []Target   `json:"targets,omitempty"`
	Bans        *BanStatus `json:"bans,omitempty"`
	Steering    *Steering  `json:"steering,omitempty"`
	Problems    []string   `json:"problems,omitempty"` // what an operator should look at
}

// MemoryLimit is near what amount of memory garbage is collected whatever that
// takes. The zero MemoryLimit is none.
type MemoryLimit struct {
	Bytes  int64  `json:"bytes"`
	Source string `json:"source"` // who says so: a file of a cgroup's, or GOMEMLIMIT
}

// Listener is an address that the edge listens on.
type Listener struct {
	Name        string `json:"name"`
	Address     string `json:"address"`
	Protocol    string `json:"protocol"`
	Mode        string `json:"mode"`
	TrustStore  string `json:"trust_store,omitempty"`
	Connections int    `json:"connections"`
}

// Connection is an open one.
type Connection struct {
	TraceID    string    `json:"conn_trace_id"`
	Accepted   time.Time `json:"accepted"`
	Listener   string    `json:"listener"`
	Client     string    `json:"client"`
	State      string    `json:"state"` // handshake, open or ending
	TLS        string    `json:"tls_protocol,omitempty"`
	ServerName string    `json:"server_name,omitempty"`
	Subject    string    `json:"leaf_client_cert_subject,omitempty"`
	Serial     string    `json:"leaf_client_cert_serial_number,omitempty"`
	Requests   int64     `json:"requests"`
	Received   int64     `json:"received_bytes"`
	Sent       int64     `json:"sent_bytes"`
}

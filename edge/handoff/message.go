package handoff

import (
	"encoding/json"
	"fmt"
)

// Version is that of the protocol. Two programs with different ones cannot hand
// over to each other: the older one goes on until it is restarted.
const Version = 1

// Kind says what a message is.
type Kind uint8

// The kinds, in the order in which they are sent; the package says by whom.
const (
	Hello Kind = iota + 1
	Lock
	Socket
	Given
	Prepared
	Sessions
	Settled
	Ready
	Bans
	Go
	Serving
	Left
	Draining
	Drain // of the predecessor: it was told to end meanwhile, so the successor is to
	Failed
	Scores // after Left, if the successor's Hello takes them
	kinds
)

var kindNames = [kinds]string{"", "Hello", "Lock", "Socket", "Given", "Prepared", "Sessions", "Settled",
	"Ready", "Bans", "Go", "Serving", "Left", "Draining", "Drain", "Failed", "Scores"}

// String returns the kind's name.
func (k Kind) String() string {
	if k == 0 || k >= kinds {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// The bodies of messages. Those that are not here have none, or are bytes.
type (
	// HelloBody introduces a successor.
	HelloBody struct {
		Protocol int    `json:"protocol"` // Version
		PID      int    `json:"pid"`
		Program  string `json:"program"` // its version, for people
		// Scores says that it knows that kind, which Version 1 did not have at first.
		Scores bool `json:"scores,omitempty"`
	}
	// SocketBody says what a descriptor is.
	SocketBody struct {
		Role    Role   `json:"role"`
		Address string `json:"address"` // as configured
	}
	// GivenBody is what a successor cannot see of the predecessor.
	GivenBody struct {
		Tenant string `json:"tenant,omitempty"` // a plugin that could share its ports
	}
	// ReadyBody says which sockets the successor has taken over.
	ReadyBody struct {
		Taken []SocketBody `json:"taken"`
	}
	// LeftBody says whether it takes what the successor tells of bans, which
	// Version 1 did not at first.
	LeftBody struct {
		Bans bool `json:"bans,omitempty"`
	}
	// DrainingBody is how many connections the predecessor still has, and what
	// those have that it has taken over from and that drain, too.
	DrainingBody struct {
		Connections int           `json:"connections"`
		Earlier     []EarlierBody `json:"earlier,omitempty"` // the latest first
	}
	// EarlierBody is a process that drains.
	EarlierBody struct {
		PID         int `json:"pid"`
		Connections int `json:"connections"`
	}
	// FailedBody is why a successor gives up.
	FailedBody struct {
		Cause string `json:"cause"`
	}
)

// Role is what a listening socket is for.
type Role string

// The roles.
const (
	Listener Role = "listener"
	Admin    Role = "admin"
	Metrics  Role = "metrics"
)

// Decode fills v with the body of m.
func (m *Message) Decode(v any) error {
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("decode message %v: %w", m.Kind, err)
	}
	return nil
}

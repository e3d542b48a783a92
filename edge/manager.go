package edge

import "net"

// Manager is told what the service manager of the process wants to know: systemd,
// say. Its methods do not block for long.
type Manager interface {
	// Stage is what the edge does now, while it starts or hands over: one of the
	// Stage constants.
	Stage(string)
	// Ready is that this process serves.
	Ready()
	// HandOver is that the process of that id serves now instead of this one.
	HandOver(pid int)
	// Stopping is that this process drains, and nobody takes its place.
	Stopping()
	// Keep leaves a listening socket with the manager under a name, so that it
	// outlives the process; Forget takes it back.
	Keep(name string, l net.Listener)
	Forget(name string)
}

// The stages of a process that takes another one's place.
const (
	StageStarted  = "takes over: started"
	StageSockets  = "takes over: has the sockets"
	StagePrepared = "takes over: configuration loaded"
	StageSettled  = "takes over: has the sessions"
	StageOpened   = "takes over: everything is open"
	StageReady    = "takes over: ready"
	StageGo       = "takes over: told to go on"
)

// noManager is there where no service manager is.
type noManager struct{}

func (noManager) Stage(string)              {}
func (noManager) Ready()                    {}
func (noManager) HandOver(int)              {}
func (noManager) Stopping()                 {}
func (noManager) Keep(string, net.Listener) {}
func (noManager) Forget(string)             {}

// keepSockets leaves the listening sockets with the service manager, for the case
// that this process dies. The caller holds mu.
func (s *Server) keepSockets() {
	for address, r := range s.sockets {
		s.manager.Keep(storedName(address), r.net)
	}
}

package launch

import "time"

// orders are what the edge tells the launcher, and the launcher the stage: one
// JSON value. The edge has decided everything; the others have nothing to look up.
type orders struct {
	Name    string
	Path    string // what to execute; argv[0] is Args[0]
	Args    []string
	Env     []string
	Dir     string
	Pinned  bool     // execute the first pinned file instead of Path
	Script  bool     // and leave it open to the interpreter
	Files   []string // that the command names
	Sandbox Sandbox

	Own            bool // run as UID and GID
	UID, GID       int
	Cgroup         string // directory; empty is none
	CgroupWhyNot   string // why none, or which limits it lacks; empty is all there
	CgroupDetail   string // the limits it has
	MemoryByCgroup bool
	TasksByCgroup  bool

	Launcher int // process id, which the stage checks its parent against
}

// notice is what the launcher tells the edge, each a JSON value: Refused, or
// Started and then Ended.
type notice struct {
	Refused string   `json:",omitempty"` // why the program was not executed
	Started *started `json:",omitempty"`
	Ended   *ended   `json:",omitempty"`
}

type started struct {
	PID    int
	Report SandboxReport
}

type ended struct {
	Status int           // exit status
	Signal int           // or the signal that killed it
	Ran    time.Duration // since it was executed
	Said   string        // its last line on standard error
}

// verdict is what the stage tells the launcher before it becomes the program. Then
// its end of the socket closes by itself; with an Error before that, if the exec
// failed.
type verdict struct {
	Report SandboxReport `json:",omitempty"`
	Error  string        `json:",omitempty"`
}

// pinsVariable tells launcher and stage how many pinned files they have: they must
// not take the Go runtime's descriptors for some.
const pinsVariable = "SALLYPORT_PLUGIN_PINS"

// Descriptors of the launcher, and of the stage.
const (
	dataFD    = DataFD
	controlFD = 4 // a socket: orders in, notices or verdicts out
	pinnedFD  = 5 // and those after it: as many as the variable pinsVariable says
	// The program's own, and those after it.
	scriptFD = 4
	// highFD is above all that are passed on.
	highFD = 32
)

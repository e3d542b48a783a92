package launch

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Sandbox says what a program may do beyond the least: to read the system's
// libraries and programs, Spec.Dir and the files of its command, and to speak on
// the descriptors it was given. The zero value is the strictest.
type Sandbox struct {
	// Read and Write are absolute paths of files, or of directories with all that is
	// in them, that may be read and executed; and read, executed and written. They
	// must exist.
	Read, Write []string
	// Network grants sockets, connections and name resolution. Without it no socket
	// but a unix one of streams or packets can be made, and none can be connected: a
	// local daemon that trusts whoever reaches its socket would be a way out.
	Network bool
	// User is whom the program runs as: "name", "name:group", "uid:gid", or
	// "dynamic", a user id of 61184 to 65519 that nothing else uses. Empty is the
	// edge's own user: then the edge's files and processes are protected by landlock
	// and seccomp alone. A user that the edge may not change to, and root, are refused.
	User string
	// Memory in bytes, at least 16 MiB, is of all of the plugin's processes where
	// there is a cgroup with the memory controller, else of each process's data
	// (RLIMIT_DATA, of which a Go program takes 64 MiB at its start). 0 is no limit.
	Memory int64
	// Tasks bounds processes and threads; 0 is 256, negative no limit.
	Tasks int
	// CPU is a number of cores, such as 0.5; 0 is no limit.
	CPU float64
	// OpenFiles is RLIMIT_NOFILE; 0 is 1024.
	OpenFiles int
	// AllFiles and AllSyscalls turn landlock and seccomp off.
	AllFiles, AllSyscalls bool
	// Require names the measures without which the program must not be started.
	Require []string
}

// The names of measures.
const (
	MeasureUser         = "user"         // a user of its own
	MeasureCapabilities = "capabilities" // none, and none to be had
	MeasureNoNewPrivs   = "no_new_privs" // set-user-id programs give nothing
	MeasureLimits       = "limits"       // rlimits
	MeasureCgroup       = "cgroup"       // a cgroup of its own, with all limits asked for
	MeasureLandlock     = "landlock"     // files
	MeasureSeccomp      = "seccomp"      // system calls
	MeasureNetwork      = "network"      // none
)

// Measures are all names of measures, in the order of a report.
var Measures = []string{MeasureUser, MeasureCapabilities, MeasureNoNewPrivs, MeasureLimits, MeasureCgroup, MeasureLandlock, MeasureSeccomp, MeasureNetwork}

// Measure is one thing that a sandbox does.
type Measure struct {
	Name    string `json:"name"`
	InForce bool   `json:"in_force"`
	Detail  string `json:"detail"` // how far, or why not
}

// SandboxReport says of every measure whether it is in force.
type SandboxReport []Measure

// InForce is false for what is not in the report.
func (r SandboxReport) InForce(measure string) bool {
	i := slices.IndexFunc(r, func(m Measure) bool { return m.Name == measure })
	return i >= 0 && r[i].InForce
}

func (r *SandboxReport) add(name string, inForce bool, format string, args ...any) {
	*r = append(*r, Measure{Name: name, InForce: inForce, Detail: fmt.Sprintf(format, args...)})
}

// missing is an error for the first measure required that is not in force.
func (r SandboxReport) missing(required []string) error {
	for _, name := range required {
		if r.InForce(name) {
			continue
		}
		detail := "not in the report"
		if i := slices.IndexFunc(r, func(m Measure) bool { return m.Name == name }); i >= 0 {
			detail = r[i].Detail
		}
		return fmt.Errorf("sandbox measure %s is required and not in force: %s", name, detail)
	}
	return nil
}

const (
	defaultTasks     = 256
	defaultOpenFiles = 1024
	leastMemory      = 16 << 20
)

func (s *Sandbox) check() error {
	for _, path := range slices.Concat(s.Read, s.Write) {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("sandbox path %q: want an absolute path", path)
		}
	}
	for _, name := range s.Require {
		if !slices.Contains(Measures, name) {
			return fmt.Errorf("sandbox measure %q: want one of %q", name, Measures)
		}
	}
	if s.Memory != 0 && s.Memory < leastMemory {
		return fmt.Errorf("sandbox memory %d bytes: want 0 or at least %d", s.Memory, leastMemory)
	}
	if s.CPU < 0 || s.CPU != 0 && s.CPU < 0.01 || s.CPU > 1e6 {
		return fmt.Errorf("sandbox cpu %v cores: want 0 or at least 0.01", s.CPU)
	}
	// The stage itself needs a few descriptors, and so does any runtime.
	if s.OpenFiles != 0 && s.OpenFiles < 16 {
		return fmt.Errorf("sandbox open files %d: want 0 or at least 16", s.OpenFiles)
	}
	if s.Tasks == 0 {
		s.Tasks = defaultTasks
	}
	if s.OpenFiles == 0 {
		s.OpenFiles = defaultOpenFiles
	}
	return nil
}

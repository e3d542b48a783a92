package config

import "slices"

// PluginSandbox is how a plugin's program is confined, beyond what always is: no
// capabilities, no more privileges, files and system calls.
type PluginSandbox struct {
	// Require refuses to start the program unless all that is promised of its
	// sandbox is in force: what always is, no network where none is granted, the
	// user that is named, and the bounds of memory, cpu and tasks. Without it
	// "sallyport plugins" says what is not, and why. Default false.
	Require bool `yaml:"require"`
	// CPU is how many processors' time the program may use, such as 0.5; 0 is no
	// bound. It takes a cgroup. Default 0.
	CPU Cores `yaml:"cpu"`
	// Tasks is how many processes and threads it may have; 0 is no bound. It takes
	// a cgroup, or a user of its own. Default 256.
	Tasks int `yaml:"tasks"`
	// Write are files and directories, which must be there, that it may change.
	// Default none.
	Write []string `yaml:"write"`
}

func (s *PluginSandbox) setDefaults() { *s = PluginSandbox{Tasks: 256} }

// Cores is a number of processors in thousandths; it is written 2 or 0.5.
type Cores int

func (c Cores) String() string { return Weight(c).String() }

// MarshalText writes a number of processors as UnmarshalText reads it.
func (c Cores) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a number of at most 1000, with at most three decimals.
func (c *Cores) UnmarshalText(text []byte) error { return (*Weight)(c).UnmarshalText(text) }

// leastCores is the least that a cgroup can give.
const leastCores Cores = 10

func (v *validator) sandbox(path string, s PluginSandbox) {
	if s.CPU != 0 && s.CPU < leastCores {
		v.errorf(child(path, "cpu"), "%v: want 0 or at least %v", s.CPU, leastCores)
	}
	v.from(child(path, "tasks"), s.Tasks, 0, 1<<22)
	v.unique(child(path, "write"), s.Write, same)
}

// pinned judges what is pinned of a command's arguments.
func (v *validator) pinned(path string, p Plugin) {
	for _, name := range sorted(p.Pinned) {
		if len(p.Command) == 0 || !slices.Contains(p.Command[1:], name) {
			v.errorf(child(path, name), "want an argument of the command, as it stands there")
		}
	}
}

package launch

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
)

// Spec says what to run.
type Spec struct {
	// Name is the plugin's, for logs, cgroup and errors: letters, digits, '.', '_'
	// and '-', at most 64.
	Name string
	// Command is the program and its arguments. A program with a slash is taken
	// relative to Dir, one without is looked for in the PATH of Env. The program and
	// the files that arguments name may be read in the sandbox.
	Command []string
	// Dir is the plugin's own directory, absolute: its working directory, which it
	// may read. Empty is none. Keep secrets of the edge out of it.
	Dir string
	// SHA256 pins the program, in hex; empty does not. What is hashed is what is
	// run: a sealed copy in memory, of a binary or of a script whose first line
	// begins with #!. An interpreter named in Command is a program like any other:
	// to pin what it runs, see Pinned.
	SHA256 string
	// Pinned has the SHA-256, in hex, of files among the arguments, by the argument.
	// The program gets the names of sealed copies in the place of theirs: so it reads
	// what was hashed, and finds nothing beside it. What a script imports or opens by
	// other names is not pinned.
	Pinned map[string]string
	// Env has NAME=VALUE entries for the program's environment; see Environment.
	Env []string
	// Sandbox's zero value is the strictest.
	Sandbox Sandbox
	// StartTimeout is until the program must have been executed; 0 is 10 seconds.
	StartTimeout time.Duration
}

// Options are the edge's, the same for all plugins.
type Options struct {
	// Launcher is the command of the launcher; none is this very executable with the
	// argument plugin-run. It has to end in a call of Run.
	Launcher []string
	// RunDir is a directory of the edge's own for sockets and locks. It is made, with
	// mode 0700, if it is not there. Edges may share it, one user's only. It must be
	// short: a path of a socket has 107 bytes.
	RunDir string
	// Cgroup is the directory of a cgroup (v2) to make the plugins' groups in; empty
	// is the edge's own, or the one above if it was delegated to the edge.
	Cgroup string
	// Log gets what the program writes, with the plugin's name. Nil discards it.
	Log *slog.Logger
}

const defaultStartTimeout = 10 * time.Second

// check completes the spec or says what is wrong with it.
func (s *Spec) check() error {
	if s.Name == "" || len(s.Name) > 64 || strings.Trim(s.Name, nameBytes) != "" || s.Name[0] == '.' {
		return fmt.Errorf("plugin name %q: want 1 to 64 letters, digits, '.', '_' and '-', no '.' first", s.Name)
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		return errors.New("command is empty: want a program and its arguments")
	}
	for _, arg := range s.Command {
		if strings.ContainsRune(arg, 0) {
			return fmt.Errorf("argument %q: has a NUL byte", arg)
		}
	}
	if s.Dir != "" && !filepath.IsAbs(s.Dir) {
		return fmt.Errorf("directory %q: want an absolute path", s.Dir)
	}
	if s.StartTimeout < 0 {
		return fmt.Errorf("start timeout %v: want 0 or more", s.StartTimeout)
	}
	if s.StartTimeout == 0 {
		s.StartTimeout = defaultStartTimeout
	}
	return s.Sandbox.check()
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

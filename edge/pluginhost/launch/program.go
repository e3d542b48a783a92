package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// largestProgram bounds the copy in memory of a pinned program.
const largestProgram = 1 << 30

// program is what to execute.
type program struct {
	path    string
	pinned  *os.File   // a sealed copy to execute instead of what is at path; nil is none
	script  bool       // the copy is a script, whose interpreter has to open it
	node    bool       // the interpreter, of that or of an argument, is Node
	swapped []int      // arguments that are pinned
	copies  []*os.File // of them
}

// pins are all sealed copies, that of the program first.
func (p *program) pins() []*os.File {
	if p.pinned == nil {
		return p.copies
	}
	return append([]*os.File{p.pinned}, p.copies...)
}

func (p *program) close() {
	for _, f := range p.pins() {
		f.Close()
	}
}

// findProgram finds the file of a command, as the program's own environment has it.
func findProgram(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if filepath.IsAbs(name) {
			return name, executable(name)
		}
		if dir == "" {
			return "", fmt.Errorf("program %q: a relative path, and the plugin has no directory that it could be relative to", name)
		}
		path := filepath.Join(dir, name)
		return path, executable(path)
	}
	list, _ := lookup(env, "PATH")
	for _, folder := range filepath.SplitList(list) {
		// An entry that is relative means another file wherever the edge was started.
		if path := filepath.Join(folder, name); filepath.IsAbs(path) && executable(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %q: not in the PATH of the plugin, %q", name, list)
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("find program: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("program %q: not a regular file", path)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("program %q: not executable", path)
	}
	return nil
}

// argumentFiles are the files that a command names, which its program may read.
// Of those that are pinned it has copies.
func argumentFiles(spec *Spec) []string {
	var files []string
	for _, arg := range spec.Command[1:] {
		if _, pinned := spec.Pinned[arg]; pinned {
			continue
		}
		arg = argumentPath(arg, spec.Dir)
		if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
			files = append(files, arg)
		}
	}
	return files
}

// argumentPath is the file that an argument names to a program in dir, if it does.
func argumentPath(arg, dir string) string {
	if filepath.IsAbs(arg) {
		return arg
	}
	return filepath.Join("/", dir, arg)
}

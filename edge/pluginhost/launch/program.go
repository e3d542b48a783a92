package launch

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// largestProgram bounds the copy in memory of a pinned program.
const largestProgram = 1 << 30

// program is what to execute.
type program struct {
	path   string
	pinned *os.File // a sealed copy to execute instead of what is at path; nil is none
	script bool     // the copy is a script, whose interpreter has to open it
	node   bool     // that interpreter is Node
}

func (p *program) close() {
	if p.pinned != nil {
		p.pinned.Close()
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

// openProgram finds the program and, if it is pinned, makes the copy that was
// hashed. Hashing the file and executing its path, or the file itself, would leave
// a moment to put another in its place, or other bytes in it.
func openProgram(spec *Spec, env []string) (*program, error) {
	path, err := findProgram(spec.Command[0], spec.Dir, env)
	if err != nil || spec.SHA256 == "" {
		return &program{path: path}, err
	}
	want, err := hex.DecodeString(spec.SHA256)
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("checksum %q: want %d hexadecimal digits of SHA-256", spec.SHA256, 2*sha256.Size)
	}
	// Not to wait for a writer, if it is a pipe by now.
	original, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open program: %w", err)
	}
	defer original.Close()
	if info, err := original.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("program %q: not a regular file", path)
	}
	p := &program{path: path}
	if err := p.seal(original, want); err != nil {
		return nil, fmt.Errorf("pin program %s: %w", path, err)
	}
	return p, nil
}

func (p *program) seal(original io.Reader, want []byte) error {
	writable, err := memfd()
	if err != nil {
		return err
	}
	defer writable.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(writable, hash), io.LimitReader(original, largestProgram+1))
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	if n > largestProgram {
		return fmt.Errorf("larger than %d bytes", int64(largestProgram))
	}
	if got := hash.Sum(nil); subtle.ConstantTimeCompare(got, want) != 1 {
		return fmt.Errorf("its SHA-256 is %x, and %x is wanted", got, want)
	}
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(writable.Fd(), unix.F_ADD_SEALS, all); err != nil {
		return fmt.Errorf("seal the copy: %w", err)
	}
	// What is open for writing cannot be executed (ETXTBSY).
	p.pinned, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", writable.Fd()))
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	head := make([]byte, 256)
	m, err := p.pinned.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the copy: %w", err)
	}
	line, _, _ := bytes.Cut(head[:m], []byte("\n"))
	p.script = bytes.HasPrefix(line, []byte("#!"))
	p.node = p.script && bytes.Contains(line, []byte("node"))
	return nil
}

func memfd() (*os.File, error) {
	fd, err := unix.MemfdCreate("plugin", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3 has no MFD_EXEC, and needs none
		fd, err = unix.MemfdCreate("plugin", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("make a file in memory that can be executed: %w (sysctl vm.memfd_noexec must be less than 2)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), "plugin"), nil
}

// argumentFiles are the files that a command names, which its program may read.
func argumentFiles(command []string, dir string) []string {
	var files []string
	for _, arg := range command[1:] {
		if !filepath.IsAbs(arg) {
			arg = filepath.Join("/", dir, arg)
		}
		if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
			files = append(files, arg)
		}
	}
	return files
}

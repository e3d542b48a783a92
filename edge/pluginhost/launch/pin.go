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
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// openProgram finds the program and, of it and its arguments, makes copies of what is
// pinned. Hashing a file and executing its path, or the file itself, would leave a
// moment to put another in its place, or other bytes in it.
func openProgram(spec *Spec, env []string) (*program, error) {
	path, err := findProgram(spec.Command[0], spec.Dir, env)
	if err != nil {
		return nil, err
	}
	p := &program{path: path}
	if err := p.pin(spec); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *program) pin(spec *Spec) error {
	if spec.SHA256 != "" {
		var err error
		if p.pinned, err = sealedCopy(p.path, spec.SHA256); err != nil {
			return fmt.Errorf("pin program %s: %w", p.path, err)
		}
		head := make([]byte, 256)
		n, err := p.pinned.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("pin program %s: read the copy: %w", p.path, err)
		}
		line, _, _ := bytes.Cut(head[:n], []byte("\n"))
		p.script = bytes.HasPrefix(line, []byte("#!"))
		p.node = p.script && bytes.Contains(line, []byte("node"))
	}
	for i, arg := range spec.Command {
		want, pinned := spec.Pinned[arg]
		if i == 0 || !pinned {
			continue
		}
		copied, err := sealedCopy(argumentPath(arg, spec.Dir), want)
		if err != nil {
			return fmt.Errorf("pin argument %s: %w", arg, err)
		}
		p.swapped, p.copies = append(p.swapped, i), append(p.copies, copied)
		p.node = p.node || strings.HasPrefix(filepath.Base(p.path), "node")
	}
	for arg := range spec.Pinned {
		if !slices.Contains(spec.Command[1:], arg) {
			return fmt.Errorf("pin %q: want an argument of the command", arg)
		}
	}
	if len(p.copies) > mostPins {
		return fmt.Errorf("%d pinned arguments: want at most %d", len(p.copies), mostPins)
	}
	return nil
}

// arguments are those of the command with the names of copies in place: they follow
// the program's own, if that is a script.
func (p *program) arguments(command []string) []string {
	args := slices.Clone(command)
	at := scriptFD
	if p.script {
		at++
	}
	for _, i := range p.swapped {
		args[i] = fmt.Sprintf("/proc/self/fd/%d", at)
		at++
	}
	return args
}

// mostPins keeps the descriptors of copies below those that a program may have.
const mostPins = 8

// sealedCopy is a copy of a file in memory that nobody can change, if its checksum
// is the one that is wanted.
func sealedCopy(path, sum string) (*os.File, error) {
	want, err := hex.DecodeString(sum)
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("checksum %q: want %d hexadecimal digits of SHA-256", sum, 2*sha256.Size)
	}
	// Not to wait for a writer, if it is a pipe by now.
	original, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer original.Close()
	if info, err := original.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return seal(original, want)
}

func seal(original io.Reader, want []byte) (*os.File, error) {
	writable, err := memfd()
	if err != nil {
		return nil, err
	}
	defer writable.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(writable, hash), io.LimitReader(original, largestProgram+1))
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	if n > largestProgram {
		return nil, fmt.Errorf("larger than %d bytes", int64(largestProgram))
	}
	if got := hash.Sum(nil); subtle.ConstantTimeCompare(got, want) != 1 {
		return nil, fmt.Errorf("its SHA-256 is %x, and %x is wanted", got, want)
	}
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(writable.Fd(), unix.F_ADD_SEALS, all); err != nil {
		return nil, fmt.Errorf("seal the copy: %w", err)
	}
	// What is open for writing cannot be executed (ETXTBSY).
	copied, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", writable.Fd()))
	if err != nil {
		return nil, fmt.Errorf("open the copy: %w", err)
	}
	return copied, nil
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

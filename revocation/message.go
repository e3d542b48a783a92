package revocation

import (
	"fmt"
	"hash"
	"os"
	"runtime"
	"syscall"
)

// message is a tbsCertList on its way to be what signatures are verified with:
// its digest, or where the algorithm has no hash (Ed25519 reads a message twice)
// all of it, in memory or in a file without a name.
type message struct {
	hash hash.Hash
	all  []byte
	file *os.File
	size int64
}

func (m *message) open(a algorithm, d *Dir) (err error) {
	if a.hash != 0 {
		m.hash = a.hash.New()
	} else if d != nil {
		m.file, err = d.nameless()
	}
	return err
}

// Write adds to the message.
func (m *message) Write(b []byte) (int, error) {
	m.size += int64(len(b))
	switch {
	case m.hash != nil:
		return m.hash.Write(b)
	case m.file != nil:
		return m.file.Write(b)
	}
	m.all = append(m.all, b...)
	return len(b), nil
}

// seal gives the list its message, which lives as long as the list.
func (m *message) seal(l *List) error {
	switch {
	case m.hash != nil:
		l.signed = m.hash.Sum(nil)
	case m.file != nil:
		mapped, err := syscall.Mmap(int(m.file.Fd()), 0, int(m.size), syscall.PROT_READ, syscall.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("map signed message: %w", err)
		}
		runtime.AddCleanup(l, func(mapped []byte) { _ = syscall.Munmap(mapped) }, mapped)
		l.signed, l.spooled = mapped, m.size
	default:
		l.signed = m.all
	}
	return nil
}

// discard frees what is not the list's.
func (m *message) discard() {
	if m.file != nil {
		_ = m.file.Close() // a mapping stays
	}
}

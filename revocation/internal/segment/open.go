package segment

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Open maps the segment in a file that [Builder.Build] wrote, and returns the
// head that was given to it. It reads the front of the file only: milliseconds,
// however many entries there are.
//
// A file that is not whole, or of another version, is a [*DamagedError]; one
// that is not there is an [io/fs.ErrNotExist]. A file or a directory is refused
// that is not this user's or root's, or that others may write to: they could
// shorten the file, which would end the process when it is read, or forge it.
func Open(dir, name string) (*Segment, []byte, error) {
	s, head, err := open(dir, name)
	if err != nil {
		return nil, nil, fmt.Errorf("open segment: %w", err)
	}
	return s, head, nil
}

func open(path, name string) (*Segment, []byte, error) {
	if !plainName(name) {
		return nil, nil, fmt.Errorf("%q: want the name of a file, without a directory or %s", name, tempSuffix)
	}
	d, err := openDir(path)
	if err != nil {
		return nil, nil, err
	}
	defer d.close()
	f, err := d.open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return openFile(f, d.join(name))
}

// openFile opens a file that may go by another name yet.
func openFile(f *os.File, path string) (*Segment, []byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := trusted(info); err != nil {
		return nil, nil, fmt.Errorf("%s %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is %v: want a regular file", path, info.Mode().Type())
	}
	size := info.Size()
	h, sums, head, err := readFront(f, size)
	if err != nil {
		return nil, nil, &DamagedError{path, err.Error()}
	}
	body, err := unix.Mmap(int(f.Fd()), int64(h.Front), int(size-int64(h.Front)), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", path, err)
	}
	s := newSegment(h, body)
	freeAfter(s, body)
	s.name, s.disk, s.pages = path, size, newPages(sums)
	s.memory += int64(4 * len(sums))

	// The filter at once, the rest as it is asked for and no page more.
	_ = unix.Madvise(body[:s.hot()], unix.MADV_WILLNEED)
	_ = unix.Madvise(body[s.hot():], unix.MADV_RANDOM)
	if err := s.copyFilter(); err != nil {
		return nil, nil, err
	}
	return s, head, nil
}

// copyFilter takes the filter into memory of the process, where nothing happens to
// it any more: nearly every search ends there, and looks at nothing else.
func (s *Segment) copyFilter() error {
	defer runtime.KeepAlive(s)
	if damage := s.check(s.filter, len(s.bits)); damage != nil {
		return damage
	}
	bits, free, err := newMemory(int64(len(s.bits)))
	if err != nil {
		return err
	}
	copy(bits, s.bits)
	s.bits = bits
	if free != nil {
		freeAfter(s, bits)
	}
	_ = unix.Madvise(s.body[:s.hot()], unix.MADV_RANDOM)
	return nil
}

// hot is where the pages end that most searches come to.
func (s *Segment) hot() int {
	return int(roundUp(int64(s.filter)+int64(s.blocks)*blockSize, pageSize))
}

func readFront(f io.ReaderAt, size int64) (*header, []uint32, []byte, error) {
	start := make([]byte, minFront)
	n, err := f.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, nil, err
	}
	length, err := frontLength(start[:n], size)
	if err != nil {
		return nil, nil, nil, err
	}
	front := make([]byte, length)
	if _, err := f.ReadAt(front, 0); err != nil {
		return nil, nil, nil, fmt.Errorf("read front: %w", err)
	}
	return parseFront(front, size)
}

// freeAfter unmaps the body when nothing refers to s any more.
func freeAfter(s *Segment, body []byte) {
	runtime.AddCleanup(s, func(body []byte) { _ = unix.Munmap(body) }, body)
}

// mapFrom is the size from which a body without a file has pages of its own:
// in Go's heap it would have the garbage collector wait for twice as much.
const mapFrom = 1 << 20

// newMemory returns zeroed memory, and free if it has to be given back.
func newMemory(size int64) (m memory, free func(), err error) {
	if size < mapFrom {
		return make(memory, size), nil, nil
	}
	m, err = unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	return m, func() { _ = unix.Munmap(m) }, nil
}

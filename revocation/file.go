package revocation

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"syscall"
	"time"
)

// keepFrom is the size from which on a file's lists are kept in a Dir. Smaller
// ones are read in the time that it takes to open what would be kept, and a
// thousand of them would be a thousand mappings.
const keepFrom = 64 << 10

// ReadFile reads every CRL of the regular file at path as [Read] does. Anything
// but a regular file is an error: a FIFO could wait for ever.
//
// With o.Dir, what was read is kept there and comes back in milliseconds, without
// the file being read, if the file is unchanged since: the same device, inode,
// size and times of change, the last of them more than two seconds before the
// file was read, so that no change hides within the grain of a clock. If that
// cannot be said, but the size is the same, the file is digested, which takes
// about a tenth of the time that it takes to read it. In every other case, and
// when what was kept is missing or damaged, the file is read.
//
// Files under 64 KiB are not kept, nor those with a list signed with Ed25519,
// which cannot be verified without its DER. [Dir.Recheck] tells what is taken on
// trust of those that are.
func ReadFile(ctx context.Context, path string, o Options) ([]*List, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	f, id, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only: nothing can be lost
	if o.Dir != nil && id.Size < keepFrom {
		o.Dir = nil
	}
	if o.As == "" {
		o.As = path
	}
	of, err := fileSource(o.As)
	if err != nil {
		return nil, err
	}
	if o.Dir != nil {
		if lists := o.Dir.reopen(ctx, of, f, id, o); lists != nil {
			return lists, nil
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	r := newReading(ctx, o)
	r.input.from(f)
	r.done.Size = id.Size
	lists, err := r.lists()
	if err != nil || o.Dir == nil {
		return lists, err
	}
	if err := o.Dir.remember(of, f, id, began, lists); err != nil {
		return nil, err
	}
	return lists, nil
}

// identity is what tells a file from another and from itself after a change.
type identity struct {
	Device   uint64 `json:"device"`
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // Unix nanoseconds
	Changed  int64  `json:"changed"`  // the same; nobody can set it back
}

// openRegular opens a regular file for reading, and nothing else.
func openRegular(path string) (*os.File, identity, error) {
	// Without O_NONBLOCK, opening a FIFO waits for somebody to write to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, identity{}, err
	}
	id, err := identify(f)
	if err != nil {
		_ = f.Close()
		return nil, identity{}, err
	}
	return f, id, nil
}

func identify(f *os.File) (identity, error) {
	info, err := f.Stat()
	if err != nil {
		return identity{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.Mode().IsRegular() || !ok {
		return identity{}, fmt.Errorf("%s is of mode %s: want a regular file", f.Name(), info.Mode())
	}
	return identity{
		Device: stat.Dev, Inode: stat.Ino, Size: stat.Size,
		Modified: stat.Mtim.Nano(), Changed: stat.Ctim.Nano(),
	}, nil
}

// digests returns the digests of an input's lists without reading these.
func digests(ctx context.Context, in io.Reader) ([][sha256.Size]byte, error) {
	var w, block window
	w.from(in)
	w.turn = ctx.Err
	binary, err := isDER(&w)
	if err != nil {
		return nil, err
	}
	if binary {
		digest, err := w.digest()
		return [][sha256.Size]byte{digest}, err
	}
	text := &pemText{w: &w, max: math.MaxInt64}
	if err := text.skipMark(); err != nil {
		return nil, err
	}
	var all [][sha256.Size]byte
	for {
		found, err := text.next()
		if err != nil || !found {
			return all, err
		}
		block.from(text)
		digest, err := block.digest()
		if err != nil {
			return nil, err
		}
		all = append(all, digest)
	}
}

// digest takes all of the input, of which nothing is taken yet.
func (w *window) digest() (digest [sha256.Size]byte, err error) {
	w.start(sha256.New())
	for more := true; more && err == nil; {
		more, err = w.has(1)
		w.at = w.end
	}
	w.settle()
	w.whole.Sum(digest[:0])
	return digest, err
}

func digestsOf(lists []*List) [][sha256.Size]byte {
	all := make([][sha256.Size]byte, len(lists))
	for i, l := range lists {
		all[i] = l.digest
	}
	return all
}

// checkFile is an error unless the file at path holds these lists.
func checkFile(ctx context.Context, path string, lists []*List) error {
	f, _, err := openRegular(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	got, err := digests(ctx, f)
	if err != nil {
		return err
	}
	if want := digestsOf(lists); !slices.Equal(got, want) {
		return fmt.Errorf("%s has %d CRLs with digests %.8x: want %d with %.8x", path, len(got), got, len(want), want)
	}
	return nil
}

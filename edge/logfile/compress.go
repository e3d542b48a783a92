package logfile

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	gzipSuffix = ".gz"
	partSuffix = ".gz.part"

	// A compression works for a slice of time and then rests for three, so that it
	// takes a quarter of one CPU at the most. The thread's priority would not do:
	// a thread that the kernel does not run still has its share of Go's scheduler,
	// and a garbage collection waits for it.
	slice = 2 * time.Millisecond
	rest  = 3
)

// compress puts name.gz in name's place and returns its size. It can be ended
// anywhere and begun again: only what is whole and on the disk is called name.gz,
// and name is removed only then.
func compress(ctx context.Context, name string) (size int64, err error) {
	in, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	part := name + partSuffix
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return 0, err
	}
	read, err := squeeze(ctx, out, in)
	if err == nil {
		if info, err = in.Stat(); err == nil && info.Size() != read {
			err = errors.New("somebody writes to it still")
		}
	}
	if err == nil {
		if info, err = out.Stat(); err == nil {
			err = out.Sync()
		}
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, name+gzipSuffix); err != nil {
		return 0, errors.Join(err, os.Remove(part))
	}
	// The new name must not be lost with the power once the old one is gone.
	if err := syncFolder(filepath.Dir(name)); err != nil {
		return 0, err
	}
	return info.Size(), os.Remove(name)
}

// squeeze returns how many bytes it has read.
func squeeze(ctx context.Context, out io.Writer, in io.Reader) (read int64, err error) {
	z, err := gzip.NewWriterLevel(out, gzip.DefaultCompression)
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, 64<<10)
	for begun := time.Now(); ; {
		n, err := in.Read(buffer)
		read += int64(n)
		if n > 0 {
			if _, err := z.Write(buffer[:n]); err != nil {
				return read, err
			}
		}
		if err == io.EOF {
			return read, z.Close()
		}
		if err != nil {
			return read, err
		}
		if worked := time.Since(begun); worked >= slice {
			if pause(ctx, rest*worked); ctx.Err() != nil {
				return read, ctx.Err()
			}
			begun = time.Now()
		}
	}
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

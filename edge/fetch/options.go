package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Accept is a consumer's look at a file: all of it, whose content has come from
// the URL, now or before a restart. With an error the file does not count, and
// the one before it goes on to. next is when there will be something newer, say
// ahead of a CRL's nextUpdate; zero: not known. The file at path is the
// consumer's to read until Accept returns or has called keep, by which a file that
// is good takes the place of the one that is kept, on the disk too. A consumer
// that remembers what it has accepted calls it before it writes that down: a
// crash must not leave a memory that is newer than the file. If keep fails, it
// returns that error. Where it does not call keep, that is done after it.
// ctx ends when the URL is removed or the Fetcher stops. Calls for one URL are
// made one at a time, from goroutines of the Fetcher.
type Accept func(ctx context.Context, path string, keep func() error) (next time.Time, err error)

// Options of a Fetcher. Only Dir has to be set.
type Options struct {
	// Dir is a directory for the Fetcher alone. It is made, of mode 0700.
	Dir string

	Network Network

	// MaxSize is that of one file, in bytes. 0: 512 MiB.
	MaxSize int64

	// Timeout is for one fetch, redirects and all. 0: 15 min.
	Timeout time.Duration

	// MinInterval and MaxInterval bound the wait after a success. 0: 1 min, 24 h.
	MinInterval, MaxInterval time.Duration

	// MinBackoff and MaxBackoff bound the wait after a failure. 0: 5 s, 1 h.
	MinBackoff, MaxBackoff time.Duration

	// MaxURLs is how many URLs there may be at once. 0: 1000.
	MaxURLs int

	// Parallel is how many are fetched at once, of each host one. 0: 16.
	Parallel int

	// MaxParts is what all downloads that are not accepted yet may have on the disk
	// together, in bytes. 0: twice MaxSize.
	MaxParts int64

	// SlowAfter is how often a download that is not complete has to have brought
	// 16 KiB more; otherwise it is given up. 0: 10 s.
	SlowAfter time.Duration

	// Log is told of every fetch that changed something or failed. Nil: nobody.
	Log *slog.Logger
}

func (o Options) filled() (Options, error) {
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"Timeout", &o.Timeout, 15 * time.Minute},
		{"MinInterval", &o.MinInterval, time.Minute},
		{"MaxInterval", &o.MaxInterval, 24 * time.Hour},
		{"MinBackoff", &o.MinBackoff, 5 * time.Second},
		{"MaxBackoff", &o.MaxBackoff, time.Hour},
		{"SlowAfter", &o.SlowAfter, 10 * time.Second},
	} {
		if *d.value < 0 {
			return o, fmt.Errorf("%s %s: want a positive duration, or 0 for %s", d.name, *d.value, d.zero)
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	switch {
	case o.Dir == "":
		return o, errors.New("no Dir: want a directory")
	case o.MaxSize < 0 || o.MaxURLs < 0 || o.Parallel < 0 || o.MaxParts < 0:
		return o, fmt.Errorf("negative MaxSize %d, MaxURLs %d, Parallel %d or MaxParts %d", o.MaxSize, o.MaxURLs, o.Parallel, o.MaxParts)
	case o.MaxInterval < o.MinInterval:
		return o, fmt.Errorf("longest interval %s: want at least the shortest, %s", o.MaxInterval, o.MinInterval)
	case o.MaxBackoff < o.MinBackoff:
		return o, fmt.Errorf("longest backoff %s: want at least the shortest, %s", o.MaxBackoff, o.MinBackoff)
	}
	if o.MaxSize == 0 {
		o.MaxSize = 512 << 20
	}
	if o.MaxURLs == 0 {
		o.MaxURLs = 1000
	}
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	if o.MaxParts == 0 {
		o.MaxParts = 2 * o.MaxSize
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

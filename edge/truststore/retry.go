package truststore

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"time"
)

// How long to wait until what failed on this host is tried again: doubling.
const (
	firstRetry = 5 * time.Second
	lastRetry  = time.Minute
)

// retry does again what this host could not do, until ctx is done: a full disk or
// too many open files keep a new CRL out, and when they pass no file changes that
// the watcher could see.
func (s *Store) retry(ctx context.Context) {
	wait := firstRetry
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if s.retryNow() {
			wait = firstRetry
		} else {
			wait = min(2*wait, lastRetry)
		}
		timer.Reset(wait)
	}
}

// retryNow reports whether nothing is left that a later try could mend.
func (s *Store) retryNow() (done bool) {
	if s.ledger.failedHere() {
		s.readRevocations() // logs and remembers what it returns
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if paths, again := s.failedHere(); again {
		s.load(paths) // logs and remembers what it returns
	}
	_, again := s.failedHere()
	return !again && !s.ledger.failedHere()
}

// failedHere returns the files to read again; again also where it is only the
// state that was not saved. s.loading is held.
func (s *Store) failedHere() (paths []string, again bool) {
	if s.versions != nil {
		return nil, false // whoever puts a version is told, and puts it again
	}
	again = hostFailed(s.errors["state"])
	try := func(field, path string) {
		if hostFailed(s.errors[field]) && isThere(path) && !slices.Contains(paths, path) {
			paths, again = append(paths, path), true
		}
	}
	try(s.bundle.field, s.bundle.path)
	for _, f := range s.crls {
		try(f.field, f.path)
		try(f.field+".ca", f.ca)
	}
	return paths, again
}

func (l *ledger) failedHere() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return hostFailed(l.err)
}

// hostFailed reports whether err is the operating system's, and not about what a
// file has in it.
func hostFailed(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// isThere reports whether a file can be had; that of one that cannot, the watcher
// sees the return.
func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

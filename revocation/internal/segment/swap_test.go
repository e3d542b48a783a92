package segment

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestSwap has readers ask while segments are built, put in place of others,
// verified and dropped, in memory and in files.
func TestSwap(t *testing.T) {
	dir := privateDir(t)
	r := seeded(t)
	serial := func(n int) []byte { return []byte{1, byte(n), byte(n >> 8), 4, 5, 6, 7, 8, 9} }
	const entries = 60_000 // in memory: enough to be mapped
	build := func(round int) *Segment {
		o := Options{}
		if round%2 == 0 {
			o.Dir = dir
		}
		b := NewBuilder(o)
		for n := range entries {
			if err := b.Add(serial(2*n), Entry{At: int64(round)}); err != nil {
				t.Fatal(err)
			}
		}
		s, err := b.Build(nil, "list")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var current atomic.Pointer[Segment]
	current.Store(build(0))
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		seed := r.IntN(entries)
		readers.Go(func() {
			for n := seed; !stop.Load(); n++ {
				if n%64 == 0 {
					runtime.Gosched() // or building waits for a core after each system call
				}
				n := n * 7919 % entries
				if _, found, err := current.Load().Find(serial(n)); err != nil || found != (n%2 == 0) {
					t.Errorf("entry %d: %v, %v", n, found, err)
					return
				}
			}
		})
	}
	for round := range 12 {
		s := build(round)
		current.Store(s)
		if err := s.Verify(); err != nil {
			t.Error(err)
		}
		runtime.GC()
	}
	stop.Store(true)
	readers.Wait()
}

// TestUnmapped drops a segment, and sees its file leave the process.
func TestUnmapped(t *testing.T) {
	dir := privateDir(t)
	golden(t, dir)
	path := filepath.Join(dir, "list")
	mapped := func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(maps, []byte(path))
	}
	s, _, err := Open(dir, "list")
	if err != nil {
		t.Fatal(err)
	}
	if !mapped() {
		t.Fatal("an open segment is not mapped")
	}
	runtime.KeepAlive(s)
	for n := 0; mapped(); n++ {
		if n == 1000 {
			t.Fatal("still mapped after a thousand collections")
		}
		runtime.GC()
		runtime.Gosched() // cleanups have a goroutine of their own
	}
}

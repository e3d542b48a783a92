package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// queries is the directory of the serial numbers that every side is asked about,
// 16 octets each: those in the file hits are in the CRL, those in misses not.
type queries string

func (q queries) hits() string   { return filepath.Join(string(q), "hits") }
func (q queries) misses() string { return filepath.Join(string(q), "misses") }

// mostQueries bounds the different serial numbers of a file: so many that hardly
// one is asked about twice in a measurement, which the processor's caches would
// remember. Clients do not come back within the millisecond either.
const mostQueries = 1 << 21

// queryCount is as many as the CRL has entries, within bounds.
func queryCount(entries int) int { return max(min(entries, mostQueries), 1<<12) }

// write makes the files for a CRL of so many entries: hits are drawn from all of
// it, misses are serial numbers of the same kind that it does not list.
func (q queries) write(entries int) error {
	c := newCensus()
	draw := rand.New(rand.NewPCG(1, uint64(entries)))
	var hits, misses bytes.Buffer
	for i := range queryCount(entries) {
		hits.Write(c.serial(draw.IntN(entries))[:])
		misses.Write(c.serial(entries + i)[:])
	}
	if err := os.MkdirAll(string(q), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(q.hits(), hits.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write queries: %w", err)
	}
	if err := os.WriteFile(q.misses(), misses.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write queries: %w", err)
	}
	return nil
}

// readQueries reads a file; the result's rows are serial numbers.
func readQueries(path string) ([][serialSize]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read queries: %w", err)
	}
	if len(data) == 0 || len(data)%serialSize != 0 {
		return nil, fmt.Errorf("read queries %s: %d bytes: want a multiple of %d", path, len(data), serialSize)
	}
	all := make([][serialSize]byte, len(data)/serialSize)
	for i := range all {
		copy(all[i][:], data[i*serialSize:])
	}
	return all, nil
}

// firstQuery is the first of a file, for those in a hurry.
func firstQuery(path string) (first [serialSize]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return first, fmt.Errorf("read queries: %w", err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, first[:]); err != nil {
		return first, fmt.Errorf("read queries %s: %w", path, err)
	}
	return first, nil
}

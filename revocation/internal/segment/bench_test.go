package segment

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var large = flag.Bool("large", false, "run the benchmarks at ten million entries too")

func sizes() []int {
	all := []int{10_000, 100_000, 1_000_000}
	if *large {
		all = append(all, 10_000_000)
	}
	return all
}

// benchSerial is the n-th serial of a benchmark: 16 octets, any n.
func benchSerial(serial *[16]byte, n uint64) []byte {
	// A bijection on 64 bits, so that no two are the same.
	x := n * 0x9e3779b97f4a7c15
	x ^= x >> 32
	binary.BigEndian.PutUint64(serial[:], x*0xd6e8feb86659fd93)
	binary.BigEndian.PutUint64(serial[8:], x)
	serial[0] = serial[0]&0x3f | 0x40 // positive and minimal
	return serial[:]
}

func buildBench(b *testing.B, dir string, n int) *Segment {
	b.Helper()
	builder := NewBuilder(Options{Dir: dir})
	var serial [16]byte
	for i := range uint64(n) {
		if err := builder.Add(benchSerial(&serial, i), Entry{At: 1_700_000_000 + int64(i%1e7), Reason: uint8(i % 7)}); err != nil {
			b.Fatal(err)
		}
	}
	s, err := builder.Build([]byte("head"), "bench")
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkMiss(b *testing.B) { benchFind(b, false) }

func BenchmarkHit(b *testing.B) { benchFind(b, true) }

func benchFind(b *testing.B, hit bool) {
	for _, n := range sizes() {
		b.Run(fmt.Sprintf("segment/%d", n), func(b *testing.B) {
			s := buildBench(b, b.TempDir(), n)
			if err := s.Verify(); err != nil {
				b.Fatal(err)
			}
			var serial [16]byte
			random := rand.NewPCG(1, 2)
			b.ReportAllocs()
			for b.Loop() {
				i := random.Uint64() % uint64(n)
				if !hit {
					i += uint64(n)
				}
				if _, found, err := s.Find(benchSerial(&serial, i)); err != nil || found != hit {
					b.Fatal(found, err)
				}
			}
			stats := s.Stats()
			b.ReportMetric(float64(stats.DiskBytes)/float64(n), "disk-B/entry")
			b.ReportMetric(float64(stats.MemoryBytes)/float64(n), "hot-B/entry")
			b.ReportMetric(100*stats.FalsePositiveRate, "%false")
		})
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			m := make(map[[16]byte]struct{}, n)
			var serial [16]byte
			for i := range uint64(n) {
				m[[16]byte(benchSerial(&serial, i))] = struct{}{}
			}
			random := rand.NewPCG(1, 2)
			b.ReportAllocs()
			for b.Loop() {
				i := random.Uint64() % uint64(n)
				if !hit {
					i += uint64(n)
				}
				if _, found := m[[16]byte(benchSerial(&serial, i))]; found != hit {
					b.Fatal(found)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range sizes() {
		for _, dir := range []string{"memory", "disk"} {
			b.Run(fmt.Sprintf("%s/%d", dir, n), func(b *testing.B) {
				path := ""
				if dir == "disk" {
					path = b.TempDir()
				}
				b.ReportAllocs()
				for b.Loop() {
					buildBench(b, path, n)
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "M-entries/s")
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			buildBench(b, dir, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Open(dir, "bench"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			buildBench(b, dir, n)
			for b.Loop() {
				s, _, err := Open(dir, "bench")
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(s.Stats().DiskBytes)
				if err := s.Verify(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	key, serial := newSipKey(), make([]byte, 16)
	var sum uint64
	for b.Loop() {
		sum ^= key.hash(serial)
	}
	if sum == 1 {
		b.Log(sum)
	}
}

package launch

import (
	"os"
	"testing"
)

// From nothing to a program that was executed, sandbox and all, and back.
func BenchmarkStartAndKill(b *testing.B) {
	run, err := os.MkdirTemp("/tmp", "launch")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(run)
	b.ReportAllocs()
	for b.Loop() {
		p, err := Start(b.Context(), Spec{Name: "bench", Command: []string{"/bin/sh", "-c", "read x <&3"}}, Options{RunDir: run})
		if err != nil {
			b.Fatal(err)
		}
		p.Kill()
	}
}

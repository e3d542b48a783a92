package launch

import "testing"

// What a plugin may use is less than what the Go runtime has by then that becomes it.
func TestLittleMemory(t *testing.T) {
	if raced {
		return // the stage has the detector's memory, which counts
	}
	for range 20 {
		f := newFixture(t, "echo")
		f.spec.Command = []string{"/bin/sh", "-c", `echo '"started"' >&3; cat <&3`}
		f.spec.Sandbox.Memory = 16 << 20 // the least that a configuration may say
		p := f.start()
		if got := hear[string](t, p); got != "started" {
			t.Fatalf("heard %q", got)
		}
		p.Kill()
	}
}

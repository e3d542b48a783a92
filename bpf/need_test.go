package bpf

import (
	"os"
	"os/exec"
	"testing"
)

// skip is for what this machine lacks. CI has it all.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s, and CI must not skip", why)
	}
	t.Skip(why)
}

func needXDP(t testing.TB) {
	t.Helper()
	if err := Supported(); err != nil {
		skip(t, err.Error())
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "not root")
	}
	needXDP(t)
}

func needCommand(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		skip(t, "no command "+name)
	}
}

// loaded returns a Filter whose program is in the kernel and attached nowhere.
func loaded(t testing.TB, o Options) *Filter {
	t.Helper()
	needXDP(t)
	o.Interfaces = []string{"none"}
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	f := &Filter{options: o, hosts: hosts(o.IPv6Prefix)}
	if err := f.load(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

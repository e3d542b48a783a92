package launch

import (
	"slices"
	"strings"
	"testing"
)

func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("SECRET_TOKEN", "of the edge")
	t.Setenv("LD_PRELOAD", "")
	f := newFixture(t, "environment")
	f.spec.Env = []string{"A=1", "LANG=de_DE.UTF-8", "A=2=3"}
	f.spec.Dir = t.TempDir()
	p := f.start()
	got := hear[surroundings](t, p)
	slices.Sort(got.Env)
	want := []string{"A=2=3", "LANG=de_DE.UTF-8", "PATH=" + systemPath, "SALLYPORT_PLUGIN_FD=3"}
	if !slices.Equal(got.Env, want) {
		t.Errorf("environment %q, want %q", got.Env, want)
	}
	if got.Stdin != "" || got.Umask != 0o77 || got.Dir != f.spec.Dir {
		t.Errorf("standard input %q, umask %#o, directory %q", got.Stdin, got.Umask, got.Dir)
	}
	if want := []int{0, 1, 2, DataFD}; !slices.Equal(got.FDs, want) {
		t.Errorf("open: %v, want %v", got.FDs, want)
	}
	if want := f.spec.Command; !slices.Equal(got.Args, want) {
		t.Errorf("arguments %q, want %q", got.Args, want)
	}
}

func TestEnvironmentRefused(t *testing.T) {
	for _, entry := range []string{"A", "=1", "A=\x00", "SALLYPORT_PLUGIN_FD=4"} {
		if _, err := Environment([]string{entry}); err == nil || !strings.Contains(err.Error(), "environment entry") {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

func TestSpecRefused(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"name empty":      func(s *Spec) { s.Name = "" },
		"name path":       func(s *Spec) { s.Name = "../x" },
		"name hidden":     func(s *Spec) { s.Name = ".x" },
		"name long":       func(s *Spec) { s.Name = strings.Repeat("x", 65) },
		"command empty":   func(s *Spec) { s.Command = nil },
		"argument NUL":    func(s *Spec) { s.Command = []string{"/bin/cat", "a\x00"} },
		"dir relative":    func(s *Spec) { s.Dir = "here" },
		"timeout":         func(s *Spec) { s.StartTimeout = -1 },
		"read relative":   func(s *Spec) { s.Sandbox.Read = []string{"etc"} },
		"write relative":  func(s *Spec) { s.Sandbox.Write = []string{"etc"} },
		"unknown measure": func(s *Spec) { s.Sandbox.Require = []string{"apparmor"} },
		"little memory":   func(s *Spec) { s.Sandbox.Memory = 1 << 20 },
		"negative memory": func(s *Spec) { s.Sandbox.Memory = -1 },
		"little cpu":      func(s *Spec) { s.Sandbox.CPU = 0.001 },
		"negative cpu":    func(s *Spec) { s.Sandbox.CPU = -1 },
		"few files":       func(s *Spec) { s.Sandbox.OpenFiles = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			s := Spec{Name: "x", Command: []string{"/bin/cat"}}
			if err := s.check(); err != nil {
				t.Fatal(err)
			}
			change(&s)
			if err := s.check(); err == nil {
				t.Error("accepted")
			}
		})
	}
}

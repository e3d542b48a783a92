package launch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProgramSpeaksOnTheDataSocket(t *testing.T) {
	p := newFixture(t, "echo").start()
	if _, err := p.Conn().Write([]byte("\"to and fro\"\n")); err != nil {
		t.Fatal(err)
	}
	if got := hear[string](t, p); got != "to and fro" {
		t.Errorf("got %q", got)
	}
	if err := p.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Err(); err != nil {
		t.Errorf("an error while it runs: %v", err)
	}
	if pgid, err := unix.Getpgid(p.Pid()); err != nil || pgid != p.Pid() {
		t.Errorf("process group %d, %v: want its own, %d", pgid, err, p.Pid())
	}
}

// The launcher must not keep the socket: else neither side sees the other's end.
func TestEndOfTheDataSocketIsSeenOnBothSides(t *testing.T) {
	t.Run("program", func(t *testing.T) {
		p := newFixture(t, "echo").start()
		if err := p.Conn().CloseWrite(); err != nil {
			t.Fatal(err)
		}
		waitDone(t, p)
		var exit *ExitError
		if err := p.Err(); !errors.As(err, &exit) || exit.Status != 0 || exit.Signal != 0 || exit.Killed {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("edge", func(t *testing.T) {
		p := newFixture(t, "hang").start()
		hear[int](t, p)
		// A launcher that does nothing, so that it is not its end that is seen.
		if err := unix.Kill(p.launcher.pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(p.Pid(), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := p.Conn().SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Conn().Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		if err := unix.Kill(p.launcher.pid, unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		waitDone(t, p)
		var exit *ExitError
		if err := p.Err(); !errors.As(err, &exit) || exit.Signal != unix.SIGKILL || exit.Killed {
			t.Errorf("ended with %v", err)
		}
	})
}

// A crash at once may be seen by Start or after it; always with its reason.
func TestCrashAtStartTellsWhy(t *testing.T) {
	f := newFixture(t, "exit", "3", "loading", "no module named policy")
	p, err := Start(t.Context(), f.spec, f.opts)
	if err == nil {
		defer p.Kill()
		waitDone(t, p)
		err = p.Err()
	}
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Status != 3 || exit.LastWords != "no module named policy" {
		t.Errorf("ended with %v", err)
	}
	f.empty()
}

func TestNoExec(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ name, program, want string }{
		{"missing", filepath.Join(dir, "nothing"), "no such file"},
		{"directory", dir, "not a regular file"},
		{"not executable", file("plain", "#!/bin/sh\n", 0o644), "not executable"},
		{"no format", file("garbage", "\x00\x01\x02", 0o755), "exec format error"},
		{"no interpreter", file("script", "#!/no/such/interpreter\n", 0o755), "interpreter is not"},
		{"not in PATH", "no-such-program-anywhere", "not in the PATH"},
		{"relative", "./program", "no directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "echo")
			f.spec.Command[0] = c.program
			if got := f.refused(); !strings.Contains(got, c.want) || !strings.Contains(got, f.spec.Name) {
				t.Errorf("refused with %q, which has no %q", got, c.want)
			}
		})
	}
}

func TestLauncherThatNeverSpeaks(t *testing.T) {
	f := newFixture(t, "echo")
	f.opts.Launcher = []string{self(t), "mute-launcher"}
	f.spec.StartTimeout = 100 * time.Millisecond
	if got := f.refused(); !strings.Contains(got, "not started within 100ms") {
		t.Errorf("refused with %q", got)
	}
	f.spec.StartTimeout = 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, f.spec, f.opts); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	f.empty()
}

func TestLauncherThatCannotStart(t *testing.T) {
	f := newFixture(t, "echo")
	f.opts.Launcher = []string{"/no/such/launcher"}
	if got := f.refused(); !strings.Contains(got, "/no/such/launcher") {
		t.Errorf("refused with %q", got)
	}
	f.opts.Launcher = []string{"/bin/echo", "1|1|tcp"} // go-plugin's trap: anything on stdout
	if got := f.refused(); !strings.Contains(got, "1|1|tcp") {
		t.Errorf("refused with %q", got)
	}
}

// go-plugin's own Kill waits for ever for a frozen plugin.
func TestKillOfTheFrozen(t *testing.T) {
	for _, c := range []struct {
		name   string
		freeze func(p *Process) []int
	}{
		{"program", func(p *Process) []int { return []int{p.Pid()} }},
		{"launcher", func(p *Process) []int { return []int{p.launcher.pid} }},
		{"both", func(p *Process) []int { return []int{p.Pid(), p.launcher.pid} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newFixture(t, "hang").start()
			hear[int](t, p)
			pids := []int{p.Pid(), p.launcher.pid}
			for _, pid := range c.freeze(p) {
				if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			p.Kill()
			if took := time.Since(began); took > KillWithin+patience {
				t.Errorf("Kill took %v", took)
			}
			waitDone(t, p)
			for _, pid := range pids {
				eventually(t, "the frozen has gone", func() bool { return !alive(pid) })
			}
		})
	}
}

// A grandchild with a session of its own and the program's stdio: go-plugin's own
// Kill waits for it, and nobody ends it.
func TestGrandchildrenEndToo(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		end  func(p *Process)
	}{
		{"killed", nil, (*Process).Kill},
		{"exited", []string{"exit"}, func(p *Process) { _ = p.Conn().CloseWrite() }},
		{"crashed", nil, func(p *Process) { _ = unix.Kill(p.Pid(), unix.SIGKILL) }},
		{"launcher killed", nil, func(p *Process) { _ = unix.Kill(p.launcher.pid, unix.SIGKILL) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "orphan", c.args...)
			if c.name != "launcher killed" { // which only a cgroup helps against
				f.opts.Cgroup = t.TempDir() // none
			}
			p := f.start()
			pids := hear[[]int](t, p)
			if len(pids) != 2 || pids[1] <= 0 || pids[0] != p.Pid() {
				t.Fatalf("heard %v", pids)
			}
			if c.name == "launcher killed" && p.cgroup == nil {
				skip(t, "a cgroup v2 to make groups in")
			}
			c.end(p)
			waitDone(t, p)
			for _, pid := range pids {
				eventually(t, "descendants have gone", func() bool { return !alive(pid) })
			}
		})
	}
}

// edgeCommand is of an edge as a process of its own.
func edgeCommand(t *testing.T, binary string, attr *syscall.SysProcAttr, spec Spec, o Options) *exec.Cmd {
	t.Helper()
	o.Log = nil
	order, err := json.Marshal(struct {
		Spec    Spec
		Options Options
	}{spec, o})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "edge", string(order))
	cmd.SysProcAttr = attr
	return cmd
}

// startEdge starts one, as another user if attr says so.
func startEdge(t *testing.T, binary string, attr *syscall.SysProcAttr, spec Spec, o Options) (*exec.Cmd, edgeSays) {
	t.Helper()
	cmd := edgeCommand(t, binary, attr, spec, o)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var says edgeSays
	if err := json.NewDecoder(out).Decode(&says); err != nil {
		t.Fatalf("hear from the edge: %v", err)
	}
	return cmd, says
}

// No process of a plugin outlives an edge that is killed, whatever is frozen.
func TestEdgeKilled(t *testing.T) {
	for _, c := range []struct {
		name   string
		freeze func(program, launcher int) []int
	}{
		{"running", func(_, _ int) []int { return nil }},
		{"program frozen", func(program, _ int) []int { return []int{program} }},
		{"launcher frozen", func(_, launcher int) []int { return []int{launcher} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "orphan")
			f.opts.Cgroup = t.TempDir() // none, which would be of help
			cmd, says := startEdge(t, self(t), nil, f.spec, f.opts)
			var pids []int
			if err := json.Unmarshal([]byte(says.Heard), &pids); err != nil || len(pids) != 2 {
				t.Fatalf("heard %q: %v", says.Heard, err)
			}
			launcher := parentOf(says.PID)
			if launcher == 0 {
				t.Fatal("no launcher")
			}
			for _, pid := range c.freeze(says.PID, launcher) {
				if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			began := time.Now()
			for _, pid := range append(pids, launcher) {
				eventually(t, "all processes have gone", func() bool { return !alive(pid) })
			}
			t.Logf("gone after %v", time.Since(began))
			// What is left in the run directory is swept by the next.
			if left, _ := filepath.Glob(filepath.Join(f.opts.RunDir, "p*")); len(left) == 0 {
				t.Error("nothing left to sweep, so the test shows nothing")
			}
			f.spec.Command[2] = "echo"
			p := f.start()
			left, _ := filepath.Glob(filepath.Join(f.opts.RunDir, "p*"))
			if !slices.Equal(left, []string{p.dir.path}) {
				t.Errorf("in the run directory: %v, want only %s", left, p.dir.path)
			}
		})
	}
}

// The kernel sees to it, without the edge, which is stopped here.
func TestProgramDiesWithItsLauncher(t *testing.T) {
	for _, user := range []string{"", "4711:4711"} {
		t.Run("user "+user, func(t *testing.T) {
			f := newFixture(t, "hang")
			f.opts.Cgroup = t.TempDir() // none
			if user != "" {
				rootOnly(t) // a change of user clears the parent-death signal
				f.spec.Command[0] = everybodys(t)
				f.spec.Sandbox.User = user
			}
			cmd, says := startEdge(t, self(t), nil, f.spec, f.opts)
			if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if err := unix.Kill(parentOf(says.PID), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the program has gone", func() bool { return !alive(says.PID) })
			f.sweep(cmd)
		})
	}
}

// A descendant that edge and launcher, both killed at once, could not end.
func TestSweepEndsWhatIsLeftInACgroup(t *testing.T) {
	f := newFixture(t, "orphan")
	cmd, says := startEdge(t, self(t), nil, f.spec, f.opts)
	if !strings.Contains(detail(says.Report, MeasureCgroup), "/") {
		skip(t, "a cgroup v2 to make groups in")
	}
	var pids []int
	if err := json.Unmarshal([]byte(says.Heard), &pids); err != nil || len(pids) != 2 {
		t.Fatalf("heard %q: %v", says.Heard, err)
	}
	if err := unix.Kill(parentOf(says.PID), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	f.spec.Command[2] = "echo"
	f.start()
	for _, pid := range pids {
		eventually(t, "all processes have gone", func() bool { return !alive(pid) })
	}
}

func TestManyAtOnce(t *testing.T) {
	f := newFixture(t, "echo")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			p, err := Start(t.Context(), f.spec, f.opts)
			if err != nil {
				t.Error(err)
				return
			}
			var both sync.WaitGroup
			both.Go(p.Kill)
			both.Go(p.Kill)
			both.Wait()
			waitDone(t, p)
		})
	}
	all.Wait()
	f.empty()
}

// What waits for its orders has not run the program, and leaves nothing.
func TestPreparedIsDiscarded(t *testing.T) {
	f := newFixture(t, "echo")
	mark := filepath.Join(t.TempDir(), "ran")
	f.spec.Command = []string{"/bin/sh", "-c", "echo > " + mark}
	f.spec.Sandbox.AllFiles = true
	for _, waits := range []bool{true, false} {
		r, err := Prepare(f.spec, f.opts)
		if err != nil {
			t.Fatal(err)
		}
		if waits {
			if err := <-r.process.shaken; err != nil {
				t.Fatal(err)
			}
			r.process.shaken <- nil
		}
		r.Discard()
		if r.process.launcher.running() && alive(r.process.launcher.pid) {
			t.Error("the launcher is still there")
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program has run")
	}
	f.empty()
}

// A prepared start that cannot be carried out says why, like any other.
func TestPreparedIsRefused(t *testing.T) {
	f := newFixture(t, "echo")
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.spec.Command = []string{program}
	r, err := Prepare(f.spec, f.opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
	f.empty()
}

func TestRunByHand(t *testing.T) {
	for _, args := range [][]string{nil, {"stage"}, {"x"}} {
		if err := Run(args); !errors.Is(err, ErrByHand) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func detail(r SandboxReport, name string) string {
	for _, m := range r {
		if m.Name == name {
			return m.Detail
		}
	}
	return ""
}

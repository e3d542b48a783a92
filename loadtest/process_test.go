package loadtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const tail = "S 7 42 42 0 -1 4194560 1 2 3 4 100 50 20 10 20 0 8 0 12345 1000 200"
	want := stat{pid: 42, parent: 7, user: 1200 * time.Millisecond, system: 600 * time.Millisecond, threads: 8}
	for text, ok := range map[string]bool{
		"42 (nginx) " + tail:                 true,
		"42 (a) b (c) S 9 9) " + tail + "\n": true, // a name may be anything
		"42 (x\n) " + tail:                   true,
		"42 nginx " + tail:                   false,
		"42 )nginx( " + tail:                 false,
		"(nginx) " + tail:                    false,
		"42 (nginx) S 7 42":                  false,
		"42 (nginx) " + "S x" + tail[3:]:     false,
		"":                                   false,
		strings.Replace("42 (nginx) "+tail, "100 50", "100 -", 1): false,
	} {
		got, err := parseStat([]byte(text))
		if (err == nil) != ok || ok && got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("42 (nginx) S 7 42 42 0 -1 4194560 1 2 3 4 100 50 20 10 20 0 8 0 12345 1000 200"))
	f.Add([]byte("42 (a) b (c) S 9 9) S 7 42"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseStat(text); err != nil && s != (stat{}) {
			t.Errorf("%+v with %v", s, err)
		}
	})
}

// This process is read as the system has it.
func TestReadTree(t *testing.T) {
	t.Parallel()
	r, err := readTree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	self := r.processes[os.Getpid()]
	if self.parent != os.Getppid() || self.threads < 2 || r.rss < 1<<20 || r.cpu() < self.cpu() {
		t.Errorf("got %+v", r)
	}
	if n := coresOf(os.Getpid()); n < 1 {
		t.Errorf("may run on %d cores", n)
	}
	const most = 1 << 22 // what a pid may be at most
	if _, err := readTree(most + 1); err == nil {
		t.Error("a process was read that cannot be")
	}
	if n := coresOf(most + 1); n != 0 {
		t.Errorf("a process that cannot be may run on %d cores", n)
	}
}

func TestDescends(t *testing.T) {
	t.Parallel()
	all := map[int]stat{}
	for pid, parent := range map[int]int{1: 0, 2: 1, 3: 2, 4: 1, 10: 11, 11: 10} {
		all[pid] = stat{pid: pid, parent: parent}
	}
	for pid, want := range map[int]bool{1: false, 2: true, 3: true, 4: false, 10: false, 11: false} {
		if got := descends(all, all[pid], 2); got != want {
			t.Errorf("%d: got %t", pid, got)
		}
	}
}

// burnerTree is a process that does nothing, and below it one that uses CPU time
// when it is told to.
type burnerTree struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	in  io.WriteCloser
	out io.ReadCloser
}

func startBurnerTree(t *testing.T) *burnerTree {
	cmd, err := child(roleParent)
	if err != nil {
		t.Fatal(err)
	}
	b := &burnerTree{cmd: cmd}
	if b.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if b.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.in.Close() // both end by that
		b.cmd.Wait()
	})
	b.burn() // both are there now
	return b
}

// burn has a burst of CPU time used.
func (b *burnerTree) burn() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := []byte{1}
	if _, err := b.in.Write(one); err != nil {
		return err
	}
	_, err := io.ReadFull(b.out, one)
	return err
}

// TestCPUPerUnit has the process below the one that is accounted use a known
// time for each unit, warm-up included.
func TestCPUPerUnit(t *testing.T) {
	tree := startBurnerTree(t)
	const units = 40
	p := planFor(serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := tree.burn(); err != nil {
			w.WriteHeader(500)
		}
		w.WriteHeader(http.StatusForbidden) // what is refused is worked on too
	}), Request)
	p.PID, p.Count, p.WarmUp, p.ExpectRefusal = tree.cmd.Process.Pid, units, 300*time.Millisecond, true
	r := run(t, p)
	wantUnits(t, r, 0, units, 0)
	// Wide bounds: a tick at either end, what the two runtimes do besides, and what
	// a burner uses past its burst when it is not scheduled for a while.
	s := r.Server
	if used := s.User + s.System; used < units*burst*9/10 || used > units*burst*2 {
		t.Errorf("used %s over %d bursts of %s", used, units, burst)
	}
	if s.PerUnit != (s.User+s.System)/units {
		t.Errorf("%s a unit of %s in all", s.PerUnit, s.User+s.System)
	}
	if s.PID != p.PID || s.RSSBefore < 1<<20 || s.RSSPeak < s.RSSBefore || s.RSSPeak < s.RSSAfter || s.RSSAfter < 1<<20 {
		t.Errorf("got %+v", s)
	}
	var cpu time.Duration
	for _, second := range r.Seconds {
		cpu += second.CPU
		if second.RSS < 1<<20 {
			t.Errorf("second %d: %d bytes of memory", second.At, second.RSS)
		}
	}
	if used := s.User + s.System; cpu > used+2*tick || cpu < used*8/10 {
		t.Errorf("seconds add up to %s of %s", cpu, used)
	}
	if r.Generator.PID != os.Getpid() || r.Generator.RSSAfter < 1<<20 || r.Generator.User+r.Generator.System <= 0 {
		t.Errorf("the generator used %+v", r.Generator)
	}
}

// A server that ends while it is loaded is accounted no more, and the result
// says so.
func TestServerLost(t *testing.T) {
	tree := startBurnerTree(t)
	var once sync.Once
	p := planFor(serve(t, func(http.ResponseWriter, *http.Request) {
		once.Do(func() {
			tree.in.Close()
			tree.cmd.Wait()
		})
	}), Request)
	p.PID = tree.cmd.Process.Pid
	r := run(t, p)
	wantUnits(t, r, 6, 0, 0)
	want := fmt.Sprintf("the server could not be accounted to the end: no process %d", p.PID)
	if r.Server != nil || !slices.Contains(r.Warnings, want) {
		t.Errorf("got %+v, warnings %q; want %q", r.Server, r.Warnings, want)
	}
	// And one that is not there to begin with is an error.
	if _, err := Run(context.Background(), p, nil); err == nil || err.Error() != fmt.Sprintf("no process %d", p.PID) {
		t.Errorf("got %v", err)
	}
}

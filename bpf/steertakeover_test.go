package bpf

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func init() {
	roles["steering-supported"] = SteeringSupported
	roles["steer-serve"] = serveSteered
	roles["steer-clients"] = connectAgainAndAgain
}

// serveSteered is an edge that serves 203.0.113.0/24 on a thousand ports, echoes
// lines, and ends with its standard input: it takes what was given to it, closes
// its socket, and waits for its connections.
func serveSteered() error {
	l, err := listenPlain("127.0.0.1:0")
	if err != nil {
		return err
	}
	s, err := OpenSteering(os.Getenv("PIN"))
	if err != nil {
		return err
	}
	t, err := NewTable([]Destination{{netip.MustParsePrefix("203.0.113.0/24"), 8000, 8999}})
	if err != nil {
		return err
	}
	p, err := s.Prepare(t, []*net.TCPListener{l})
	if err != nil {
		return err
	}
	if err := p.Commit(); err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		l.SetDeadline(time.Now().Add(time.Second)) // what the table before gave it has come by then
	}()
	fmt.Println("ready")
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.Join(l.Close(), s.Close())
		}
		if err != nil {
			return err
		}
		serving.Go(func() {
			defer c.Close()
			fmt.Fprintln(c, os.Getenv("NAME"))
			io.Copy(c, c)
		})
	}
}

// connections is what connectAgainAndAgain has to say.
type connections struct {
	By     map[string]int // who served them
	Failed int
	Why    string
}

// connectAgainAndAgain makes one connection after another, of which some stay open
// across what happens meanwhile, until its standard input ends.
func connectAgainAndAgain() error {
	all, mu := connections{By: map[string]int{}}, sync.Mutex{}
	var over atomic.Bool
	var going sync.WaitGroup
	one := func(to string, pause func()) {
		name, err := exchange(to, pause)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			all.Failed++
			all.Why = err.Error()
			return
		}
		all.By[name]++
	}
	for worker := range 4 {
		going.Go(func() {
			for i := 0; !over.Load(); i++ {
				one(fmt.Sprintf("203.0.113.%d:%d", i%256, 8000+(worker*257+i)%1000), func() {})
			}
		})
	}
	end := make(chan struct{})
	for range 8 {
		going.Go(func() { one("203.0.113.77:8077", func() { <-end }) })
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	over.Store(true)
	close(end)
	going.Wait()
	return json.NewEncoder(os.Stdout).Encode(all)
}

// exchange connects, hears who it is, and has a line echoed.
func exchange(to string, pause func()) (name string, err error) {
	c, err := net.DialTimeout("tcp", to, time.Minute)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.(*net.TCPConn).SetLinger(0) // or the ports run out
	r := bufio.NewReader(c)
	if name, err = r.ReadString('\n'); err != nil {
		return "", err
	}
	pause()
	if _, err := io.WriteString(c, "there and back\n"); err != nil {
		return "", err
	}
	if line, err := r.ReadString('\n'); err != nil || line != "there and back\n" {
		return "", fmt.Errorf("echo of %d bytes: %w", len(line), err)
	}
	return name[:len(name)-1], nil
}

// role is a process that ends with its standard input.
type role struct {
	*exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

func (n *namespace) role(t *testing.T, name string, environment ...string) *role {
	t.Helper()
	c := again(name, environment...)
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	n.do(t, c.Start)
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	r := &role{c, in, bufio.NewReader(out)}
	if line, err := r.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s said %q: %v: %v", name, line, err, c.Stderr)
	}
	return r
}

// end has the process come to its end, and returns what it said last.
func (r *role) end(t *testing.T) []byte {
	t.Helper()
	r.in.Close()
	said, err := io.ReadAll(r.out)
	must(t, err)
	if err := r.Wait(); err != nil {
		t.Fatalf("%v: %s%v", err, said, r.Stderr)
	}
	return said
}

// TestSteeringTakenOver: one process takes over from another while clients come,
// and not one connection is lost.
func TestSteeringTakenOver(t *testing.T) {
	server, client := routed(t)
	dir := pinDir(t)
	names := []string{"first", "second", "third"}
	serving := server.role(t, "steer-serve", "PIN="+dir, "NAME="+names[0])
	clients := client.role(t, "steer-clients")
	counted := func() (n uint64) {
		server.do(t, func() error {
			s := &Steering{pins: &pins{dir: dir}}
			defer s.release()
			if err := s.openCounts(); err != nil {
				return err
			}
			var counts []steerSteeredCount
			if err := s.counts.Lookup(Destination{netip.MustParsePrefix("203.0.113.0/24"), 8000, 8999}.key(), &counts); err != nil {
				return err
			}
			for _, c := range counts {
				n += c.Steered
			}
			return nil
		})
		return n
	}
	for _, name := range names[1:] {
		before := counted()
		await(t, "connections", func() bool { return counted() > before+200 })
		next := server.role(t, "steer-serve", "PIN="+dir, "NAME="+name)
		before = counted()
		await(t, "connections", func() bool { return counted() > before+200 })
		serving.in.Close() // its connections that stay are still there
		defer serving.Wait()
		serving = next
	}
	var all connections
	must(t, json.Unmarshal(clients.end(t), &all))
	t.Logf("%+v", all)
	if all.Failed > 0 {
		t.Errorf("%d connections failed: %s", all.Failed, all.Why)
	}
	for _, name := range names {
		if all.By[name] == 0 {
			t.Errorf("%s served nobody", name)
		}
	}
	serving.end(t)
	gone(t, dir)
	if got := client.greeting(t, "203.0.113.1:8000"); got != "refused" {
		t.Errorf("when all is over: %q", got)
	}
}

// TestSteeringSurvivesKill: what a killed process served is refused, and not given
// to whoever else listens there, until another takes over.
func TestSteeringSurvivesKill(t *testing.T) {
	server, client := routed(t)
	dir := pinDir(t)
	server.greeter(t, "other", "0.0.0.0:8000")
	const to = "203.0.113.1:8000"
	serving := server.role(t, "steer-serve", "PIN="+dir, "NAME=first")
	must(t, serving.Process.Signal(syscall.SIGKILL))
	serving.Wait()
	if got := client.greeting(t, to); got != "refused" {
		t.Errorf("after kill -9: %q", got)
	}

	var s *Steering
	server.do(t, func() (err error) {
		s, err = OpenSteering(dir)
		return err
	})
	if status := s.Status(); status.Program == 0 || status.Problem == "" {
		t.Errorf("Status before anything is committed = %+v", status)
	}
	next := server.greeter(t, "next", "127.0.0.1:0")
	steer(t, s, table(t, "203.0.113.0/24 8000-8999"), next)
	if got := client.greeting(t, to); got != "next "+to {
		t.Errorf("taken over: %q", got)
	}
	counts, err := s.Counts()
	must(t, err)
	if n := counts[destination(t, "203.0.113.0/24 8000-8999")]; n.NoSocket == 0 || n.Steered == 0 {
		t.Errorf("Counts = %+v, want those refused while nobody was there, too", counts)
	}
	if status := s.Status(); status.Problem != "" {
		t.Errorf("Status = %+v", status)
	}
	must(t, s.Release())
	if got := client.greeting(t, to); got != "next "+to {
		t.Errorf("released: %q", got)
	}
	next.Close()
	await(t, "what is released and has no socket is refused", func() bool { return client.greeting(t, to) == "refused" })
	must(t, RemoveSteering(dir))
	gone(t, dir)
	if got := client.greeting(t, to); got != "other "+to {
		t.Errorf("after it was removed: %q", got)
	}
}

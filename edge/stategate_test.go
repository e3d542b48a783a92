package edge

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
)

// changed starts a change, and returns what becomes of it.
func changed(ctx context.Context, g *stateGate, do func()) chan error {
	over := make(chan error, 1)
	go func() { over <- g.change(ctx, "ban of 192.0.2.1/32", func() error { do(); return nil }) }()
	return over
}

func TestGateWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g stateGate
		hold := make(chan struct{})
		first := changed(t.Context(), &g, func() { <-hold })
		synctest.Wait()
		time.AfterFunc(answerTime/2, func() { close(hold) })
		ctx, cancel := context.WithTimeout(t.Context(), answerTime)
		defer cancel()
		if err := g.close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

func TestGateGivesUpOnWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g stateGate
		hold := make(chan struct{})
		first := changed(t.Context(), &g, func() { <-hold })
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), answerTime)
		defer cancel()
		waits := make(chan error)
		go func() { waits <- g.close(ctx) }()
		synctest.Wait()
		second := changed(t.Context(), &g, func() {})
		err := <-waits
		if err == nil || !strings.Contains(err.Error(), "a change is under way: ban of 192.0.2.1/32 (for 1m2s): upgrade again") {
			t.Errorf("got %v", err)
		}
		if err := <-second; err != nil { // the gate is open again
			t.Error(err)
		}
		close(hold)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := g.close(t.Context()); err != nil { // and can be closed
			t.Error(err)
		}
	})
}

// What arrives while the gate is closed waits for the outcome.
func TestGateHoldsChangesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, moved := range []bool{false, true} {
			var g stateGate
			if err := g.close(t.Context()); err != nil {
				t.Fatal(err)
			}
			gone, cancel := context.WithCancel(t.Context())
			done := 0
			impatient := changed(gone, &g, func() { done++ })
			patient := changed(t.Context(), &g, func() { done++ })
			synctest.Wait()
			cancel()
			if err := <-impatient; !errors.Is(err, context.Canceled) || done != 0 {
				t.Errorf("asked for by somebody who is gone: %v, %d done", err, done)
			}
			if !moved {
				g.open()
				if err := <-patient; err != nil || done != 1 {
					t.Errorf("%v, %d done", err, done)
				}
				continue
			}
			g.leave(42)
			g.open() // changes nothing any more
			var to *admin.MovedError
			if err := <-patient; !errors.As(err, &to) || to.PID != 42 || done != 0 {
				t.Errorf("%v, %d done", err, done)
			}
			if err := g.change(t.Context(), "", func() error { done++; return nil }); !errors.As(err, &to) || done != 0 {
				t.Errorf("afterwards: %v, %d done", err, done)
			}
			if err := g.unlessMoved(func() { done++ }); !errors.As(err, &to) || done != 0 {
				t.Errorf("drained: %v, %d done", err, done)
			}
		}
	})
}

// An upload that comes in slowly keeps nobody from upgrading. It is a change once
// all of it is there.
func TestGateLetsUploadsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g stateGate
		read, write := io.Pipe()
		u := &upload{ctx: t.Context(), gate: &g, what: "upload", data: read}
		whole := make(chan error, 1)
		go func() {
			text, err := io.ReadAll(u)
			if err == nil && string(text) != "all of it" {
				err = errors.New(string(text))
			}
			whole <- err
		}()
		io.WriteString(write, "all of ")
		if err := g.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		io.WriteString(write, "it")
		write.Close()
		synctest.Wait()
		if len(whole) != 0 {
			t.Fatal("it went in through a closed gate")
		}
		g.open()
		if err := <-whole; err != nil {
			t.Fatal(err)
		}
		soon, cancel := context.WithTimeout(t.Context(), answerTime)
		defer cancel()
		if err := g.close(soon); err == nil || !strings.Contains(err.Error(), "upload") {
			t.Errorf("closed while it is under way: %v", err)
		}
		u.end()
		if err := g.close(t.Context()); err != nil {
			t.Error(err)
		}
		g.leave(42)
		late := &upload{ctx: t.Context(), gate: &g, what: "upload", data: strings.NewReader("x")}
		var to *admin.MovedError
		if _, err := io.ReadAll(late); !errors.As(err, &to) || late.err == nil {
			t.Errorf("late: %v", err)
		}
		late.end()
	})
}

package edge

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
)

// TestTasksWait has a task that takes its time to leave: its successor waits for
// it, unless one of the two is alone.
func TestTasksWait(t *testing.T) {
	for name, test := range map[string]struct {
		leaves, comes any
		waits         bool
	}{
		"files are shared":      {"old", "new", true},
		"the old one is alone":  {alone{"old"}, "new", false},
		"the new one is alone":  {"old", alone{"new"}, false},
		"both are alone":        {alone{"old"}, alone{"new"}, false},
		"the same name, shared": {alone{"a"}, "a", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var list tasks
				ctx, cancel := context.WithCancel(t.Context())
				list.start(ctx, slog.New(slog.DiscardHandler))
				release := make(chan struct{})
				list.set(map[any]func(context.Context) error{test.leaves: func(ctx context.Context) error {
					<-ctx.Done()
					<-release
					return nil
				}})
				synctest.Wait()
				begun := make(chan struct{}, 1)
				list.set(map[any]func(context.Context) error{test.comes: func(ctx context.Context) error {
					begun <- struct{}{}
					<-ctx.Done()
					return nil
				}})
				synctest.Wait()
				if waits := len(begun) == 0; waits != test.waits {
					t.Errorf("waits: %t, want %t", waits, test.waits)
				}
				close(release)
				synctest.Wait()
				if len(begun) != 1 {
					t.Error("did not begin when the old one had left")
				}
				cancel()
				list.wait()
			})
		})
	}
}

package pluginhost

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestShortage: starts that fail for want of what the host is short of are tried
// again every second, and are no ends of the plugin's.
func TestShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Plugin{host: &Host{log: slog.New(slog.DiscardHandler), base: time.Now()}, stats: &stats{}, again: make(chan struct{}, 1)}
		var b backoff
		pause := func(lived time.Duration, cause error) time.Duration {
			t.Helper()
			began := time.Now()
			if _, due := p.pause(t.Context(), &b, lived, cause); !due || p.state != Waiting {
				t.Fatalf("due %t, state %q", due, p.state)
			}
			return time.Since(began)
		}
		for i := range 2 * budget {
			if took := pause(0, fmt.Errorf("make a pipe: %w", syscall.EMFILE)); took != shortWait {
				t.Fatalf("try %d: after %v, want %v", i, took, shortWait)
			}
		}
		if took := pause(time.Second, errors.New("crashed")); took > 2*firstWait {
			t.Errorf("the first crash: started after %v", took)
		}
		if took := pause(time.Second, fmt.Errorf("write to plugin: %w", syscall.ENOMEM)); took == shortWait {
			t.Error("the end of a process that ran counts as a start")
		}
	})
}

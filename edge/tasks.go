package edge

import (
	"context"
	"log/slog"
	"sync"
)

// tasks are goroutines that come and go with reloads: those that watch files and
// write logs. set may not be called concurrently.
type tasks struct {
	ctx     context.Context
	log     *slog.Logger
	running map[any]*task
	group   sync.WaitGroup
}

type task struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (t *tasks) start(ctx context.Context, log *slog.Logger) {
	t.ctx, t.log, t.running = ctx, log, map[any]*task{}
}

// alone is the key of a task that shares no file with any other: it waits for
// none, and none waits for it. A tracer takes seconds to leave if its collector is
// stuck, and a new trust store must be followed meanwhile.
type alone struct{ part any }

// set starts what is wanted and does not run, and stops what runs and is not
// wanted. What starts waits until what stops has stopped, unless either is alone: a
// trust store and its successor share a state directory.
func (t *tasks) set(wanted map[any]func(context.Context) error) {
	var leaving []*task
	for key, old := range t.running {
		if wanted[key] == nil {
			old.cancel()
			if _, ok := key.(alone); !ok {
				leaving = append(leaving, old)
			}
			delete(t.running, key)
		}
	}
	for key, run := range wanted {
		if t.running[key] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(t.ctx)
		started := &task{cancel, make(chan struct{})}
		t.running[key] = started
		before := leaving
		if _, ok := key.(alone); ok {
			before = nil
		}
		t.group.Go(func() {
			defer close(started.done)
			for _, old := range before {
				<-old.done
			}
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.log.Error("task ended early; what it watches no longer follows its files", "cause", err)
			}
		})
	}
}

func (t *tasks) wait() { t.group.Wait() }

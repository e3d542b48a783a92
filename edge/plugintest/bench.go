package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sallyport/sallyport/edge/pluginhost"
)

// Measurement is what a plugin costs, asked by so many callers at once.
type Measurement struct {
	Callers   int     `json:"callers"`
	Calls     int64   `json:"calls"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_seconds"`
	P99       float64 `json:"p99_seconds"`
	// HostCPU and PluginCPU are CPU time of each call. The plugin's is 0 for one that
	// somebody else has started.
	HostCPU   float64 `json:"host_cpu_seconds"`
	PluginCPU float64 `json:"plugin_cpu_seconds"`
	Failed    int64   `json:"failed"` // calls without a verdict
}

// Bench asks about the first case, without a cache, by each number of callers for
// that long.
func (p *Program) Bench(ctx context.Context, f *File, duration time.Duration, callers ...int) ([]Measurement, error) {
	l, err := p.begin(ctx, f, true)
	if err != nil {
		return nil, err
	}
	defer l.close()
	var list []Measurement
	for _, n := range callers {
		m, err := l.measure(ctx, f, duration, n)
		if err != nil {
			return nil, err
		}
		list = append(list, *m)
	}
	return list, nil
}

func (l *live) measure(ctx context.Context, f *File, duration time.Duration, callers int) (*Measurement, error) {
	m := &Measurement{Callers: callers}
	total := newHistogram()
	var mu sync.Mutex
	var group sync.WaitGroup
	pid := l.status().PID
	host, plugin := ownCPU(), cpuOf(pid)
	began := time.Now()
	end := began.Add(duration)
	for range callers {
		s, err := f.firstAsked(l.status().Hooks)
		if err == nil && s == nil {
			err = fmt.Errorf("no case asks the plugin anything")
		}
		if err != nil {
			group.Wait()
			return nil, err
		}
		group.Go(func() {
			h, failed := newHistogram(), int64(0)
			var d pluginhost.Decision
			// Once in any case: on a machine that is busy the time may be over by now.
			for at := time.Now(); (h.TotalCount() == 0 || at.Before(end)) && ctx.Err() == nil; {
				s.ask(l.chain, &d)
				now := time.Now()
				if d.Outcome == pluginhost.Unavailable {
					failed++
				}
				h.RecordValue(min(int64(now.Sub(at)), longest)) // which is within its bounds
				at = now
			}
			mu.Lock()
			defer mu.Unlock()
			total.Merge(h)
			m.Failed += failed
		})
	}
	group.Wait()
	took := time.Since(began)
	host, plugin = ownCPU()-host, cpuOf(pid)-plugin
	m.Calls = total.TotalCount()
	if m.Calls == 0 {
		return nil, fmt.Errorf("no call was made: %w", context.Cause(ctx))
	}
	n := float64(m.Calls)
	m.PerSecond = n / took.Seconds()
	m.P50, m.P99 = seconds(total.ValueAtQuantile(50)), seconds(total.ValueAtQuantile(99))
	m.HostCPU, m.PluginCPU = host.Seconds()/n, plugin.Seconds()/n
	return m, nil
}

const longest = int64(time.Minute)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

func seconds(nanoseconds int64) float64 { return time.Duration(nanoseconds).Seconds() }

// ownCPU is this process's.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuOf is another process's, in steps of a clock tick; 0 if there is none to look
// at.
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if pid == 0 || err != nil {
		return 0
	}
	// The second field is a name in parentheses, which may have anything in it.
	rest := string(text[bytes.LastIndexByte(text, 0x29)+1:])
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs on Linux
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

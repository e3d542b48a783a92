package edge

import (
	"maps"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/edge/proxy"
)

// Each request counts once, whoever else is counting.
func TestRequestsCounted(t *testing.T) {
	m := newMetrics(&Server{})
	const each = 200
	var counting sync.WaitGroup
	for range 4 {
		counting.Go(func() {
			for range each {
				for _, listener := range []string{"a", "b"} {
					for _, status := range []int{200, 204, 404, 503} {
						r := &proxy.Record{Listener: listener, ELBStatusCode: status}
						if status == 503 {
							r.ErrorReason = proxy.ReasonNoTarget
						}
						m.request(r)
					}
				}
			}
		})
	}
	counting.Wait()
	got := counted(t, m.requests)
	want := map[string]float64{"2xx a ": 8 * each, "4xx a ": 4 * each, "5xx a ": 4 * each, "2xx b ": 8 * each, "4xx b ": 4 * each, "5xx b ": 4 * each}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	// And of those that the target answers with 5xx nothing is said of the edge.
	m.request(&proxy.Record{Listener: "c", ELBStatusCode: 503})
	m.request(&proxy.Record{Listener: "c", ELBStatusCode: 200, ErrorReason: proxy.ReasonTargetClosed})
	want = map[string]float64{"a NoTarget ": 4 * each, "b NoTarget ": 4 * each, "c TargetClosed ": 1}
	if got := counted(t, m.failures); !maps.Equal(got, want) {
		t.Errorf("counted failures %v, want %v", got, want)
	}
}

// counted are the values of a counter by those of its labels.
func counted(t *testing.T, counter *prometheus.CounterVec) map[string]float64 {
	registry := prometheus.NewRegistry()
	registry.MustRegister(counter)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("gathered %v, %v", families, err)
	}
	got := map[string]float64{}
	for _, one := range families[0].GetMetric() {
		name := ""
		for _, label := range one.GetLabel() {
			name += label.GetValue() + " "
		}
		got[name] = one.GetCounter().GetValue()
	}
	return got
}

func BenchmarkRequestCounted(b *testing.B) {
	m := newMetrics(&Server{})
	r := &proxy.Record{Listener: "public", ELBStatusCode: 200}
	b.ReportAllocs()
	for b.Loop() {
		m.request(r)
	}
}

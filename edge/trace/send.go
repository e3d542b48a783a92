package trace

import (
	"context"
	"fmt"
	"os"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// scope names the code that makes the spans.
const scope = "github.com/sallyport/sallyport"

type resource struct {
	about   *resourcepb.Resource
	version string
}

func resourceOf(service, version string) resource {
	r := resource{&resourcepb.Resource{}, version}
	host, _ := os.Hostname() // without one, there is no attribute
	for _, a := range [][2]string{{"service.name", service}, {"service.version", version}, {"host.name", host}} {
		if a[1] != "" {
			value := &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: safe(a[1])}}
			r.about.Attributes = append(r.about.Attributes, &commonpb.KeyValue{Key: a[0], Value: value})
		}
	}
	return r
}

// Run sends what is handed over until ctx is done, and then, for two seconds at
// the most, what is left. It returns nil. Call it once.
func (t *Tracer) Run(ctx context.Context) error {
	defer t.transport.CloseIdleConnections()
	// One deadline for all that is left: the batch under way and the queue.
	last, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(t.last, over) })
	defer stop()
	var batch []Span
	ticker := time.NewTicker(batchTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			t.finish(last, batch)
			return nil
		case spans := <-t.queue:
			if batch = append(batch, spans...); len(batch) < batchSize {
				continue
			}
		case <-ticker.C:
			if len(batch) == 0 {
				continue
			}
		}
		t.send(last, batch)
		clear(batch) // what they hold is not held for the next
		batch = batch[:0]
	}
}

// finish sends what is left, until ctx is done.
func (t *Tracer) finish(ctx context.Context, batch []Span) {
	for {
		select {
		case spans := <-t.queue:
			batch = append(batch, spans...)
			continue
		default:
		}
		break
	}
	for len(batch) > 0 {
		n := min(len(batch), batchSize)
		t.upload(ctx, batch[:n])
		batch = batch[n:]
	}
	t.client.Stop(ctx) // no request is under way any more
}

// send is upload within the time that a collector has for a batch.
func (t *Tracer) send(ctx context.Context, batch []Span) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	t.upload(ctx, batch)
}

// upload has the collector take the spans, and counts them.
func (t *Tracer) upload(ctx context.Context, batch []Span) {
	messages := make([]*tracepb.Span, len(batch))
	for i := range batch {
		messages[i] = batch[i].message()
	}
	err := t.client.UploadTraces(ctx, []*tracepb.ResourceSpans{{
		Resource: t.resource.about,
		ScopeSpans: []*tracepb.ScopeSpans{{
			Scope: &commonpb.InstrumentationScope{Name: scope, Version: t.resource.version},
			Spans: messages,
		}},
	}})
	failed, text := 0, ""
	if err != nil {
		failed, text = len(batch), safe(err.Error())
	} else if n := t.answers.rejected; n > 0 {
		failed, text = int(min(n, int64(len(batch)))), safe(fmt.Sprintf("%d spans rejected: %s", n, t.answers.why))
	}
	t.counts.exported.Add(uint64(len(batch) - failed))
	t.counts.failed.Add(uint64(failed))
	if failed == 0 {
		if t.trouble.Swap(nil) != nil {
			t.log.Info("collector takes spans again", "endpoint", t.endpoint)
		}
		return
	}
	if t.trouble.Swap(&text) == nil { // once until it is over; metrics count the rest
		t.log.Warn("spans lost: collector does not take them", "endpoint", t.endpoint, "spans", failed, "cause", text)
	}
}

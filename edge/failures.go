package edge

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/connlog"
)

// failuresKept is how many refused connections "sallyport failures" can show.
const failuresKept = 1000

// failures are the last refused connections, and who wants to know of the next.
type failures struct {
	last *connlog.Ring

	mu        sync.Mutex
	followers map[*follower]struct{}
}

// follower is one that is told of failures as they happen. A flood of them must
// not wait for it: what it has no time for is counted.
type follower struct {
	query  admin.FailureQuery
	queue  chan connlog.Record
	missed uint64 // since the last that was queued
}

// followerQueue is how far a follower may be behind.
const followerQueue = 256

func newFailures() *failures {
	return &failures{last: connlog.NewRing(failuresKept), followers: map[*follower]struct{}{}}
}

func (f *failures) add(r connlog.Record) {
	f.last.Add(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	for one := range f.followers {
		if !asksFor(&one.query, &r) {
			continue
		}
		select {
		case one.queue <- r:
		default:
			one.missed++
		}
	}
}

// missedBy returns what a follower has missed since it was last asked.
func (f *failures) missedBy(one *follower) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	missed := one.missed
	one.missed = 0
	return missed
}

func (f *failures) follow(q admin.FailureQuery) (one *follower, stop func()) {
	one = &follower{query: q, queue: make(chan connlog.Record, followerQueue)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers[one] = struct{}{}
	return one, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.followers, one)
	}
}

// asksFor says whether a query asks for a record.
func asksFor(q *admin.FailureQuery, r *connlog.Record) bool {
	within := func(part, text string) bool {
		return part == "" || strings.Contains(strings.ToLower(text), strings.ToLower(part))
	}
	switch {
	case len(q.Codes) > 0 && !slices.Contains(q.Codes, r.Status),
		q.Network.IsValid() && !q.Network.Contains(r.Client.Addr().Unmap().WithZone("")),
		q.Listener != "" && q.Listener != r.Listener,
		!within(q.Issuer, r.LeafIssuer), !within(q.Subject, r.LeafSubject),
		q.Serial != "" && (r.LeafSerial == "" || !admin.SameSerial(q.Serial, r.LeafSerial)),
		!q.Since.IsZero() && r.Time.Before(q.Since), !q.Until.IsZero() && !r.Time.Before(q.Until):
		return false
	}
	return true
}

// failureJSON is the record as the connection log has it, with what would have
// to change.
func failureJSON(r *connlog.Record) json.RawMessage {
	object := strings.TrimRight(string(r.AppendJSON(nil)), "\n")
	advice, _ := json.Marshal(r.Status.Advice()) // a string always has a JSON form
	return json.RawMessage(strings.TrimSuffix(object, "}") + `,"advice":` + string(advice) + "}")
}

func (v adminView) Failures(q admin.FailureQuery, n int) []json.RawMessage {
	list := []json.RawMessage{}
	for _, record := range v.s.failures.last.Last(failuresKept) {
		if len(list) == n {
			break
		}
		if asksFor(&q, &record) {
			list = append(list, failureJSON(&record))
		}
	}
	return list
}

func (v adminView) FollowFailures(ctx context.Context, q admin.FailureQuery) <-chan admin.FailureEvent {
	one, stop := v.s.failures.follow(q)
	events := make(chan admin.FailureEvent)
	go func() {
		defer close(events)
		defer stop()
		for {
			var record connlog.Record
			select {
			case record = <-one.queue:
			case <-ctx.Done():
				return
			}
			select {
			case events <- admin.FailureEvent{Failure: failureJSON(&record), Missed: v.s.failures.missedBy(one)}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/reason"
)

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// What a client asks for reaches the edge as it was meant.
func TestFailureQuery(t *testing.T) {
	for _, q := range []FailureQuery{
		{},
		{
			Codes: []reason.Code{reason.ClientCertExpired, reason.ClientCertCrlHit}, Network: netip.MustParsePrefix("192.0.2.0/24"),
			Listener: "public", Issuer: "CN=A & B", Subject: "ü", Serial: "03:a5",
			Since: time.Date(2026, 5, 1, 12, 0, 0, 7, time.UTC), Until: time.Date(2026, 5, 1, 13, 0, 0, 0, time.UTC),
		},
	} {
		edge := &fakeEdge{}
		var list []json.RawMessage
		if err := serve(t, edge).Get(t.Context(), "/failures?n=5&"+q.Values().Encode(), &list); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(q, edge.asked, samePrefix); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFailureQueryRefuses(t *testing.T) {
	client := serve(t, &fakeEdge{})
	for query, want := range map[string]string{
		"reason=Expired":       `"Expired"`,
		"address=office":       `"office"`,
		"since=yesterday":      `yesterday`,
		"issuers=CN%3DRoot":    `"issuers"`,
		"n=0":                  `n="0"`,
		"address=192.0.2.1/99": `"192.0.2.1/99"`,
	} {
		var list []json.RawMessage
		if err := client.Get(t.Context(), "/failures?"+query, &list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want it refused and %s named", query, err, want)
		}
		if query == "n=0" {
			continue
		}
		if err := client.Get(t.Context(), "/failures/stream?"+query, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("stream of %s: got %v, want it refused and %s named", query, err, want)
		}
	}
}

func TestSameSerial(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"03A5B1", "3a5b1", true}, {"03:A5:B1", "03A5B1", true}, {"00", "0", true}, {"10", "1", false}, {"", "01", false}} {
		if got := SameSerial(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

// collector ends a download once it has seen what it waits for.
type collector struct {
	text strings.Builder
	want string
}

var errSeen = errors.New("seen")

func (c *collector) Write(p []byte) (int, error) {
	c.text.Write(p)
	if strings.Contains(c.text.String(), c.want) {
		return 0, errSeen
	}
	return len(p), nil
}

func TestFollow(t *testing.T) {
	edge := &fakeEdge{events: []FailureEvent{{Failure: []byte(`{"n":1}`)}, {Failure: []byte(`{"n":2}`), Missed: 7}}}
	client := serve(t, edge)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := &collector{want: `{"n":2}`}
	if err := client.Download(ctx, "/failures/stream?listener=public", c); !errors.Is(err, errSeen) {
		t.Fatalf("%v after %q", err, c.text.String())
	}
	want := ": following\n\nevent: failure\ndata: {\"n\":1}\n\nevent: missed\ndata: 7\n\nevent: failure\ndata: {\"n\":2}\n\n"
	if got := c.text.String(); got != want || edge.asked.Listener != "public" {
		t.Errorf("got %q for %+v, want %q", got, edge.asked, want)
	}
}

package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// FailureQuery says which refused connections are asked for. The zero value
// asks for all; what is given must all hold.
type FailureQuery struct {
	Codes    []reason.Code // one of them
	Network  netip.Prefix  // of the client
	Listener string
	Issuer   string // part of the presented leaf's issuer, in any case
	Subject  string // part of its subject, in any case
	Serial   string // its serial number in hexadecimal, in any case, with or without leading zeros and colons
	Since    time.Time
	Until    time.Time
}

// Values is the query as the API takes it.
func (q *FailureQuery) Values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	for _, code := range q.Codes {
		v.Add("reason", code.String())
	}
	if q.Network.IsValid() {
		set("address", q.Network.String())
	}
	set("listener", q.Listener)
	set("issuer", q.Issuer)
	set("subject", q.Subject)
	set("serial", q.Serial)
	if !q.Since.IsZero() {
		set("since", q.Since.Format(time.RFC3339Nano))
	}
	if !q.Until.IsZero() {
		set("until", q.Until.Format(time.RFC3339Nano))
	}
	return v
}

// parseFailureQuery reads what Values wrote. Parameters that it does not know
// are an error: a filter with a slip in it would show what was not asked for.
func parseFailureQuery(v url.Values, others ...string) (FailureQuery, error) {
	var q FailureQuery
	for name, values := range v {
		var err error
		switch name {
		case "reason":
			for _, text := range values {
				var code reason.Code
				if err = code.UnmarshalText([]byte(text)); err != nil {
					break
				}
				q.Codes = append(q.Codes, code)
			}
		case "address":
			q.Network, err = ParseNetwork(values[0])
		case "listener":
			q.Listener = values[0]
		case "issuer":
			q.Issuer = values[0]
		case "subject":
			q.Subject = values[0]
		case "serial":
			q.Serial = values[0]
		case "since":
			q.Since, err = time.Parse(time.RFC3339Nano, values[0])
		case "until":
			q.Until, err = time.Parse(time.RFC3339Nano, values[0])
		default:
			if !slices.Contains(others, name) {
				err = fmt.Errorf("parameter %q: want one of reason, address, listener, issuer, subject, serial, since, until", name)
			}
		}
		if err != nil {
			return FailureQuery{}, err
		}
	}
	return q, nil
}

// ParseNetwork reads ADDRESS or ADDRESS/BITS.
func ParseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("address %q: want an IP address, or ADDRESS/BITS", text)
	}
	return prefix.Masked(), nil
}

// SameSerial reports whether two serial numbers in hexadecimal are the same.
func SameSerial(a, b string) bool {
	plain := func(s string) string {
		return strings.TrimLeft(strings.ReplaceAll(strings.ToUpper(s), ":", ""), "0")
	}
	return plain(a) == plain(b)
}

func (s *Server) handleFailures(mux *http.ServeMux) {
	mux.HandleFunc("GET /failures", func(w http.ResponseWriter, r *http.Request) {
		q, err := parseFailureQuery(r.URL.Query(), "n")
		n := 100
		if text := r.FormValue("n"); err == nil && text != "" {
			if n, err = strconv.Atoi(text); err != nil || n < 1 {
				err = fmt.Errorf("n=%q: want a number from 1", text)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, s.edge.Failures(q, n))
	})
	mux.HandleFunc("GET /failures/stream", s.untilShutdown(func(w http.ResponseWriter, r *http.Request) {
		q, err := parseFailureQuery(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.streamFailures(w, r, q)
	}))
}

// streamFailures sends each refused connection when it happens, as server-sent
// events (WHATWG HTML, section 9.2), until the client goes away.
func (s *Server) streamFailures(w http.ResponseWriter, r *http.Request, q FailureQuery) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(format string, args ...any) bool {
		control.SetWriteDeadline(time.Now().Add(answerTime * 5))
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && control.Flush() == nil
	}
	events := s.edge.FollowFailures(ctx, q)
	if !send(": following\n\n") {
		return
	}
	alive := time.NewTicker(15 * time.Second) // finds out that nobody reads any more
	defer alive.Stop()
	for {
		select {
		case event, ok := <-events:
			if !ok || event.Missed > 0 && !send("event: missed\ndata: %d\n\n", event.Missed) ||
				!send("event: failure\ndata: %s\n\n", event.Failure) {
				return
			}
		case <-alive.C:
			if !send(": alive\n\n") {
				return
			}
		}
	}
}

// FailureEvent is a refused connection that has just been, and how many before
// it there was no time for.
type FailureEvent struct {
	Failure json.RawMessage
	Missed  uint64
}

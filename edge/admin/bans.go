package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// Bans bans addresses and lifts bans. Its methods may be called concurrently.
type Bans interface {
	// Ban bans a network by hand.
	Ban(context.Context, BanRequest) (Ban, error)
	// Unban lifts the bans of a network and of all within it, and returns how many
	// those were.
	Unban(context.Context, netip.Prefix) (int, error)
	// All yields the bans in force, those of a dry run among them, in no order.
	All() iter.Seq[Ban]
	// Watch calls each for a sample of the packets that the kernel drops from now
	// on, until ctx is done or each returns an error, which it returns. One call
	// may run at a time.
	Watch(ctx context.Context, each func(DroppedPacket) error) error
}

// BanRequest bans a network by hand.
type BanRequest struct {
	Prefix netip.Prefix    `json:"prefix"`
	For    config.Duration `json:"for,omitempty"` // 0: until it is lifted
	Why    string          `json:"why,omitempty"`
	Force  bool            `json:"force,omitempty"` // even if WideNetwork warns of it
}

// Ban is one network that is turned away.
type Ban struct {
	Prefix netip.Prefix `json:"prefix"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until,omitzero"`   // zero: until it is lifted
	Reason string       `json:"reason,omitempty"` // code of the failure that was one too many; none by hand
	Why    string       `json:"why,omitempty"`
	By     string       `json:"by"`
	Repeat int          `json:"repeat,omitempty"` // bans of this network before
	Score  float64      `json:"score,omitempty"`  // sum of weights that led to it
	Direct bool         `json:"direct"`           // the kernel may drop its packets
	DryRun bool         `json:"dry_run,omitempty"`
	// What the kernel has dropped for it.
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// DroppedPacket is one packet that met a ban or the SYN limit in the kernel.
type DroppedPacket struct {
	Time      time.Time      `json:"time"`
	From      netip.Addr     `json:"from"`
	To        netip.AddrPort `json:"to"`
	Interface string         `json:"interface"`
	Bytes     int            `json:"bytes"` // of the frame
	Verdict   string         `json:"verdict"`
	Reason    string         `json:"reason,omitempty"` // of the ban; none by hand
}

// BanStatus is what is in force, and where.
type BanStatus struct {
	Mode       string         `json:"mode"`
	Datapath   string         `json:"datapath"`      // xdp or userspace
	Why        string         `json:"why,omitempty"` // user space
	Interfaces []BanInterface `json:"interfaces,omitempty"`
	InForce    uint64         `json:"in_force"`
	InKernel   int            `json:"in_kernel"`
	Pending    int            `json:"pending"` // changes that the kernel has not taken yet
	// Degraded says that XDP is to be attached to an interface and is not: what comes
	// in there is judged in user space.
	Degraded bool `json:"degraded,omitempty"`
}

// BanInterface is an interface on which packets are dropped.
type BanInterface struct {
	Name      string    `json:"name"`
	Mode      string    `json:"mode"` // native or generic
	Since     time.Time `json:"since"`
	Program   uint32    `json:"program"`
	NotNative string    `json:"not_native,omitempty"` // why generic, where either was allowed
	Problem   string    `json:"problem,omitempty"`    // why nothing is dropped here
}

// maxBanRequest bounds a request's body, in bytes.
const maxBanRequest = 64 << 10

func (s *Server) handleBans(mux *http.ServeMux) {
	mux.HandleFunc("GET /bans", func(w http.ResponseWriter, r *http.Request) { s.listBans(w) })
	mux.HandleFunc("GET /bans/packets", s.watchPackets)
	mux.HandleFunc("POST /bans", func(w http.ResponseWriter, r *http.Request) {
		var request BanRequest
		decoder := json.NewDecoder(io.LimitReader(r.Body, maxBanRequest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			refuse(w, badRequest{fmt.Errorf("decode request: %w", err)})
			return
		}
		note(r, slog.String("prefix", request.Prefix.String()), slog.String("for", banTime(request.For)), slog.String("why", request.Why), slog.Bool("force", request.Force))
		if err := CheckNetwork(request.Prefix); err != nil {
			refuse(w, badRequest{err})
			return
		}
		made, err := s.edge.Bans().Ban(r.Context(), request)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, made)
	})
	mux.HandleFunc("DELETE /bans", func(w http.ResponseWriter, r *http.Request) {
		text := r.URL.Query().Get("prefix")
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			refuse(w, badRequest{fmt.Errorf("prefix %q: want ADDRESS/BITS", text)})
			return
		}
		note(r, slog.String("prefix", prefix.String()))
		if err := CheckNetwork(prefix); err != nil {
			refuse(w, badRequest{err})
			return
		}
		n, err := s.edge.Bans().Unban(r.Context(), prefix)
		note(r, slog.Int("lifted", n)) // also where that could not be saved: they are
		switch {
		case err != nil:
			refuse(w, err)
		case n == 0:
			refuse(w, &NotFoundError{fmt.Errorf("unban %s: no ban of it or within it is in force", prefix)})
		default:
			answer(w, map[string]int{"lifted": n})
		}
	})
}

// banTime is how long a ban was asked for.
func banTime(d config.Duration) string {
	if d == 0 {
		return "ever"
	}
	return d.String()
}

// CheckNetwork returns an error for what is neither an address nor a network: one
// of them was meant, and banning the network for the address would be a mistake
// of a million addresses.
func CheckNetwork(p netip.Prefix) error {
	if !p.IsValid() || p == p.Masked() {
		return nil // whoever bans says what is wrong with none
	}
	return fmt.Errorf("%s is an address within a network: want %s for the network, or %s for the address alone", p, p.Masked(), p.Addr())
}

// The shortest prefixes that are banned by hand without being forced.
const (
	shortestIPv4 = 8
	shortestIPv6 = 16
)

// WideNetwork returns an error for a network so large that it is hardly meant: its
// ban is a slip, or shuts out half of the world.
func WideNetwork(p netip.Prefix) error {
	bits, shortest := p.Bits(), shortestIPv6
	if a := p.Addr(); a.Is4() {
		shortest = shortestIPv4
	} else if a.Is4In6() && bits >= 96 {
		bits, shortest = bits-96, shortestIPv4
	}
	if !p.IsValid() || bits >= shortest {
		return nil // whoever bans says what is wrong with none
	}
	return badRequest{fmt.Errorf("ban %s: want a prefix of /%d or longer, or force (--force) for a ban of so many addresses", p, shortest)}
}

// listBans answers with an array that is written as it is read: a million bans
// are never in memory at once.
func (s *Server) listBans(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	separator := "[\n"
	for b := range s.edge.Bans().All() {
		text, err := json.Marshal(b)
		if err != nil {
			return // what is left out must not look like all there is
		}
		out.WriteString(separator)
		if _, err := out.Write(text); err != nil {
			return // the client is gone
		}
		separator = ",\n"
	}
	if separator == "[\n" {
		out.WriteByte('[')
	}
	out.WriteString("\n]\n")
	out.Flush()
}

// watchPackets answers with a line of JSON for each packet, until the client is
// gone.
func (s *Server) watchPackets(w http.ResponseWriter, r *http.Request) {
	encoder, control, said := json.NewEncoder(w), http.NewResponseController(w), false
	err := s.edge.Bans().Watch(r.Context(), func(p DroppedPacket) error {
		said = true
		return errors.Join(encoder.Encode(p), control.Flush())
	})
	if err != nil && !said {
		refuse(w, err)
	}
}

// ReadPackets calls each for every packet that GET /bans/packets answers with,
// as it comes in. It returns nil when the edge has ended.
func ReadPackets(r io.Reader, each func(DroppedPacket) error) error {
	decoder := json.NewDecoder(r)
	for {
		var p DroppedPacket
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("decode packet: %w", err)
		}
		if err := each(p); err != nil {
			return err
		}
	}
}

// ReadBans calls each for every ban of the array that GET /bans has answered
// with, as it comes in.
func ReadBans(r io.Reader, each func(Ban) error) error {
	decoder := json.NewDecoder(r)
	switch token, err := decoder.Token(); {
	case err != nil:
		return fmt.Errorf("list bans: %w", err)
	case token != json.Delim('['):
		return errors.New("decode bans: want an array")
	}
	for decoder.More() {
		var b Ban
		if err := decoder.Decode(&b); err != nil {
			return fmt.Errorf("decode ban: %w", err)
		}
		if err := each(b); err != nil {
			return err
		}
	}
	_, err := decoder.Token() // ] or the answer was cut off
	return err
}

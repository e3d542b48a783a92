package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// Bans bans addresses and lifts bans. Its methods may be called concurrently.
type Bans interface {
	// Ban bans a network by hand.
	Ban(BanRequest) (Ban, error)
	// Unban lifts the bans of a network and of all within it, and returns how many
	// those were.
	Unban(netip.Prefix) (int, error)
	// All yields the bans in force, those of a dry run among them, in no order.
	All() iter.Seq[Ban]
}

// BanRequest bans a network by hand.
type BanRequest struct {
	Prefix netip.Prefix    `json:"prefix"`
	For    config.Duration `json:"for,omitempty"` // 0: until it is lifted
	Why    string          `json:"why,omitempty"`
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

// BanStatus is what is in force, and where.
type BanStatus struct {
	Mode       string         `json:"mode"`
	Datapath   string         `json:"datapath"`      // xdp or userspace
	Why        string         `json:"why,omitempty"` // user space
	Interfaces []BanInterface `json:"interfaces,omitempty"`
	InForce    uint64         `json:"in_force"`
	InKernel   int            `json:"in_kernel"`
	Pending    int            `json:"pending"` // changes that the kernel has not taken yet
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
	mux.HandleFunc("POST /bans", func(w http.ResponseWriter, r *http.Request) {
		var request BanRequest
		decoder := json.NewDecoder(io.LimitReader(r.Body, maxBanRequest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			refuse(w, badRequest{fmt.Errorf("decode request: %w", err)})
			return
		}
		made, err := s.edge.Bans().Ban(request)
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
		n, err := s.edge.Bans().Unban(prefix)
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

// listBans answers with an array that is written as it is read: a million bans
// are never in memory at once.
func (s *Server) listBans(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	separator := "[\n"
	for b := range s.edge.Bans().All() {
		text, err := json.Marshal(b)
		if err == nil {
			_, err = fmt.Fprintf(w, "%s%s", separator, text)
		}
		if err != nil {
			return // the client is gone
		}
		separator = ",\n"
	}
	if separator == "[\n" {
		fmt.Fprint(w, "[")
	}
	fmt.Fprint(w, "\n]\n")
}

// ReadBans calls each for every ban of the array that GET /bans has answered
// with, as it comes in.
func ReadBans(r io.Reader, each func(Ban) error) error {
	decoder := json.NewDecoder(r)
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return errors.Join(errors.New("decode bans: want an array"), err)
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

package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/sallyport/sallyport/edge/config"
)

// UpgradeRequest asks an edge to hand over to a new process of its program.
type UpgradeRequest struct {
	// Program is the path of the new program, "" for that of the one that runs.
	Program string `json:"program,omitempty"`
	// IfNew has the edge reload instead if that program is the one that runs.
	IfNew bool `json:"if_new,omitempty"`
	// Timeout is how long the new process may take to be ready; 0 is two minutes.
	Timeout config.Duration `json:"timeout,omitempty"`
}

// Upgraded says what has become of it.
type Upgraded struct {
	PID     int    `json:"pid,omitempty"`     // of the new process
	Program string `json:"version,omitempty"` // its version
	// Reloaded is that the program was the same, and the configuration was read again.
	Reloaded bool `json:"reloaded,omitempty"`
}

// Predecessor is the process that an edge has taken over from, while it drains.
type Predecessor struct {
	PID         int `json:"pid"`
	Connections int `json:"connections"`
	// Earlier are those before it that drain, too, the latest first.
	Earlier []Predecessor `json:"earlier,omitempty"`
}

// MovedError refuses a change because another process has taken the edge's place,
// and answers on the same socket.
type MovedError struct{ PID int }

func (e *MovedError) Error() string {
	return fmt.Sprintf("this edge has handed over to process %d: repeat the command", e.PID)
}

// Rights are what the process may do.
type Rights struct {
	User         string   `json:"user"`
	UID          int      `json:"uid"`
	Capabilities []string `json:"capabilities"`
	// Beyond are those of Capabilities that nothing in the configuration needs.
	Beyond  []string `json:"beyond_need"`
	Problem string   `json:"problem,omitempty"` // why this is not known
}

// maxUpgradeRequest bounds a request's body, in bytes.
const maxUpgradeRequest = 64 << 10

func (s *Server) handleUpgrade(mux *http.ServeMux) {
	mux.HandleFunc("POST /upgrade", func(w http.ResponseWriter, r *http.Request) {
		var request UpgradeRequest
		decoder := json.NewDecoder(io.LimitReader(r.Body, maxUpgradeRequest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil && !errors.Is(err, io.EOF) {
			refuse(w, badRequest{fmt.Errorf("decode request: %w", err)})
			return
		}
		note(r, slog.String("program", request.Program), slog.Bool("if_new", request.IfNew))
		done, err := s.edge.Upgrade(r.Context(), request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		note(r, slog.Int("new_pid", done.PID), slog.Bool("reloaded", done.Reloaded))
		answer(w, done)
	})
}

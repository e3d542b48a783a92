package main

import (
	"fmt"
	"io"

	"github.com/sallyport/sallyport/edge/admin"
)

func printSteering(w io.Writer, s *admin.Steering) error {
	if s == nil {
		return nil
	}
	fmt.Fprintf(w, "\nsteering: by %s", s.Datapath)
	if s.Program != 0 {
		fmt.Fprintf(w, ", program %d", s.Program)
	}
	if s.Why != "" {
		fmt.Fprintf(w, ": %s", s.Why)
	}
	fmt.Fprintln(w)
	if len(s.Destinations) == 0 {
		return nil
	}
	var rows [][]string
	for _, d := range s.Destinations {
		rows = append(rows, []string{d.Listener, d.Destination, fmt.Sprint(d.Steered), fmt.Sprint(d.NoSocket), fmt.Sprint(d.Failed)})
	}
	return table(w, "LISTENER DESTINATION STEERED NO_SOCKET FAILED", rows)
}

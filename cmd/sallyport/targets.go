package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/edge/admin"
)

// printTargets prints each target with its state and the last check of it.
func printTargets(w io.Writer, targets []admin.Target) error {
	if len(targets) == 0 {
		return nil
	}
	var rows [][]string
	for _, t := range targets {
		state, why := t.State, t.Reason
		if !t.EjectedUntil.IsZero() {
			state += ", ejected until " + stamp(t.EjectedUntil)
		}
		if t.Description != "" {
			why += ": " + t.Description
		}
		var last string
		if c := t.LastCheck; c != nil {
			last = stamp(c.Time) + " " + c.Status
			if c.StatusCode != nil {
				last += fmt.Sprintf(" %d", *c.StatusCode)
			}
			if c.Status != "PASS" {
				// What a target says must not act on the terminal.
				why = strings.TrimPrefix(fmt.Sprintf("%s; %s (%+q)", why, c.ReasonCode, c.Detail), "; ")
			}
		}
		rows = append(rows, []string{t.TargetGroup, t.Target, state, stamp(t.Since), fmt.Sprint(t.Requests), last, why})
	}
	fmt.Fprintln(w)
	return table(w, "TARGET_GROUP TARGET STATE SINCE REQUESTS LAST_CHECK WHY", rows)
}

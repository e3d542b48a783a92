package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/pluginhost"
)

func pluginsCommand() *cobra.Command {
	return listing("plugins", "Show the plugins: whether they serve, what they are told, what they said", "/plugins", printPlugins)
}

func printPlugins(w io.Writer, plugins []pluginhost.Status) error {
	for _, p := range plugins {
		fmt.Fprintf(w, "plugin %s: %s", p.Name, p.State)
		if p.PID != 0 {
			fmt.Fprintf(w, ", pid %d", p.PID)
		}
		fmt.Fprintf(w, ", %s %s, since %s\n", p.Program, p.Version, stamp(p.Started))
		if p.Trouble != "" {
			fmt.Fprintf(w, "  started again %d times; last: %s\n", p.Restarts, p.Trouble)
		}
		if !p.NextStart.IsZero() {
			fmt.Fprintf(w, "  next start at %s\n", stamp(p.NextStart))
		}
		fmt.Fprintf(w, "  hooks: %s; calls at once: %d\n", strings.Join(p.Hooks, ", "), p.Concurrency)
		fmt.Fprintf(w, "  is told: %s\n", strings.Join(p.Needs, ", "))
		if len(p.Owns) > 0 {
			fmt.Fprintf(w, "  owns: %s\n", strings.Join(p.Owns, ", "))
		}
		var rows [][]string
		for _, hook := range slices.Sorted(maps.Keys(p.Stats)) {
			s := p.Stats[hook]
			var failed []string
			for _, kind := range slices.Sorted(maps.Keys(s.Failed)) {
				failed = append(failed, fmt.Sprintf("%s %d", kind, s.Failed[kind]))
			}
			mean := "-"
			if s.Calls > 0 {
				mean = fmt.Sprintf("%.3fms", s.Mean*1000)
			}
			rows = append(rows, []string{"  " + hook, fmt.Sprint(s.Calls), mean, fmt.Sprint(s.Cached), fmt.Sprint(s.Denied), strings.Join(failed, ", "), fmt.Sprint(s.AllowedOnError)})
		}
		if err := table(w, "  HOOK CALLS MEAN CACHED DENIED NO_VERDICT LET_IN_ALL_THE_SAME", rows); err != nil {
			return err
		}
		rows = nil
		for _, s := range p.Sandbox {
			state := "NOT IN FORCE"
			if s.InForce {
				state = "in force"
			}
			rows = append(rows, []string{"  " + s.Name, state, s.Detail})
		}
		if len(rows) > 0 {
			if err := table(w, "  SANDBOX STATE DETAIL", rows); err != nil {
				return err
			}
		}
		fmt.Fprintln(w)
	}
	return nil
}

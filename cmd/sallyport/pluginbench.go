package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/plugintest"
)

func pluginBenchCommand() *cobra.Command {
	var t trial
	var duration time.Duration
	var callers int
	cmd := &cobra.Command{
		Use:   "bench PROGRAM CASES.yaml",
		Short: "Measure what a plugin costs",
		Long: "Start a plugin in its sandbox and ask it the first case of a file again and again, without a\n" +
			"cache: by one caller, each call after the other's answer, and by many at once. CPU is that of the\n" +
			"host, with what it takes to measure, and that of the plugin.",
		Args: t.args(1, 1, "CASES.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case duration < 10*time.Millisecond || duration > 10*time.Minute:
				return usageError{fmt.Errorf("--duration %v: want 10ms to 10m", duration)}
			case callers < 2 || callers > 1024:
				return usageError{fmt.Errorf("--callers %d: want 2 to 1024", callers)}
			}
			return t.try(args, cmd.ErrOrStderr(), func(ctx context.Context, p *plugintest.Program, args []string) error {
				f, err := plugintest.Load(args[0])
				if err != nil {
					return err
				}
				list, err := p.Bench(ctx, f, duration, 1, callers)
				if err != nil {
					return err
				}
				if err := printMeasurements(cmd.OutOrStdout(), list, t.json); err != nil {
					return err
				}
				for _, m := range list {
					if m.Failed > 0 {
						return fmt.Errorf("%d of %d calls got no verdict: what was measured is not what the plugin costs", m.Failed, m.Calls)
					}
				}
				return nil
			})
		},
	}
	t.flags(cmd)
	cmd.Flags().DurationVar(&duration, "duration", 2*time.Second, "how long each of the two runs takes")
	cmd.Flags().IntVar(&callers, "callers", 32, "how many ask at once in the second run")
	return cmd
}

func printMeasurements(w io.Writer, list []plugintest.Measurement, asJSON bool) error {
	if asJSON {
		return printJSON(w, list)
	}
	micro := func(seconds float64) string { return fmt.Sprintf("%.1fµs", seconds*1e6) }
	var rows [][]string
	for _, m := range list {
		plugin := "-"
		if m.PluginCPU > 0 {
			plugin = micro(m.PluginCPU)
		}
		rows = append(rows, []string{fmt.Sprint(m.Callers), fmt.Sprintf("%.0f", m.PerSecond), micro(m.P50), micro(m.P99), micro(m.HostCPU), plugin})
	}
	return table(w, "CALLERS CALLS/S P50 P99 HOST_CPU/CALL PLUGIN_CPU/CALL", rows)
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/plugintest"
)

func pluginTestCommand() *cobra.Command {
	var t trial
	var onlyCases bool
	cmd := &cobra.Command{
		Use:   "test PROGRAM CASES.yaml",
		Short: "Ask a plugin the cases of a file, and treat it badly",
		Long: "Start a plugin in its sandbox, as the edge does, ask it the cases of a file and compare its\n" +
			"verdicts; then see that it is refused without it when it is killed or stopped, that it comes\n" +
			"back, and that it hangs up on nonsense. Exits with 1 when something is not as it should be.",
		Args: t.args(1, 1, "CASES.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.try(args, cmd.ErrOrStderr(), func(ctx context.Context, p *plugintest.Program, args []string) error {
				f, err := plugintest.Load(args[0])
				if err != nil {
					return err
				}
				report := testReport{}
				if report.Cases, err = p.Run(ctx, f); err != nil {
					return err
				}
				if !onlyCases {
					if report.Misbehaviour, err = p.Misbehave(ctx, f); err != nil {
						return err
					}
				}
				return report.print(cmd.OutOrStdout(), t.json)
			})
		},
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&onlyCases, "only-cases", false, "only ask the cases: kill nothing, send no nonsense")
	return cmd
}

// testReport is what test tells.
type testReport struct {
	Cases        []plugintest.Result `json:"cases"`
	Misbehaviour []plugintest.Result `json:"misbehaviour,omitempty"`
	Failed       int                 `json:"failed"`
}

// print says it, and refuses if something has failed.
func (r *testReport) print(w io.Writer, asJSON bool) error {
	all := append(r.Cases[:len(r.Cases):len(r.Cases)], r.Misbehaviour...)
	for _, result := range all {
		if result.Failed {
			r.Failed++
		}
	}
	if asJSON {
		if err := printJSON(w, r); err != nil {
			return err
		}
	} else {
		for _, result := range all {
			mark := "ok    "
			if result.Failed {
				mark = "FAILED"
			}
			fmt.Fprintf(w, "%s %s: %s\n", mark, result.Name, result.Got)
			for _, wrong := range result.Wrong {
				fmt.Fprintf(w, "         %s\n", wrong)
			}
		}
		fmt.Fprintf(w, "%d of %d as they should be\n", len(all)-r.Failed, len(all))
	}
	if r.Failed > 0 {
		return errRefused
	}
	return nil
}

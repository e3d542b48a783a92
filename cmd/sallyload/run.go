package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/report"
)

func runCommand() *cobra.Command {
	var plan planFlags
	var asJSON bool
	var htmlFile string
	cmd := &cobra.Command{
		Use:   "run [flags] URL",
		Short: "Load a server, and sum up what it took",
		Long: "Load a server by a plan, which flags make up or a file states (--plan; flags and the URL then win over\n" +
			"it). By default a unit is a full handshake with one request, in closed loop, for ten seconds.\n" +
			"Only this machine is loaded, unless --confirm-target says the target's HOST:PORT once more.\n" +
			"Ctrl-C ends a run early; what was measured until then is printed.\n\n" +
			"It exits with 1 if any unit failed, or was refused where --expect-refusal does not say so.",
		Example: "  sallyload run --rate 2000 --duration 30s --connections 64 --cert client.crt --key client.key --cacert ca.pem https://127.0.0.1:8443/\n" +
			"  sallyload run --rate 100..2000 --duration 5m --scenario request --cert client.crt --key client.key --html ramp.html https://127.0.0.1:8443/\n" +
			"  sallyload run --plan plan.yaml --json >result.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("unexpected argument %q: want one URL", args[1])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := plan.plan(cmd, args)
			if err != nil {
				return usageError{err}
			}
			ctx, stop := untilInterrupted()
			defer stop()
			return runPlan(ctx, p, output{stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), json: asJSON, htmlFile: htmlFile})
		},
	}
	plan.register(cmd)
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print the result as JSON, for programs and sallyload report; the summary goes to standard error")
	f.StringVar(&htmlFile, "html", "", "write a page with plots to `file`")
	return cmd
}

// output is where a run's result goes.
type output struct {
	stdout, stderr io.Writer
	json           bool
	htmlFile       string
}

// runPlan runs a plan and puts out what came of it, also when ctx ended it.
func runPlan(ctx context.Context, p loadtest.Plan, out output) error {
	live := newProgress(out.stderr)
	result, err := loadtest.Run(ctx, p, live.second)
	live.clear()
	if err != nil {
		return err
	}
	if err := out.put(result); err != nil {
		return err
	}
	u := result.Units
	if u.Failed > 0 || u.Refused > 0 && !p.ExpectRefusal || u.Done+u.Refused == 0 {
		return errFound
	}
	return nil
}

func (o output) put(r *loadtest.Result) error {
	summary := o.stdout
	if o.json {
		summary = o.stderr
		encoder := json.NewEncoder(o.stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("print result: %w", err)
		}
	}
	if err := report.Text(summary, r); err != nil {
		return fmt.Errorf("print summary: %w", err)
	}
	return writePage(o.htmlFile, r)
}

// writePage writes a page of results, if a file is named.
func writePage(file string, rs ...*loadtest.Result) error {
	if file == "" {
		return nil
	}
	var page bytes.Buffer
	if err := report.HTML(&page, rs...); err != nil {
		return err
	}
	return os.WriteFile(file, page.Bytes(), 0o644)
}

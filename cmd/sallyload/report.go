package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/report"
)

func reportCommand() *cobra.Command {
	var htmlFile string
	cmd := &cobra.Command{
		Use:   "report RESULT.json...",
		Short: "Sum up a result, or compare results with the first",
		Long: "Sum up the result that sallyload run --json printed; of several, compare each with the first. A difference\n" +
			"under ten per cent is called noise. With --html, a page shows them all in the same plots. - is standard input.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("want the file of a result")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if htmlFile != "" && len(args) > report.MaxResults {
				return usageError{fmt.Errorf("%d results: want at most %d on a page", len(args), report.MaxResults)}
			}
			var rs []*loadtest.Result
			for _, file := range args {
				r, err := readResult(cmd.InOrStdin(), file)
				if err != nil {
					return err
				}
				rs = append(rs, r)
			}
			if err := writePage(htmlFile, rs...); err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if len(rs) == 1 {
				return report.Text(w, rs[0])
			}
			for i, r := range rs[1:] {
				if i > 0 {
					fmt.Fprintln(w)
				}
				if err := report.Compare(w, rs[0], r); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&htmlFile, "html", "", "write a page with plots to `file`")
	return cmd
}

func readResult(stdin io.Reader, file string) (*loadtest.Result, error) {
	if file == "-" {
		return report.Read(stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := report.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/revocation"
)

// comparison is what is asked of two CRLs, each a file or a URL.
type comparison struct {
	before, after string
	limit         int
	json          bool
}

func crlDiffCommand() *cobra.Command {
	ask := comparison{}
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Tell in what two CRLs differ",
		Long: "Tell in what two CRLs, PEM or DER, each a file or an http or https URL, differ: numbers, dates, and which\n" +
			"certificates were revoked, released or given another reason. Lists are compared with those of the same issuer\n" +
			"and scope. Signatures are not looked at: crl inspect does that. Exits with 1 when there is a difference.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{fmt.Errorf("%d arguments: want BEFORE and AFTER", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if ask.limit < 0 {
				return usageError{fmt.Errorf("--limit %d: want 0 or more", ask.limit)}
			}
			ask.before, ask.after = args[0], args[1]
			return ask.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().IntVar(&ask.limit, "limit", 1000, "certificates named of each list at most; 0 for all. All are counted")
	jsonFlag(cmd, &ask.json)
	return cmd
}

// diffReport is the difference of two lists, or a list that only one file has.
type diffReport struct {
	Issuer  string       `json:"issuer"`
	Scope   string       `json:"scope"`
	Delta   bool         `json:"delta,omitempty"`
	Before  *listReport  `json:"before,omitempty"`
	After   *listReport  `json:"after,omitempty"`
	Added   int          `json:"added"`
	Removed int          `json:"removed"`
	Changed int          `json:"changed"`
	Entries []diffChange `json:"entries"` // as many as asked for
}

type diffChange struct {
	Serial string     `json:"serial"`
	Before *diffEntry `json:"before,omitempty"`
	After  *diffEntry `json:"after,omitempty"`
}

type diffEntry struct {
	Reason    string    `json:"reason"`
	RevokedAt time.Time `json:"revoked_at"`
}

func (ask *comparison) run(ctx context.Context, out, progress io.Writer) error {
	before, err := readLists(ctx, ask.before, progress)
	if err != nil {
		return err
	}
	after, err := readLists(ctx, ask.after, progress)
	if err != nil {
		return err
	}
	reports := []diffReport{}
	for _, pair := range pairs(before, after) {
		report, err := ask.compare(pair[0], pair[1])
		if err != nil {
			return fmt.Errorf("compare %s with %s: %w", ask.before, ask.after, err)
		}
		if report != nil {
			reports = append(reports, *report)
		}
	}
	if ask.json {
		err = printJSON(out, reports)
	} else {
		for _, r := range reports {
			r.print(out)
		}
	}
	if err == nil && len(reports) > 0 {
		return errRefused
	}
	return err
}

func readLists(ctx context.Context, from string, progress io.Writer) ([]*revocation.List, error) {
	bar := newProgressBar(progress, from)
	defer bar.end()
	path := from
	var err error
	if isURL(from) {
		var remove func()
		path, remove, err = download(ctx, from, &crlReport{}, bar.set)
		defer remove()
	}
	var lists []*revocation.List
	if err == nil {
		lists, err = revocation.ReadFile(ctx, path, revocation.Options{Progress: bar.set})
	}
	if err != nil {
		return nil, fmt.Errorf("read CRL %s: %w", from, err)
	}
	return lists, nil
}

// pairs puts lists beside those that stand for the same: of one issuer, scope
// and kind. What has none on the other side stands alone.
func pairs(before, after []*revocation.List) [][2]*revocation.List {
	type series struct {
		issuer revocation.NameKey
		scope  string
		delta  bool
	}
	of := func(l *revocation.List) series { return series{l.IssuerKey(), l.Scope(), l.BaseNumber() != nil} }
	waiting := map[series][]*revocation.List{}
	for _, l := range after {
		waiting[of(l)] = append(waiting[of(l)], l)
	}
	var all [][2]*revocation.List
	paired := map[*revocation.List]bool{}
	for _, l := range before {
		pair := [2]*revocation.List{l, nil}
		if others := waiting[of(l)]; len(others) > 0 {
			pair[1], waiting[of(l)] = others[0], others[1:]
			paired[others[0]] = true
		}
		all = append(all, pair)
	}
	for _, l := range after {
		if !paired[l] {
			all = append(all, [2]*revocation.List{nil, l})
		}
	}
	return all
}

// compare returns nil for two lists that are the same to the byte.
func (ask *comparison) compare(before, after *revocation.List) (*diffReport, error) {
	if before != nil && after != nil && before.Digest() == after.Digest() {
		return nil, nil
	}
	now := time.Now()
	r := &diffReport{Entries: []diffChange{}}
	for _, side := range []struct {
		list   *revocation.List
		report **listReport
	}{{before, &r.Before}, {after, &r.After}} {
		if side.list == nil {
			continue
		}
		report := reportList(side.list, nil, now)
		*side.report = &report
		r.Issuer = identity.Issuer(&x509.Certificate{RawIssuer: side.list.Issuer()})
		r.Scope, r.Delta = side.list.Scope(), side.list.BaseNumber() != nil
	}
	if before == nil || after == nil {
		return r, nil
	}
	limit := ask.limit
	if limit == 0 {
		limit = math.MaxInt
	}
	return r, revocation.Diff(before, after, func(c revocation.Change) bool {
		switch {
		case c.Before == nil:
			r.Added++
		case c.After == nil:
			r.Removed++
		default:
			r.Changed++
		}
		if len(r.Entries) < limit {
			r.Entries = append(r.Entries, diffChange{strings.ToUpper(hex.EncodeToString(c.Serial)), newDiffEntry(c.Before), newDiffEntry(c.After)})
		}
		return true
	})
}

func newDiffEntry(e *revocation.Entry) *diffEntry {
	if e == nil {
		return nil
	}
	return &diffEntry{e.Reason.String(), e.RevokedAt}
}

func (e *diffEntry) String() string { return fmt.Sprintf("%s at %s", e.Reason, stamp(e.RevokedAt)) }

func (r *diffReport) print(w io.Writer) {
	kind := "CRL"
	if r.Delta {
		kind = "delta CRL"
	}
	fmt.Fprintf(w, "%s of %s, covers %s\n", kind, r.Issuer, r.Scope)
	switch {
	case r.Before == nil:
		fmt.Fprintf(w, "+ the whole list: number %s, %s\n", r.After.Number, plural(r.After.Entries, "certificate"))
		return
	case r.After == nil:
		fmt.Fprintf(w, "- the whole list: number %s, %s\n", r.Before.Number, plural(r.Before.Entries, "certificate"))
		return
	}
	for _, row := range [][3]string{
		{"number", r.Before.Number, r.After.Number},
		{"base number", r.Before.BaseNumber, r.After.BaseNumber},
		{"this update", stamp(r.Before.ThisUpdate), stamp(r.After.ThisUpdate)},
		{"next update", stamp(r.Before.NextUpdate), stamp(r.After.NextUpdate)},
		{"signature", r.Before.Algorithm, r.After.Algorithm},
	} {
		if row[1] != row[2] {
			fmt.Fprintf(w, "  %-12s %s -> %s\n", row[0], row[1], row[2])
		}
	}
	for _, c := range r.Entries {
		switch {
		case c.Before == nil:
			fmt.Fprintf(w, "+ %s %s\n", c.Serial, c.After)
		case c.After == nil:
			fmt.Fprintf(w, "- %s %s\n", c.Serial, c.Before)
		default:
			fmt.Fprintf(w, "~ %s %s -> %s\n", c.Serial, c.Before, c.After)
		}
	}
	if left := r.Added + r.Removed + r.Changed - len(r.Entries); left > 0 {
		fmt.Fprintf(w, "  and %d more: --limit 0 names all\n", left)
	}
	fmt.Fprintf(w, "  %d added, %d removed, %d changed\n", r.Added, r.Removed, r.Changed)
}

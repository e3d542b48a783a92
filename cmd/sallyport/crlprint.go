package main

import (
	"fmt"
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sallyport/sallyport/revocation"
)

func (r *crlReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s in %.2f s, %s\n", r.File, sizeText(r.Bytes), r.Seconds, plural(len(r.Lists), "list"))
	for _, l := range r.Lists {
		kind := "CRL"
		if l.BaseNumber != "" {
			kind = "delta CRL to number " + l.BaseNumber
		}
		fmt.Fprintf(w, "\n%s of %s\n", kind, l.Issuer)
		next := stamp(l.NextUpdate)
		switch {
		case l.NextUpdate.IsZero():
			next = "none: counts as expired"
		case l.Expired:
			next += " EXPIRED"
		}
		for _, row := range [][2]string{
			{"covers", l.Scope}, {"number", l.Number}, {"this update", stamp(l.ThisUpdate)}, {"next update", next},
			{"entries", fmt.Sprint(l.Entries)}, {"signature", l.Algorithm + ", " + l.Signature}, {"unusable", l.Unusable},
			{"SHA-256", l.SHA256}, {"in memory", sizeText(l.MemoryBytes)},
		} {
			if row[1] != "" {
				fmt.Fprintf(w, "  %-12s %s\n", row[0], row[1])
			}
		}
	}
	fmt.Fprintf(w, "\nan edge: %s\n", r.Edge)
	if r.Guard != "" {
		fmt.Fprintf(w, "an edge fetches it only with revocation.fetch.allow: %s\n", r.Guard)
	}
	if c := r.Certificate; c != nil {
		fmt.Fprintf(w, "\n%s: %s", c.Subject, c.Status)
		if c.Why != "" {
			fmt.Fprintf(w, ": %s", c.Why)
		}
		if c.Reason != "" {
			fmt.Fprintf(w, " at %s (%s)", stamp(c.RevokedAt), c.Reason)
		}
		fmt.Fprintln(w)
	}
	return nil
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// sizeText prints bytes for people.
func sizeText(n int64) string {
	const unit = 1024
	size, names := float64(n), []string{"B", "KiB", "MiB", "GiB"}
	for len(names) > 1 && size >= unit {
		size, names = size/unit, names[1:]
	}
	if names[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, names[0])
}

// progressBar shows on a terminal how far the reading of a CRL is; elsewhere it
// shows nothing.
type progressBar struct {
	bars *mpb.Progress
	bar  *mpb.Bar
	done int // entries
}

func newProgressBar(w io.Writer, name string) *progressBar {
	b := &progressBar{}
	f, ok := w.(*os.File)
	if !ok {
		return b
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return b
	}
	b.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(50))
	b.bar = b.bars.AddBar(0, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f of % .1f"), decor.Any(func(decor.Statistics) string {
			return fmt.Sprintf("  %d entries", b.done)
		})))
	return b
}

func (b *progressBar) set(p revocation.Progress) {
	if b.bar == nil {
		return
	}
	b.done = p.Entries
	b.bar.SetTotal(max(p.Size, p.Bytes+1), false)
	b.bar.SetCurrent(p.Bytes)
}

func (b *progressBar) end() {
	if b.bar == nil {
		return
	}
	b.bar.Abort(true)
	b.bars.Wait()
}

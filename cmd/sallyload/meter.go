package main

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// meter shows how far steps have come: bars on a terminal, elsewhere a line for
// each that is over.
type meter struct{ out io.Writer }

// step does something in total parts, of which do says when some are done, from
// any goroutine.
func (m meter) step(name string, total int64, do func(done func(int64)) error) error {
	if total == 0 {
		return do(func(int64) {})
	}
	if !isTerminal(m.out) {
		began := time.Now()
		if err := do(func(int64) {}); err != nil {
			return err
		}
		fmt.Fprintf(m.out, "%s: made in %.2f s\n", name, time.Since(began).Seconds())
		return nil
	}
	bars := mpb.New(mpb.WithOutput(m.out), mpb.WithWidth(48))
	bar := bars.AddBar(total,
		mpb.PrependDecorators(decor.Name(name, decor.WC{W: 12, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 6}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
	err := do(bar.IncrInt64)
	if err != nil {
		bar.Abort(false)
	} else {
		bar.SetTotal(total, true)
	}
	bars.Wait()
	return err
}

package main

import (
	"io"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/report"
)

// progress keeps one line of a terminal up to date; where there is none, it
// writes nothing.
type progress struct {
	terminal io.Writer // nil: none
	shown    bool
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		return &progress{}
	}
	return &progress{terminal: w}
}

// eraseLine moves to the start of a line and clears it (ECMA-48: EL).
const eraseLine = "\r\x1b[K"

func (p *progress) second(s loadtest.Second) {
	if p.terminal != nil {
		io.WriteString(p.terminal, eraseLine+report.Line(s))
		p.shown = true
	}
}

func (p *progress) clear() {
	if p.shown {
		io.WriteString(p.terminal, eraseLine)
	}
}

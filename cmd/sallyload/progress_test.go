package main

import (
	"bytes"
	"testing"

	"github.com/sallyport/sallyport/loadtest"
)

func TestProgressKeepsToOneLine(t *testing.T) {
	var out bytes.Buffer
	p := progress{terminal: &out}
	p.clear()
	p.second(loadtest.Second{Done: 3})
	p.second(loadtest.Second{At: 1, Done: 4})
	p.clear()
	want := "\r\x1b[K1 s   3.00/s done   p50 0 ns   p99 0 ns\r\x1b[K2 s   4.00/s done   p50 0 ns   p99 0 ns\r\x1b[K"
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNoProgressWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.second(loadtest.Second{Done: 3})
	p.clear()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}

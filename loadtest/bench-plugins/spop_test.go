package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"testing"
)

// notify is the frame that HAProxy sends for a client of a unit. Beside it are
// arguments of every other type.
func notify(stream, frame uint64, unit string) []byte {
	b := beginSPOP(nil, spopNotify, stream, frame)
	b = append(appendText(b, "decide"), 9)
	b = append(appendText(b, "null"), spopNull)
	b = append(appendText(b, "true"), spopBool|0x10)
	for _, kind := range []byte{spopInt32, spopUint32, spopInt64, spopUint64} {
		b = appendNumber(append(appendText(b, "number"), kind), math.MaxUint64)
	}
	b = append(append(appendText(b, "v4"), spopIPv4), 127, 0, 0, 1)
	b = append(append(appendText(b, "v6"), spopIPv6), make([]byte, 16)...)
	b = appendText(append(appendText(b, "unit"), spopString), unit)
	return endSPOP(b, 0)
}

func TestNumbers(t *testing.T) {
	for _, v := range []uint64{0, 239, 240, 241, 2287, 2288, 264431, 264432, 1 << 31, math.MaxUint64} {
		b := appendNumber(nil, v)
		r := spopReader{b: b}
		if got := r.number(); got != v || r.bad || len(r.b) > 0 {
			t.Errorf("%d is written as %x, and read as %d", v, b, got)
		}
	}
	// By the document's table: 240 is 0xf0 0x00, 2287 0xff 0x7f, 2288 0xf0 0x80 0x00.
	for v, want := range map[uint64]string{240: "\xf0\x00", 2287: "\xff\x7f", 2288: "\xf0\x80\x00"} {
		if got := appendNumber(nil, v); string(got) != want {
			t.Errorf("%d is written as %x, want %x", v, got, want)
		}
	}
	if r := (spopReader{b: []byte(strings.Repeat("\xff", 20))}); r.number() != 0 || !r.bad {
		t.Error("a number of 20 octets: want it refused")
	}
}

func TestNotify(t *testing.T) {
	whole := notify(300, 1, allowedUnit)
	f, n, err := parseSPOP(append(whole, "more"...))
	if err != nil || n != len(whole) || f.kind != spopNotify || f.stream != 300 || f.frame != 1 {
		t.Fatalf("%+v of %d bytes, %v", f, n, err)
	}
	if unit, err := f.unit(); unit != allowedUnit || err != nil {
		t.Errorf("unit %q, %v", unit, err)
	}
	for i := range whole {
		if _, n, err := parseSPOP(whole[:i]); n != 0 || err != nil {
			t.Errorf("%d bytes of a frame: %d, %v: want more to be asked for", i, n, err)
		}
	}
	// However short a payload that its head says is whole.
	for i := range f.payload {
		short := f
		short.payload = f.payload[:i]
		if unit, err := short.unit(); !errors.Is(err, errSPOP) {
			t.Errorf("%d bytes of a payload: %q, %v", i, unit, err)
		}
	}
}

func TestParseSPOPRefuses(t *testing.T) {
	long := binary.BigEndian.AppendUint32(nil, spopFrameMost+1)
	fragment := notify(1, 1, allowedUnit)
	fragment[8] = 0
	for name, b := range map[string][]byte{
		"long": long, "short": {0, 0, 0, 6}, "fragment": fragment,
		"no numbers": {0, 0, 0, 7, spopNotify, 0, 0, 0, 1, 0xff, 0xff},
	} {
		if _, n, err := parseSPOP(b); n != 0 || !errors.Is(err, errSPOP) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// The agent answers in the order it was asked, whatever the pieces in which the
// questions come.
func TestAgent(t *testing.T) {
	questions := append(endSPOP(beginSPOP(nil, spopHello, 0, 0), 0), notify(7, 1, allowedUnit)...)
	questions = append(questions, notify(9, 2, otherUnit)...)
	for _, piece := range []int{1, 5, 64, len(questions)} {
		ours, theirs := net.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- answerSPOP(theirs)
			theirs.Close()
		}()
		go func() {
			for rest := questions; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if _, err := ours.Write(rest[:min(piece, len(rest))]); err != nil {
					return
				}
			}
			_, _ = ours.Write(endSPOP(beginSPOP(nil, spopDisconnect, 0, 0), 0))
		}()
		answers, err := io.ReadAll(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, errSPOPOver) {
			t.Errorf("agent ended with %v", err)
		}
		for i, want := range []struct {
			kind   byte
			stream uint64
			says   string
		}{
			{spopAgentHello, 0, "pipelining"},
			{spopAck, 7, "\x01\x03\x02\x08admitted\x02\x01\x01\x03\x02\x04unit\x08\x08payments"},
			{spopAck, 9, "\x01\x03\x02\x08admitted\x02\x00"},
		} {
			f, n, err := parseSPOP(answers)
			if err != nil || f.kind != want.kind || f.stream != want.stream || !bytes.Contains(f.payload, []byte(want.says)) {
				t.Fatalf("pieces of %d: answer %d is %+v, %v, want %q in it", piece, i, f, err, want.says)
			}
			answers = answers[n:]
		}
	}
}

func TestAgentRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"its own type":   endSPOP(beginSPOP(nil, spopAck, 1, 1), 0),
		"two messages":   endSPOP(append(beginSPOP(nil, spopNotify, 1, 1), "\x01a\x00\x01b\x00"...), 0),
		"a type unknown": endSPOP(append(beginSPOP(nil, spopNotify, 1, 1), "\x01a\x01\x01b\x0f"...), 0),
	} {
		f, _, err := parseSPOP(b)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := appendAnswer(nil, f); !errors.Is(err, errSPOP) {
			t.Errorf("%s: answer %x, %v", name, answer, err)
		}
	}
}

// FuzzSPOP checks that no bytes make the agent panic, or admit who has not said
// the unit.
func FuzzSPOP(f *testing.F) {
	f.Add(notify(1, 1, allowedUnit))
	f.Add(notify(1<<40, 1<<20, otherUnit))
	f.Add(endSPOP(beginSPOP(nil, spopHello, 0, 0), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, n, err := parseSPOP(b)
		if err != nil || n == 0 {
			return
		}
		answer, err := appendAnswer(nil, frame)
		if err == nil && bytes.Contains(answer, []byte("\x08admitted\x02\x01")) && !bytes.Contains(b, []byte(allowedUnit)) {
			t.Errorf("%x is admitted: %x", b, answer)
		}
	})
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// serveAgent answers HAProxy: with the variables "admitted" and "unit".
func serveAgent(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_ = answerSPOP(conn) // HAProxy tells what it misses
		}()
	}
}

var errSPOPOver = errors.New("HAProxy disconnects")

// answerSPOP answers what comes on a connection. All frames that one read has
// brought are answered by one write.
func answerSPOP(conn io.ReadWriter) error {
	in, out, held := make([]byte, 64<<10), make([]byte, 0, 64<<10), 0
	for {
		n, err := conn.Read(in[held:])
		held += n
		if n == 0 && err != nil {
			return err
		}
		at := 0
		out = out[:0]
		for {
			f, n, err := parseSPOP(in[at:held])
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if out, err = appendAnswer(out, f); err != nil {
				return err
			}
			at += n
		}
		held = copy(in, in[at:held])
		if len(out) == 0 {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}

// appendAnswer appends the frame that answers f.
func appendAnswer(dst []byte, f spopFrame) ([]byte, error) {
	start := len(dst)
	switch f.kind {
	case spopHello:
		return endSPOP(appendGreeting(beginSPOP(dst, spopAgentHello, 0, 0)), start), nil
	case spopNotify:
		unit, err := f.unit()
		if err != nil {
			return dst, err
		}
		return endSPOP(appendVerdict(beginSPOP(dst, spopAck, f.stream, f.frame), unit), start), nil
	case spopDisconnect:
		return dst, errSPOPOver
	}
	return dst, fmt.Errorf("%w: type %d, which HAProxy does not send", errSPOP, f.kind)
}

// appendGreeting appends what an agent says of itself.
func appendGreeting(dst []byte) []byte {
	dst = appendText(append(appendText(dst, "version"), spopString), "2.0")
	dst = appendNumber(append(appendText(dst, "max-frame-size"), spopUint32), spopFrameMost)
	return appendText(append(appendText(dst, "capabilities"), spopString), "pipelining,async")
}

// appendVerdict appends the actions that set a verdict's variables.
func appendVerdict(dst []byte, unit string) []byte {
	set := func(name string) { dst = appendText(append(dst, spopSetVar, 3, spopInTxn), name) }
	set("admitted")
	unit, ok := admittedFor([]string{unit})
	if !ok {
		return append(dst, spopInt32, 0)
	}
	dst = append(dst, spopInt32, 1)
	set("unit")
	return appendText(append(dst, spopString), unit)
}

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The stream processing offload protocol, version 2.0, as HAProxy's document
// SPOE.txt has it: as much of it as an agent needs that pipelines.

// Types of frames.
const (
	spopHello       = 1
	spopDisconnect  = 2
	spopNotify      = 3
	spopAgentHello  = 101
	spopAgentLeaves = 102
	spopAck         = 103
)

// Types of values, and what else of the encoding is used.
const (
	spopNull   = 0
	spopBool   = 1
	spopInt32  = 2
	spopUint32 = 3
	spopInt64  = 4
	spopUint64 = 5
	spopIPv4   = 6
	spopIPv6   = 7
	spopString = 8
	spopBinary = 9

	spopFinal      = 1 // flag of a frame: its last fragment
	spopSetVar     = 1 // action
	spopInTxn      = 2 // scope of a variable
	spopFrameMost  = 16380
	spopFrameLeast = 7 // type, flags and two numbers
)

var errSPOP = errors.New("malformed SPOP")

// spopFrame is one frame; its payload is good as long as what it was read from.
type spopFrame struct {
	kind          byte
	stream, frame uint64
	payload       []byte
}

// parseSPOP reads the first frame in b and its length; 0 means that more bytes
// are needed. Fragments are refused: none was offered.
func parseSPOP(b []byte) (f spopFrame, n int, err error) {
	if len(b) < 4 {
		return f, 0, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length < spopFrameLeast || length > spopFrameMost {
		return f, 0, fmt.Errorf("%w: frame of %d bytes, want %d to %d", errSPOP, length, spopFrameLeast, spopFrameMost)
	}
	if len(b) < 4+int(length) {
		return f, 0, nil
	}
	f.kind = b[4]
	if flags := binary.BigEndian.Uint32(b[5:]); flags != spopFinal {
		return f, 0, fmt.Errorf("%w: flags %#x, want %#x", errSPOP, flags, spopFinal)
	}
	r := spopReader{b: b[9 : 4+length]}
	f.stream, f.frame = r.number(), r.number()
	if r.bad {
		return f, 0, fmt.Errorf("%w: frame ends in its head", errSPOP)
	}
	f.payload = r.b
	return f, 4 + int(length), nil
}

// spopReader takes values off a payload. Once bad, it gives zeroes.
type spopReader struct {
	b   []byte
	bad bool
}

func (r *spopReader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *spopReader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// number is a variable-length integer: 4 bits in the first octet from 240 on, and
// 7 in each that follows.
func (r *spopReader) number() uint64 {
	v := uint64(r.octet())
	if v < 240 {
		return v
	}
	for shift := 4; ; shift += 7 {
		c := uint64(r.octet())
		if r.bad || shift > 60 {
			r.bad = true
			return 0
		}
		v += c << shift
		if c < 128 {
			return v
		}
	}
}

func (r *spopReader) text() []byte { return r.take(r.number()) }

// value is a typed value: its bytes if it is text, and nil for all else.
func (r *spopReader) value() []byte {
	switch kind := r.octet() & 0x0f; kind {
	case spopNull, spopBool: // a truth is in the flags
	case spopInt32, spopUint32, spopInt64, spopUint64:
		r.number()
	case spopIPv4:
		r.take(4)
	case spopIPv6:
		r.take(16)
	case spopString, spopBinary:
		return r.text()
	default:
		r.bad = true
	}
	return nil
}

// unit is the argument "unit" of the one message in a NOTIFY.
func (f spopFrame) unit() (string, error) {
	r := spopReader{b: f.payload}
	r.text() // the message's name
	unit := ""
	for range r.octet() {
		name := r.text()
		if value := r.value(); string(name) == "unit" {
			unit = string(value)
		}
	}
	if r.bad || len(r.b) > 0 {
		return "", fmt.Errorf("%w: NOTIFY of other than one whole message", errSPOP)
	}
	return unit, nil
}

// appendNumber writes what number reads.
func appendNumber(dst []byte, v uint64) []byte {
	if v < 240 {
		return append(dst, byte(v))
	}
	dst = append(dst, byte(v)|240)
	for v = (v - 240) >> 4; v >= 128; v = (v - 128) >> 7 {
		dst = append(dst, byte(v)|128)
	}
	return append(dst, byte(v))
}

func appendText(dst []byte, text string) []byte {
	return append(appendNumber(dst, uint64(len(text))), text...)
}

// beginSPOP begins a frame, and endSPOP writes its length.
func beginSPOP(dst []byte, kind byte, stream, frame uint64) []byte {
	dst = append(dst, 0, 0, 0, 0, kind, 0, 0, 0, spopFinal)
	return appendNumber(appendNumber(dst, stream), frame)
}

func endSPOP(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// Package frame is the wire between the edge and a plugin: bounded frames on a
// stream socket, both directions, for control and calls alike. FRAMES.md, one
// folder up, tells it byte by byte for other languages. The edge and the SDK use
// this one codec; neither trusts the other.
//
// Everything that is appended is appended without allocation if there is room.
// What Parse and Fields return points into the bytes that they were given.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Protocol is the version of the protocol that this package speaks.
const Protocol = 1

// A frame is at most as long as both sides have agreed to in HELLO and
// CONFIGURE; until then, DefaultMax. The bounds are on the value of the length
// field, which counts everything behind itself.
const (
	HeaderSize = 12
	MinMax     = 32 << 10 // whatever a plugin may send fits
	DefaultMax = 256 << 10
	HardMax    = 1 << 20

	lengthSize = 4
	headRest   = HeaderSize - lengthSize
)

// Type is what a frame says.
type Type uint8

// The types of frames. FromPlugin tells which side may send one.
const (
	Hello      Type = 1  // plugin → host, the first frame, id 0: who it is and what it needs
	Configure  Type = 2  // host → plugin, the answer to Hello, id 0
	Configured Type = 3  // plugin → host, the answer to Configure, id 0: ready, or why not
	Connection Type = 4  // host → plugin: authorize a connection
	Request    Type = 5  // host → plugin: authorize and shape a request, in one round trip
	Response   Type = 6  // host → plugin: shape a response
	Observe    Type = 7  // host → plugin, id 0, no answer: what has happened
	Verdict    Type = 8  // plugin → host, with the id of the call
	Cancel     Type = 9  // host → plugin, with the id of a call: nobody waits for it any more
	Invalidate Type = 10 // plugin → host, id 0: forget cached verdicts
	Ping       Type = 11 // host → plugin
	Pong       Type = 12 // plugin → host, with the id of the Ping
	GoAway     Type = 13 // host → plugin, id 0: no call will follow; answer what is open, and exit
	Log        Type = 14 // plugin → host, id 0: a line for the edge's log
)

var typeNames = [...]string{
	Hello: "HELLO", Configure: "CONFIGURE", Configured: "CONFIGURED", Connection: "CONNECTION",
	Request: "REQUEST", Response: "RESPONSE", Observe: "OBSERVE", Verdict: "VERDICT", Cancel: "CANCEL",
	Invalidate: "INVALIDATE", Ping: "PING", Pong: "PONG", GoAway: "GOAWAY", Log: "LOG",
}

// String gives the type's name in FRAMES.md.
func (t Type) String() string {
	if t.known() {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

func (t Type) known() bool { return t >= Hello && t <= Log }

// FromPlugin reports whether plugins send frames of this type. All others are
// sent by the host.
func (t Type) FromPlugin() bool {
	switch t {
	case Hello, Configured, Verdict, Invalidate, Pong, Log:
		return true
	}
	return false
}

// Call reports whether a frame of this type is answered by a VERDICT.
func (t Type) Call() bool { return t == Connection || t == Request || t == Response }

// hasID reports whether a frame of this type belongs to a call or a ping. Ids of
// calls and pings are never zero; those of all other frames always are.
func (t Type) hasID() bool {
	return t.Call() || t == Verdict || t == Cancel || t == Ping || t == Pong
}

// Frame is one frame. Body points into the bytes that were parsed.
type Frame struct {
	Type Type
	ID   uint32
	Body []byte
}

// Fields iterates over the body of f.
func (f Frame) Fields() Fields { return Fields{rest: f.Body} }

// ErrMalformed is in every error of this package about bytes that are no frame or
// no body of its type. Whoever sent them is not spoken to again.
var ErrMalformed = errors.New("malformed frame")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Parse reads the frame at the start of b and gives its whole length n. While b
// holds only a part of it, n is 0 and the error nil; but what can be refused is
// refused at once, so that nobody waits for the rest of a gigabyte. Lengths over
// max, unknown types, flags, and ids where none belong or none are, are errors.
func Parse(b []byte, max int) (f Frame, n int, err error) {
	if len(b) < lengthSize {
		return Frame{}, 0, nil
	}
	length := binary.LittleEndian.Uint32(b)
	if length < headRest || uint64(length) > uint64(max) {
		return Frame{}, 0, malformed("length %d: want %d to %d", length, headRest, max)
	}
	if len(b) < HeaderSize {
		return Frame{}, 0, nil
	}
	f.Type = Type(b[4])
	if !f.Type.known() {
		return Frame{}, 0, malformed("type %d is not known", b[4])
	}
	if b[5]|b[6]|b[7] != 0 {
		return Frame{}, 0, malformed("%v with flags %#02x%02x%02x: want none", f.Type, b[5], b[6], b[7])
	}
	f.ID = binary.LittleEndian.Uint32(b[8:])
	if (f.ID != 0) != f.Type.hasID() {
		return Frame{}, 0, malformed("%v with id %d", f.Type, f.ID)
	}
	n = lengthSize + int(length)
	if len(b) < n {
		return Frame{}, 0, nil
	}
	f.Body = b[HeaderSize:n:n]
	return f, n, nil
}

// Begin appends the head of a frame whose body is not known yet. Append fields,
// then call End with the length that dst had before Begin.
func Begin(dst []byte, t Type, id uint32) []byte {
	return append(dst, 0, 0, 0, 0, byte(t), 0, 0, 0, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
}

// End writes the length of the frame that was begun at start.
func End(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-lengthSize))
	return dst
}

// Append appends a frame without a body: CANCEL, PING, PONG, GOAWAY.
func Append(dst []byte, t Type, id uint32) []byte {
	return End(Begin(dst, t, id), len(dst))
}

package connlog

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
)

// traceIDs holds random bytes for the next identifiers, since asking the kernel
// for 16 bytes at a time costs more than the rest.
var traceIDs struct {
	sync.Mutex
	random [4096]byte
	left   int
}

// NewTraceID returns a new identifier of a connection, ALB's conn_trace_id:
// "TID_" and 32 hexadecimal digits, 128 random bits. It may be called
// concurrently.
func NewTraceID() string {
	const prefix = "TID_"
	var bits [16]byte
	traceIDs.Lock()
	if traceIDs.left == 0 {
		rand.Read(traceIDs.random[:]) // never fails: crypto/rand ends the process instead
		traceIDs.left = len(traceIDs.random)
	}
	copy(bits[:], traceIDs.random[traceIDs.left-len(bits):traceIDs.left])
	traceIDs.left -= len(bits)
	traceIDs.Unlock()

	var id [len(prefix) + 2*len(bits)]byte
	copy(id[:], prefix)
	hex.Encode(id[len(prefix):], bits[:])
	return string(id[:])
}

package tickets

import (
	"crypto/sha256"
	"encoding/binary"
)

// Binding returns what a session is bound to: it can be resumed only under an
// equal one. serverName is the ClientHello's, as it was sent (RFC 6066, section
// 3); policy and anchors are hashes of everything that decides how a client is
// judged on this listener under this name, and of the CAs it is judged by.
func Binding(listener, serverName string, policy, anchors [sha256.Size]byte) [sha256.Size]byte {
	b := make([]byte, 0, 256)
	for _, name := range []string{listener, serverName} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(name)))
		b = append(b, name...)
	}
	b = append(b, policy[:]...)
	b = append(b, anchors[:]...)
	return sha256.Sum256(b)
}

package tickets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// pieceSize is how many bytes of sessions Export hands over at once, at most:
// what fits into one message between two processes.
const pieceSize = 48 << 10

const (
	flagCertificate = 1 << iota
	flagVerified
)

// headSize is what of a session in a piece is not its state.
const headSize = len(ticket{}) + 2*32 + len(Lineage{}) + 8 + 2 + 1 + 4

// outgoing is a session on its way out.
type outgoing struct {
	*entry
	verified bool
}

// Export hands the sessions kept since mark to send, the oldest first, and
// returns the mark to go on from; 0 is from the beginning. A piece is valid
// during the call only. It holds the secrets of clients' connections: it may go
// from memory to memory of processes of one edge, and nowhere else.
func (s *Store) Export(mark uint64, send func(piece []byte) error) (uint64, error) {
	if s == nil || s.sessions == nil {
		return mark, nil
	}
	list, next := s.since(mark)
	piece := make([]byte, 0, pieceSize)
	defer func() { clear(piece[:cap(piece)]) }()
	for _, e := range list {
		if len(piece)+headSize+len(e.state) > pieceSize {
			if err := send(piece); err != nil {
				return mark, err
			}
			piece = piece[:0]
		}
		piece = e.append(piece)
	}
	if len(piece) > 0 {
		if err := send(piece); err != nil {
			return mark, err
		}
	}
	return next, nil
}

// Fresh has a value when sessions were kept since the last one was taken out of it:
// for who exports them as they come.
func (s *Store) Fresh() <-chan struct{} { return s.fresh }

// since returns the sessions kept after mark, and the mark of the last one.
func (s *Store) since(mark uint64) ([]outgoing, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []outgoing
	for _, p := range []*pool{&s.others, &s.verified} { // those who matter more come last, and push out the others
		from := p.order.Back()
		for from != nil && from.Value.(*entry).serial > mark {
			from = from.Prev()
		}
		if from == nil {
			from = p.order.Front()
		} else {
			from = from.Next()
		}
		for ; from != nil; from = from.Next() {
			list = append(list, outgoing{from.Value.(*entry), p == &s.verified})
		}
	}
	return list, s.serial
}

func (e *outgoing) append(b []byte) []byte {
	b = append(b, e.ticket[:]...)
	b = append(b, e.binding[:]...)
	b = append(b, e.leaf[:]...)
	b = append(b, e.lineage[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.began.UnixNano()))
	b = binary.BigEndian.AppendUint16(b, e.version)
	var flags byte
	if e.certificate {
		flags |= flagCertificate
	}
	if e.verified {
		flags |= flagVerified
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.state)))
	return append(b, e.state...)
}

// Import keeps the sessions of a piece, which Export of another process has made,
// within the bounds of s, and returns how many it took. Of a piece that is
// malformed it takes those in front of the fault. What was issued under another
// binding is of no use here, and does no harm.
func (s *Store) Import(piece []byte) (int, error) {
	if s == nil || s.sessions == nil {
		return 0, nil
	}
	taken := 0
	for len(piece) > 0 {
		e, verified, rest, err := parseIncoming(piece)
		if err != nil {
			return taken, fmt.Errorf("import TLS sessions: %w", err)
		}
		piece = rest
		if s.knows(e.ticket) {
			continue
		}
		s.keep(e, nil, s.kills.Load(), verified)
		taken++
	}
	return taken, nil
}

func (s *Store) knows(t ticket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[t] != nil
}

func parseIncoming(b []byte) (e *entry, verified bool, rest []byte, err error) {
	if len(b) < headSize {
		return nil, false, nil, errors.New("cut off in the middle of a session")
	}
	e = &entry{}
	for _, field := range [][]byte{e.ticket[:], e.binding[:], e.leaf[:], e.lineage[:]} {
		b = b[copy(field, b):]
	}
	began := binary.BigEndian.Uint64(b)
	e.version = binary.BigEndian.Uint16(b[8:])
	flags := b[10]
	size := binary.BigEndian.Uint32(b[11:])
	b = b[15:]
	e.certificate, verified = flags&flagCertificate != 0, flags&flagVerified != 0
	switch {
	case began > math.MaxInt64 || flags >= 1<<2:
		return nil, false, nil, errors.New("not a session")
	case size > maxState:
		return nil, false, nil, fmt.Errorf("a session of %d bytes: want at most %d", size, maxState)
	case uint32(len(b)) < size:
		return nil, false, nil, errors.New("cut off in the middle of a session")
	case verified && !e.certificate || !e.certificate && e.leaf != [32]byte{}:
		return nil, false, nil, errors.New("a client's certificate without one")
	}
	e.began = time.Unix(0, int64(began))
	e.state = append([]byte(nil), b[:size]...)
	return e, verified, b[size:], nil
}

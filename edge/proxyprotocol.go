package edge

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/pires/go-proxyproto"

	"github.com/sallyport/sallyport/edge/reason"
)

// readProxyHeader takes the PROXY protocol header that a trusted proxy begins a
// connection with, and the client's address from it. A proxy that speaks for
// itself (LOCAL, UNKNOWN), or of something that has no IP address, stays the
// client. TLVs are read over. See the PROXY protocol's specification, versions 1
// and 2.
func (c *Conn) readProxyHeader() *reason.Error {
	head, rest, err := proxyHeader(c.wire.Conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return reason.Errorf(reason.ProxyProtocolError, "no PROXY protocol header from proxy %s in time", c.client.Addr())
	}
	if err != nil {
		return reason.Errorf(reason.ProxyProtocolError, "read PROXY protocol header from proxy %s: %w", c.client.Addr(), err)
	}
	c.wire.unread = rest
	if bytes.HasPrefix(head, proxyproto.SIGV2) && head[proxyFamily] == 0 && head[proxyFamily-1] == proxyCommand {
		return nil // of something without an address
	}
	head = withoutTLVs(head)
	header, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	if err != nil {
		return reason.Errorf(reason.ProxyProtocolError, "parse PROXY protocol header from proxy %s: %w", c.client.Addr(), err)
	}
	source, destination, ok := header.TCPAddrs()
	if header.Command.IsLocal() || !ok {
		return nil
	}
	c.peer = c.client
	c.client = unmapped(source)
	c.server = unmapped(destination)
	return nil
}

const (
	proxyV1Max    = 107  // bytes of a version 1 header
	proxyFamily   = 13   // where a version 2 header has the address family
	proxyV2Min    = 16   // bytes of one, to its length inclusive
	proxyCommand  = 0x21 // version 2, PROXY
	proxyTCP4     = 0x11 // the address family and protocol
	proxyTCP6     = 0x21
	proxyReadSize = 4096
)

// proxyHeader reads until it has a whole header, in however many pieces the
// network brings it, and returns it and what came behind it.
func proxyHeader(r io.Reader) (head, rest []byte, err error) {
	var got []byte
	for {
		n, err := proxyHeaderLen(got)
		if err != nil {
			return nil, nil, err
		}
		if n > 0 && len(got) >= n {
			return got[:n:n], bytes.Clone(got[n:]), nil
		}
		piece := make([]byte, proxyReadSize)
		m, err := r.Read(piece)
		got = append(got, piece[:m]...)
		if err != nil && m == 0 {
			return nil, nil, err
		}
	}
}

// withoutTLVs cuts a version 2 header of TCP off behind its addresses. What TLVs
// follow is for nobody here, and the parser refuses headers of more than 4 KiB,
// which a proxy's copy of a client's certificate makes.
func withoutTLVs(head []byte) []byte {
	if !bytes.HasPrefix(head, proxyproto.SIGV2) {
		return head
	}
	end := len(head)
	switch head[proxyFamily] {
	case proxyTCP4:
		end = proxyV2Min + 2*net.IPv4len + 2*2
	case proxyTCP6:
		end = proxyV2Min + 2*net.IPv6len + 2*2
	}
	if end >= len(head) {
		return head
	}
	head = head[:end:end]
	binary.BigEndian.PutUint16(head[proxyV2Min-2:], uint16(end-proxyV2Min))
	return head
}

// proxyHeaderLen returns how long the header is that begins with got, 0 if that
// cannot be said yet.
func proxyHeaderLen(got []byte) (int, error) {
	switch {
	case startsLike(got, proxyproto.SIGV2):
		if len(got) < proxyV2Min {
			return 0, nil
		}
		return proxyV2Min + int(binary.BigEndian.Uint16(got[proxyV2Min-2:])), nil
	case startsLike(got, proxyproto.SIGV1):
		if end := bytes.Index(got[:min(len(got), proxyV1Max)], []byte("\r\n")); end >= 0 {
			return end + 2, nil
		}
		if len(got) < proxyV1Max {
			return 0, nil
		}
		return 0, fmt.Errorf("no end within %d bytes", proxyV1Max)
	}
	return 0, fmt.Errorf("begins with %q: want a header of version 1 or 2", got[:min(len(got), len(proxyproto.SIGV2))])
}

// startsLike says whether got begins with signature, as far as it goes.
func startsLike(got, signature []byte) bool {
	n := min(len(got), len(signature))
	return bytes.Equal(got[:n], signature[:n])
}

func unmapped(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// isProxyHeader says whether what crypto/tls refused as no TLS is a PROXY
// protocol header, from somewhere that none is taken from.
func isProxyHeader(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) &&
		(bytes.Equal(record.RecordHeader[:], proxyproto.SIGV1) || bytes.HasPrefix(proxyproto.SIGV2, record.RecordHeader[:]))
}

package edge

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
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
	reader := bufio.NewReaderSize(c.wire.Conn, 256)
	header, err := proxyproto.Read(reader)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reason.Errorf(reason.ProxyProtocolError, "no PROXY protocol header from proxy %s in time", c.client.Addr())
	case err != nil:
		return reason.Errorf(reason.ProxyProtocolError, "read PROXY protocol header from proxy %s: %w", c.client.Addr(), err)
	}
	if n := reader.Buffered(); n > 0 {
		rest, _ := reader.Peek(n)
		c.wire.unread = bytes.Clone(rest)
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

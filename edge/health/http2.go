package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
)

// connKey is that of a connection in the context of its use.
type connKey struct{}

// newHTTP2 makes what speaks HTTP/2 on connections that are handed to it: as far
// as it knows, HTTP/2 is agreed on.
func newHTTP2() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return ctx.Value(connKey{}).(net.Conn), nil }
	return &http.Transport{
		DialContext: dial, DialTLSContext: dial, Protocols: protocols,
		DisableCompression: true, MaxResponseHeaderBytes: maxHead,
	}
}

func (p *prober) askHTTP2(ctx context.Context, conn net.Conn, m *checker, r *result) error {
	client, err := p.http2.NewClientConn(context.WithValue(ctx, connKey{}, conn), m.scheme, m.address)
	if err != nil {
		return err
	}
	defer client.Close()
	target, err := url.Parse(m.scheme + "://" + m.authority())
	if err != nil {
		return fmt.Errorf("address of target: %w", err)
	}
	target.Opaque = p.path // as it is written
	if strings.HasPrefix(p.path, "//") {
		target.Opaque = target.Scheme + "://" + target.Host + p.path // else its first segment is taken for a host
	}
	request := (&http.Request{Method: http.MethodGet, URL: target, Header: http.Header{"User-Agent": {userAgent}}}).WithContext(ctx)
	if p.version == config.GRPC {
		request.Method = http.MethodPost
		request.Header.Set("Content-Type", "application/grpc")
		request.Header.Set("Te", "trailers")
		message := make([]byte, 5) // not compressed, of no bytes
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
	}
	response, err := client.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("read response: %w", err)
	}
	defer response.Body.Close()
	if err := checkHead(response); err != nil {
		return err
	}
	if p.version == config.GRPC {
		return readGRPC(response, r)
	}
	r.code, r.answered = response.StatusCode, true
	return nil
}

// checkHead refuses what net/http reads and no client would be given: a status with a
// sign or zeros, an unclear length, and fields about a connection, which HTTP/2 does
// not have (RFC 9113, section 8.2.2).
func checkHead(response *http.Response) error {
	if status := strconv.Itoa(response.StatusCode); len(status) != 3 || !strings.HasPrefix(response.Status, status+" ") {
		return errors.New("read response: malformed status")
	}
	if lengths := response.Header["Content-Length"]; len(lengths) > 1 || len(lengths) == 1 && response.ContentLength < 0 {
		return errors.New("read response: malformed or repeated Content-Length")
	}
	for name := range response.Header {
		switch http1.KindOf(name) {
		case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TransferEncoding, http1.Upgrade:
			return fmt.Errorf("read response: field %s in HTTP/2", name)
		}
	}
	return nil
}

// readGRPC gets gRPC's status, which is in the head of a response without messages
// and else behind its body.
func readGRPC(response *http.Response, r *result) error {
	text := response.Header.Get("Grpc-Status")
	if text == "" {
		switch n, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxMessage)); {
		case err != nil:
			return fmt.Errorf("read response: %w", err)
		case n == maxMessage:
			return fmt.Errorf("read response: no status within %d bytes", maxMessage)
		}
		text = response.Trailer.Get("Grpc-Status")
	}
	if text == "" {
		return fmt.Errorf("status code %d: %w", response.StatusCode, errNoStatus)
	}
	code, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return errors.New("read response: grpc-status " + strconv.Quote(text) + ": want a number")
	}
	r.code, r.answered = int(code), true
	return nil
}

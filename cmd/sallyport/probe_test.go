package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// probe is a TLS client that does what ordinary clients do not. Its first
// argument says what:
//
//	get          one request; prints the status line and the body
//	bytes        the same, with the ClientHello sent one byte at a time
//	records      the same, with the ClientHello split over many TLS records
//	big          shows a certificate message of -size bytes
//	slow         sends one byte of its ClientHello, then nothing
//	abort        resets the connection in the middle of its handshake
//	halfclose    sends a request and closes its sending side
//	load         requests on -conns connections until -for is over, or, with
//	             -fresh, each on a connection of its own; any failure is printed
//	resume       one request; says whether the TLS session kept in -session was
//	             resumed, and keeps the one that it got there
//
// It exits with 0 if it was answered, 1 if it was refused.
func probe(args []string, stdout, stderr io.Writer) int {
	p := prober{out: stdout}
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&p.client, "cert", "", "show NAME.crt with NAME.key")
	flags.StringVar(&p.serverName, "sni", "localhost", "server name to ask for")
	flags.StringVar(&p.path, "path", "/", "what to request")
	flags.BoolVar(&p.http2, "h2", false, "speak HTTP/2")
	flags.BoolVar(&p.tls12, "tls12", false, "offer TLS 1.2 at most")
	flags.IntVar(&p.size, "size", 300_000, "bytes of certificates to show")
	flags.IntVar(&p.conns, "conns", 4, "connections at once")
	flags.DurationVar(&p.duration, "for", time.Second, "how long to go on")
	flags.StringVar(&p.session, "session", "session", "file of a TLS session")
	flags.BoolVar(&p.fresh, "fresh", false, "a new connection for each request")
	flags.StringVar(&p.until, "until", "", "go on until this file exists, instead of -for")
	what := args[0]
	if err := flags.Parse(args[1:]); err != nil {
		return exitUsage
	}
	p.address = flags.Arg(0)
	do := map[string]func() error{
		"get":       func() error { return p.request(p.dial) },
		"bytes":     func() error { return p.request(p.dialSplitting(splitBytes)) },
		"records":   func() error { return p.request(p.dialSplitting(splitRecords)) },
		"big":       p.big,
		"slow":      p.slow,
		"abort":     p.abort,
		"halfclose": p.halfClose,
		"load":      p.load,
		"resume":    p.resume,
	}[what]
	if do == nil {
		fmt.Fprintf(stderr, "probe: unknown %q\n", what)
		return exitUsage
	}
	if err := do(); err != nil {
		fmt.Fprintf(stderr, "probe %s: %v\n", what, err)
		return exitRefused
	}
	return exitDone
}

type prober struct {
	out                                               io.Writer
	address, client, serverName, path, until, session string
	http2, tls12, fresh                               bool
	size, conns                                       int
	duration                                          time.Duration
}

func (p *prober) tlsConfig() (*tls.Config, error) {
	ca, err := os.ReadFile("server-ca.pem")
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: p.serverName}
	config.RootCAs.AppendCertsFromPEM(ca)
	if p.tls12 {
		config.MaxVersion = tls.VersionTLS12
	}
	if p.client != "" {
		pair, err := tls.LoadX509KeyPair(p.client+".crt", p.client+".key")
		if err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config, nil
}

func (p *prober) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", p.address)
}

// request makes one request on a connection of dial.
func (p *prober) request(dial func(context.Context) (net.Conn, error)) error {
	config, err := p.tlsConfig()
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		TLSClientConfig:   config,
		ForceAttemptHTTP2: p.http2,
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.address+p.path, nil)
	if err != nil {
		return err
	}
	r.Host = p.serverName
	response, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Fprintf(p.out, "%s %s\n%s", response.Proto, response.Status, body)
	return err
}

// splitConn cuts the first write, which is the ClientHello, into pieces.
type splitConn struct {
	net.Conn
	split func([]byte) [][]byte
	once  sync.Once
}

func (c *splitConn) Write(b []byte) (n int, err error) {
	pieces := [][]byte{b}
	c.once.Do(func() { pieces = c.split(b) })
	for _, piece := range pieces {
		if _, err := c.Conn.Write(piece); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (p *prober) dialSplitting(split func([]byte) [][]byte) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := p.dial(ctx)
		if err != nil {
			return nil, err
		}
		conn.(*net.TCPConn).SetNoDelay(true)
		return &splitConn{Conn: conn, split: split}, nil
	}
}

func splitBytes(b []byte) [][]byte { return slices.Collect(slices.Chunk(b, 1)) }

// splitRecords wraps every 16 bytes of a record's content in a record of its
// own (RFC 8446, section 5.1, allows it for handshake messages).
func splitRecords(record []byte) [][]byte {
	var pieces [][]byte
	for chunk := range slices.Chunk(record[5:], 16) {
		piece := append(slices.Clone(record[:3]), binary.BigEndian.AppendUint16(nil, uint16(len(chunk)))...)
		pieces = append(pieces, append(piece, chunk...))
	}
	return [][]byte{bytes.Join(pieces, nil)}
}

// handshake connects and completes the client's side, reading the server's
// verdict, which in TLS 1.3 comes after it.
func (p *prober) handshake(config *tls.Config) (*tls.Conn, error) {
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	t := tls.Client(conn, config)
	if err := t.Handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

func (p *prober) big() error {
	config, err := p.tlsConfig()
	if err != nil {
		return err
	}
	pair, err := config.GetClientCertificate(nil)
	if err != nil {
		return err
	}
	shown := *pair
	for total := 0; total < p.size; total += len(pair.Certificate[0]) {
		shown.Certificate = append(shown.Certificate, pair.Certificate[0])
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	conn, err := p.handshake(config)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	return err
}

func (p *prober) slow() error {
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte{22}); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("still open after %s", patience)
	}
	return fmt.Errorf("closed by the edge: %w", err)
}

func (p *prober) abort() error {
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		return err
	}
	conn.Write([]byte{22, 3, 1, 2, 0, 1})
	conn.(*net.TCPConn).SetLinger(0)
	return conn.Close()
}

func (p *prober) halfClose() error {
	config, err := p.tlsConfig()
	if err != nil {
		return err
	}
	conn, err := p.handshake(config)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", p.path)
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	line, _, _ := strings.Cut(string(answer), "\r\n")
	fmt.Fprintf(p.out, "%s\n", line)
	return err
}

func (p *prober) load() error {
	config, err := p.tlsConfig()
	if err != nil {
		return err
	}
	var done, failed atomic.Int64
	over := time.Now().Add(p.duration)
	goOn := func() bool { return time.Now().Before(over) }
	if p.until != "" {
		over = time.Now().Add(patience)
		goOn = func() bool {
			_, err := os.Stat(p.until)
			return err != nil && time.Now().Before(over)
		}
	}
	var workers sync.WaitGroup
	for range p.conns {
		workers.Go(func() {
			var conn *tls.Conn
			for goOn() {
				if conn == nil || p.fresh {
					if conn != nil {
						conn.Close()
					}
					var err error
					if conn, err = p.handshake(config.Clone()); err != nil {
						failed.Add(1)
						fmt.Fprintf(p.out, "handshake: %v\n", err)
						conn = nil
						continue
					}
				}
				if err := p.exchange(conn); err != nil {
					failed.Add(1)
					fmt.Fprintf(p.out, "request: %v\n", err)
					conn.Close()
					conn = nil
					continue
				}
				done.Add(1)
			}
			if conn != nil {
				conn.Close()
			}
		})
	}
	workers.Wait()
	fmt.Fprintf(p.out, "answered %d, failed %d\n", done.Load(), failed.Load())
	if failed.Load() > 0 || done.Load() == 0 {
		return errors.New("not every request was answered")
	}
	return nil
}

func (p *prober) exchange(conn *tls.Conn) error {
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", p.path)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

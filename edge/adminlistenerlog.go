package edge

import (
	"net/http"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/proxy"
)

// logPage has a request for the page served, and puts it in the access log, as that
// of any listener's client. What follows the page is one request, logged at its end.
func (s *Server) logPage(c *Conn, handler http.Handler) http.Handler {
	state := c.tls.ConnectionState()
	version, suite := tlsNames(&state)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record := accesslog.Record{
			Type: accesslog.TypeHTTPS, Created: time.Now(), Listener: c.policy.name, Client: c.client, Server: c.server,
			RequestProcessing: -1, TargetProcessing: -1, ResponseProcessing: -1,
			Method: r.Method, Scheme: "https", Host: r.Host, Port: c.server.Port(), URI: r.RequestURI, Proto: r.Proto, UserAgent: r.UserAgent(),
			CipherSuite: suite, TLSVersion: version, ServerCertificate: c.hello.certificate, Resumed: state.DidResume,
			ServerName: c.hello.serverName, ConnTraceID: c.traceID,
			ReceivedBytes: headSize(r) + max(0, r.ContentLength),
		}
		if r.ProtoMajor == 2 {
			record.Type = accesslog.TypeH2
		}
		sent := &sentPage{ResponseWriter: w}
		whole := false
		defer func() {
			record.Time, record.ELBStatusCode, record.SentBytes = time.Now(), sent.status, sent.bytes
			if !whole {
				record.ErrorReason = proxy.ReasonInternal
				record.ELBStatusCode = http.StatusInternalServerError
			}
			s.logAccess(&record)
		}()
		handler.ServeHTTP(sent, r)
		whole = true
		sent.begin(http.StatusOK) // of an answer without a body
	})
}

// headSize is that of a request's head, as HTTP/1.1 writes it.
func headSize(r *http.Request) int64 {
	n := len(r.Method) + len(" ") + len(r.RequestURI) + len(" HTTP/1.1\r\n") + len("Host: \r\n") + len(r.Host) + len("\r\n")
	return int64(n) + fieldsSize(r.Header)
}

func fieldsSize(h http.Header) (n int64) {
	for name, values := range h {
		for _, value := range values {
			n += int64(len(name) + len(": ") + len(value) + len("\r\n"))
		}
	}
	return n
}

// sentPage counts an answer: its body, and its head without what net/http adds.
type sentPage struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (p *sentPage) begin(status int) {
	if p.status != 0 {
		return
	}
	p.status = status
	p.bytes += int64(len("HTTP/1.1 200 \r\n\r\n")+len(http.StatusText(status))) + fieldsSize(p.Header())
}

func (p *sentPage) WriteHeader(status int) {
	p.begin(status)
	p.ResponseWriter.WriteHeader(status)
}

func (p *sentPage) Write(b []byte) (int, error) {
	p.begin(http.StatusOK)
	n, err := p.ResponseWriter.Write(b)
	p.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController, by which the page's events are flushed.
func (p *sentPage) Unwrap() http.ResponseWriter { return p.ResponseWriter }

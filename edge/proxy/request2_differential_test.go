package proxy

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
)

// streamed is a request as a target read it by HTTP/2.
type streamed struct {
	fields, trailers []hpack.HeaderField
	body             string
}

func (s *streamed) get(name string) (values []string) {
	for _, f := range s.fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return values
}

// recordStreams makes r a target of HTTP/2.
func (r *recorder) recordStreams() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.talk = r.serveStreams
}

func (r *recorder) serveStreams(conn net.Conn) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	f := &frames{Framer: http2.NewFramer(conn, conn), conn: conn}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.encoder = hpack.NewEncoder(&f.block)
	f.WriteSettings()
	open := map[uint32]*streamed{}
	end := func(stream uint32) {
		r.mu.Lock()
		r.streams = append(r.streams, *open[stream])
		r.mu.Unlock()
		delete(open, stream)
		f.head(stream, true, ":status", "200")
	}
	for {
		frame, err := f.ReadFrame()
		var wrong http2.StreamError
		if errors.As(err, &wrong) {
			r.mu.Lock()
			r.broken = append(r.broken, err.Error())
			r.mu.Unlock()
		}
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				f.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			if s := open[frame.StreamID]; s != nil {
				s.trailers = frame.Fields
			} else {
				open[frame.StreamID] = &streamed{fields: frame.Fields}
			}
			if frame.StreamEnded() {
				end(frame.StreamID)
			}
		case *http2.DataFrame:
			s := open[frame.StreamID]
			if s == nil {
				continue // of one that was reset
			}
			s.body += string(frame.Data())
			if n := uint32(frame.Length); n > 0 {
				f.WriteWindowUpdate(0, n)
				f.WriteWindowUpdate(frame.StreamID, n)
			}
			if frame.StreamEnded() {
				end(frame.StreamID)
			}
		case *http2.RSTStreamFrame:
			delete(open, frame.StreamID)
		}
	}
}

// FuzzRequests2: whatever a client says by HTTP/1.1, a target of HTTP/2 gets
// exactly the requests that the client's bytes are by the grammar, with nothing in
// them that only HTTP/1.1 has, and nothing that only the edge may say but once.
func FuzzRequests2(f *testing.F) {
	for _, test := range illFramed {
		if len(test.text) < 4<<10 {
			f.Add([]byte(test.text+behind), 4096, uint8(http1.Monitor))
		}
	}
	for _, text := range requestSeeds {
		f.Add([]byte(text), 4096, uint8(http1.Monitor))
		f.Add([]byte(text+text), 3, uint8(http1.Defensive))
	}
	p := newProbe(f)
	p.target.recordStreams()
	p.version = config.HTTP2
	p.regroup(f)
	f.Fuzz(func(t *testing.T, text []byte, piece int, mode uint8) {
		_, requests := p.run(text, 1+piece&0xFFF, http1.Mode(mode%3))
		streams, broken := p.target.takeStreams()
		if len(broken) > 0 {
			t.Fatalf("the target cannot read %q", broken)
		}
		if aborted(requests) {
			defer p.regroup(t)
		}
		rest := string(text)
		for _, r := range requests {
			m, after, end := received.read(rest, nil, false)
			rest = after
			if r.record.Target == "" || r.record.TargetStatusCode == 0 {
				if r.record.Target != "" && r.record.ELBStatusCode != 460 && r.record.ELBStatusCode != 400 {
					t.Fatalf("no answer: %+v", r.record)
				}
				return // the last of its connection
			}
			if len(streams) == 0 {
				t.Fatalf("the target never got %s %s", r.method, r.target)
			}
			if end != complete || m.start[0] != r.method || m.body != streams[0].body {
				t.Fatalf("target got body %q of %s, and the client sent %q of %v", streams[0].body, r.method, m.body, m.start)
			}
			checkStream(t, &r, &streams[0])
			streams = streams[1:]
		}
		if len(streams) > 0 && len(requests) > 0 && requests[len(requests)-1].record.ELBStatusCode != 460 {
			t.Fatalf("the target got %+v, which nobody has sent", streams[0])
		}
	})
}

// checkStream compares what the engine believes to have sent with what the target
// of HTTP/2 has read.
func checkStream(t *testing.T, r *sent, s *streamed) {
	t.Helper()
	host := r.host
	if host == "" {
		host = "192.0.2.2:443"
	}
	for _, field := range [][2]string{
		{":method", r.method}, {":path", r.target}, {":authority", host}, {":scheme", "http"},
		{"x-client-subject", "CN=alice"}, {"x-amzn-mtls-clientcert-serial-number", "03A5B1"}, {"x-forwarded-proto", "https"},
	} {
		if values := s.get(field[0]); len(values) != 1 || values[0] != field[1] {
			t.Fatalf("%s is %q, want %q", field[0], values, field[1])
		}
	}
	if !isTarget(r.method, r.target) {
		t.Fatalf("request target %q", r.target)
	}
	if r.length >= 0 && int64(len(s.body)) != r.length {
		t.Fatalf("body of %d, want %d", len(s.body), r.length)
	}
	if lengths := s.get("content-length"); len(lengths) > 1 || len(lengths) == 1 && lengths[0] != strconv.Itoa(len(s.body)) {
		t.Fatalf("content-length %q of a body of %d", lengths, len(s.body))
	}
	want := map[string]int{} // of the client's, what may go on
	for _, f := range r.fields {
		want[strings.ToLower(f.Name)+": "+f.Value]++
	}
	for _, f := range s.fields {
		switch f.Name {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host", "http2-settings":
			t.Fatalf("%s by HTTP/2", f.Name)
		case "te":
			if f.Value != "trailers" {
				t.Fatalf("te: %q", f.Value)
			}
		case ":method", ":path", ":authority", ":scheme", "content-length", "trailer", "accept-encoding", "expect", "x-forwarded-for", "x-forwarded-port", "x-amzn-trace-id",
			"x-forwarded-proto", "x-client-subject", "x-amzn-mtls-clientcert-serial-number", "x-amzn-tls-version", "x-amzn-tls-cipher-suite":
		default:
			if want[f.Name+": "+f.Value]--; want[f.Name+": "+f.Value] < 0 {
				t.Fatalf("the target got %q, which the client has not sent", f)
			}
		}
		checkField(t, f)
	}
	for _, f := range s.trailers {
		if !mayTrail(f.Name) || identityNames[f.Name] {
			t.Fatalf("trailer %q", f)
		}
		checkField(t, f)
	}
}

// identityNames are what only the edge may say, as it is here.
var identityNames = map[string]bool{"x-client-subject": true, "x-amzn-mtls-clientcert-serial-number": true}

// checkField says whether a target that makes HTTP/1.1 of a field would have just
// that: RFC 9113, section 8.2.1.
func checkField(t *testing.T, f hpack.HeaderField) {
	t.Helper()
	name := strings.TrimPrefix(f.Name, ":")
	if !http1.IsToken(name) || strings.ToLower(name) != name || strings.ContainsAny(f.Value, "\r\n\x00") || strings.Trim(f.Value, " \t") != f.Value {
		t.Fatalf("field %q", f)
	}
}

package edge

import (
	"sync"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/logfile"
	"github.com/sallyport/sallyport/edge/proxy"
)

// lines are the buffers that log lines are printed into.
var lines = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// write prints a line into a pooled buffer and hands it to file.
func write(file *logfile.File, print func([]byte) []byte) {
	b := lines.Get().(*[]byte)
	*b = print((*b)[:0])
	file.Write(*b)
	lines.Put(b)
}

// connectionSink is the connection log in the form it is configured in.
type connectionSink struct {
	file   *logfile.File
	format config.LogFormat
}

func (s *connectionSink) connection(r *connlog.Record) {
	if s.format == config.LogJSON {
		write(s.file, r.AppendJSON)
		return
	}
	write(s.file, r.AppendALB)
}

// end writes the second event of a connection, for which ALB's format has no
// place.
func (s *connectionSink) end(e *connlog.Ending) {
	if s.format == config.LogJSON {
		write(s.file, e.AppendJSON)
	}
}

// logAccess writes a request's record, where there is an access log.
func (s *Server) logAccess(r *proxy.Record) {
	if g := s.generation.Load(); g.accessLog != nil {
		r.LoadBalancer = &g.cfg.LoadBalancer
		if g.cfg.Logs.Access.Format == config.LogJSON {
			write(g.accessLog, r.AppendJSON)
		} else {
			write(g.accessLog, r.AppendALB)
		}
	}
}

package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/logfile"
	"github.com/sallyport/sallyport/edge/proxy"
)

// logSet is the logs of a generation. One that is not wanted is nil, and takes
// everything.
type logSet struct{ connection, access, healthCheck *logSink }

// logSink is a log in the form it is configured in.
type logSink struct {
	name   string // as metrics call it
	file   *logfile.File
	format config.LogFormat
}

// all returns the logs that are wanted.
func (l *logSet) all() (list []*logSink) {
	for _, sink := range []*logSink{l.connection, l.access, l.healthCheck} {
		if sink != nil {
			list = append(list, sink)
		}
	}
	return list
}

// wanted is the logs as they are configured.
func (l *logSet) wanted(cfg *config.Logs) []wantedLog {
	return []wantedLog{
		{"connection", "conn_log_", &cfg.Connection, &l.connection},
		{"access", "", &cfg.Access, &l.access},
		{"health_check", "health_check_log_", &cfg.HealthCheck, &l.healthCheck},
	}
}

type wantedLog struct {
	name string
	kind string // what its pieces' names begin with
	cfg  *config.Log
	sink **logSink
}

// record prints itself as one line.
type record interface {
	AppendALB(dst []byte) []byte
	AppendJSON(dst []byte) []byte
}

// lines are the buffers that log lines are printed into; one that a hostile line
// has made larger than maxLine is not kept.
var lines = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

const maxLine = 16 << 10

// write has a line printed into a pooled buffer, and hands it on.
func (l *logSink) write(print func([]byte) []byte) {
	b := lines.Get().(*[]byte)
	*b = print((*b)[:0])
	l.file.Write(*b)
	if cap(*b) <= maxLine {
		lines.Put(b)
	}
}

func (l *logSink) print(r record) {
	switch {
	case l == nil:
	case l.format == config.LogJSON:
		l.write(r.AppendJSON)
	default:
		l.write(r.AppendALB)
	}
}

// end writes the second event of a connection, for which ALB's format has no
// place.
func (l *logSink) end(e *connlog.Ending) {
	if l != nil && l.format == config.LogJSON {
		l.write(e.AppendJSON)
	}
}

// logAccess writes a request's record, where there is an access log.
func (s *Server) logAccess(r *proxy.Record) {
	if g := s.generation.Load(); g.logs.access != nil {
		r.LoadBalancer = &g.cfg.LoadBalancer
		g.logs.access.print(r)
	}
}

// LogHealthCheck writes a check of a target to the health-check log, where there
// is one. It never waits. It may be called concurrently, and does not keep h.
func (s *Server) LogHealthCheck(h *accesslog.HealthCheck) {
	if g := s.generation.Load(); g.logs.healthCheck != nil {
		h.LoadBalancer = &g.cfg.LoadBalancer
		g.logs.healthCheck.print(h)
	}
}

// openLogs opens the logs that old has not open already as they are wanted now,
// all or none. Of trouble with them log is told.
func (g *generation) openLogs(old *generation, log *slog.Logger) error {
	var opened []*logfile.File
	for _, want := range g.logs.wanted(&g.cfg.Logs) {
		if !want.cfg.On() {
			continue
		}
		options := g.logOptions(want)
		options.Log = log
		there := g.logs.all() // two logs may share a stream
		if old != nil {
			there = append(there, old.logs.all()...)
		}
		var file *logfile.File
		for _, sink := range there {
			if sink.file.Options() == options {
				file = sink.file
			}
		}
		if file == nil {
			var err error
			if file, err = logfile.New(options); err != nil {
				return errors.Join(fmt.Errorf("open %s log: %w", want.name, err), closeLogs(opened))
			}
			opened = append(opened, file)
		}
		*want.sink = &logSink{want.name, file, want.cfg.Format}
	}
	return nil
}

// closeLogs closes logs that were opened and are not to run.
func closeLogs(files []*logfile.File) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var errs []error
	for _, file := range files {
		errs = append(errs, file.Run(ctx))
	}
	return errors.Join(errs...)
}

func (g *generation) logOptions(want wantedLog) logfile.Options {
	o := logfile.Options{JSON: want.cfg.Format == config.LogJSON}
	switch cfg := want.cfg; {
	case cfg.Syslog != nil:
		o.Syslog = logfile.Syslog{Facility: cfg.Syslog.Facility.Number(), MessageID: want.name}
		o.Syslog.Network, o.Syslog.Address = cfg.Syslog.Split()
	case cfg.Stream != "":
		o.Name = "/dev/" + string(cfg.Stream)
	default:
		o.Name = g.cfg.ResolvePath(cfg.File)
	}
	if r, lb := want.cfg.Rotate, &g.cfg.LoadBalancer; r != nil {
		o.Rotate = logfile.Rotate{
			Size: int64(r.Size), Every: r.Every.Std(), Compress: r.Compress == config.CompressGzip,
			Keep: r.Keep.Std(), KeepSize: int64(r.KeepSize),
			Naming: logfile.Naming{Kind: want.kind, Account: lb.Account, Region: lb.Region, Name: lb.Name, ID: lb.ID, Address: hostAddress()},
		}
	}
	return o
}

// hostAddress is an address of this host for the names of files: of those by
// which others know it the first, and an IPv4 address rather than another.
func hostAddress() (found netip.Addr) {
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		prefix, err := netip.ParsePrefix(a.String())
		if addr := prefix.Addr(); err == nil && addr.IsGlobalUnicast() && (!found.IsValid() || addr.Is4() && !found.Is4()) {
			found = addr
		}
	}
	return found
}

func (s *Server) reopenLogs() error {
	var errs []error
	for _, sink := range s.generation.Load().logs.all() {
		if err := sink.file.Reopen(); err != nil {
			errs = append(errs, fmt.Errorf("open log anew: %w", err))
		}
	}
	return errors.Join(errs...)
}

// logs checks what can be checked of the log files without making them.
func (b *builder) logs() {
	for _, want := range new(logSet).wanted(&b.cfg.Logs) {
		name, path := want.cfg.File, "logs."+want.name+".file"
		if name == "" {
			continue
		}
		file := b.cfg.ResolvePath(name)
		dir := filepath.Dir(file)
		if info, err := os.Stat(dir); err != nil {
			b.problem(path, "%q: %v", name, err)
		} else if !info.IsDir() {
			b.problem(path, "%q: %s is not a directory", name, dir)
		} else if info, err := os.Stat(file); err == nil && info.IsDir() {
			b.problem(path, "%q: is a directory: want the name of a file", name)
		} else if info, err := os.Lstat(file); err == nil && want.cfg.Rotate != nil && !info.Mode().IsRegular() {
			b.problem(path, "%q: is no regular file: want one to rotate", name)
		}
		if input := b.inputs()[file]; input != "" {
			b.problem(path, "%q: is read as %s: want a file of the log's own", name, input)
		}
	}
}

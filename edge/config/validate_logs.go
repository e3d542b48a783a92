package config

import (
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	loadBalancerID = regexp.MustCompile(`^[0-9a-fA-F]{16}$`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

func (v *validator) loadBalancer() {
	lb := v.c.LoadBalancer
	if !isName(lb.Name) {
		v.errorf("load_balancer.name", "%s: want %s", quote(lb.Name), nameForm)
	}
	if !loadBalancerID.MatchString(lb.ID) {
		v.errorf("load_balancer.id", "%s: want 16 hex digits", quote(lb.ID))
	}
	if !accountID.MatchString(lb.Account) {
		v.errorf("load_balancer.account", "%s: want 12 digits", quote(lb.Account))
	}
	if len(lb.Region) > 32 || !regionPattern.MatchString(lb.Region) {
		v.errorf("load_balancer.region", "%s: want lower-case letters and digits with single hyphens between them, such as eu-central-1", quote(lb.Region))
	}
}

func (v *validator) logs() {
	files := map[string]string{}
	for _, log := range []struct {
		path string
		log  Log
	}{{"logs.connection", v.c.Logs.Connection}, {"logs.access", v.c.Logs.Access}, {"logs.health_check", v.c.Logs.HealthCheck}} {
		if !v.c.source.wrote(log.path) {
			continue
		}
		v.log(log.path, log.log)
		file := v.c.ResolvePath(log.log.File)
		if other := files[file]; file != "" && other != "" {
			v.errorf(child(log.path, "file"), "%s: is the file of %s already", quote(log.log.File), other)
		}
		files[file] = log.path
	}
}

func (v *validator) log(path string, l Log) {
	file, stream, syslog, rotate := child(path, "file"), child(path, "stream"), child(path, "syslog"), child(path, "rotate")
	places := 0
	for _, there := range []bool{l.File != "", l.Stream != "", l.Syslog != nil} {
		if there {
			places++
		}
	}
	if v.sure(file, stream, syslog) {
		v.needed(path, places > 0, "a file, a stream or a syslog receiver to log to")
		if places > 1 {
			v.errorf(path, "logs to %d places: want exactly one of file, stream and syslog", places)
		}
	}
	if l.Syslog != nil {
		v.syslog(child(syslog, "address"), l.Syslog)
	}
	if r := l.Rotate; r != nil {
		if l.File == "" && v.sure(file) {
			v.errorf(rotate, "without a file: want it only beside one")
		}
		if r.Size != 0 && r.Size < 64<<10 {
			v.errorf(child(rotate, "size"), "%s: want at least 64KiB, or 0B for any", r.Size)
		}
		if r.Every != 0 && r.Every.Std() < time.Minute {
			v.errorf(child(rotate, "every"), "%s: want at least 1m, or 0s for any", r.Every)
		}
		if r.Size == 0 && r.Every == 0 && v.sure(rotate) {
			v.errorf(rotate, "has neither a size nor a time: want one after which to rotate")
		}
	}
}

func (v *validator) syslog(path string, s *Syslog) {
	const want = "unix:PATH, udp://HOST:PORT or tcp://HOST:PORT"
	switch network, address := s.Split(); network {
	case "":
		v.errorf(path, "%s: want %s", quote(s.Address), want)
	case "unixgram":
		if !strings.HasPrefix(address, "/") {
			v.errorf(path, "%s: want an absolute path", quote(s.Address))
		}
	default:
		host, port, err := net.SplitHostPort(address)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
			v.errorf(path, "%s: want %s", quote(s.Address), want)
		}
	}
}

package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HealthCheck says how the edge finds out which targets may have requests. Where
// the section is left out nothing is checked, and all targets have requests.
type HealthCheck struct {
	// Enabled has every target of the group asked at intervals. False leaves the
	// other keys without effect, those of Passive excepted. Default true where the
	// section is written.
	Enabled bool `yaml:"enabled"`

	// Protocol of the checks, http or https, by which https is authenticated as the
	// group's https section says. Default: the target's own.
	Protocol Protocol `yaml:"protocol"`

	// Port of the checks, 1 to 65535. Default: the target's own.
	Port int `yaml:"port"`

	// Path that is asked for by GET, with a query if need be; with protocol_version
	// grpc the method that is called, /PACKAGE.SERVICE/METHOD, with an empty
	// message. Default: /, and for grpc /AWS.ALB/healthcheck.
	Path string `yaml:"path"`

	// Matcher is the status codes of a target in order: codes and ranges from 200 to
	// 499 such as 200-299,301; with protocol_version grpc those of gRPC, from 0 to
	// 99. A redirect is a code as any other, and is not followed. Default: 200, and
	// for grpc 12, which is what a server says of a method that it does not know.
	Matcher string `yaml:"matcher"`

	// Interval between two checks of a target, from 100ms to 1h, up to a tenth more
	// or less. Default 30s.
	Interval Duration `yaml:"interval"`

	// Timeout of a check, from connecting to the head of the response, or to gRPC's
	// status; at most the interval. Default: 5s, or the interval if that is less.
	Timeout Duration `yaml:"timeout"`

	// HealthyThreshold is how many checks in a row an unhealthy target must pass to
	// be healthy, 1 to 100. One that was never healthy needs to pass one. Default 5.
	HealthyThreshold int `yaml:"healthy_threshold"`

	// UnhealthyThreshold is how many checks in a row a target must fail to be
	// unhealthy, 1 to 100. Default 2.
	UnhealthyThreshold int `yaml:"unhealthy_threshold"`

	// AllUnhealthy says what becomes of requests while no target is healthy:
	// fail_open (they go to all targets), or fail_closed (they are answered 503, from
	// the start on until a target has passed a check). Default fail_open.
	AllUnhealthy AllUnhealthy `yaml:"all_unhealthy"`

	// Passive goes by what becomes of clients' requests, beside checks or without.
	Passive PassiveHealthCheck `yaml:"passive"`
}

// PassiveHealthCheck gives a target no requests for a while when those it had have
// failed. Where the section is left out no target is ejected. The last one that
// may have requests never is.
type PassiveHealthCheck struct {
	// Failures in a row that a target is ejected for, 1 to 1000: it was not reached,
	// gave no answer or a malformed one, or answered 502 or 504. Default 5.
	Failures int `yaml:"failures"`

	// For is how long the first ejection lasts, from 1s to 1h. Each that follows
	// without a success in between lasts twice as long as the one before, up to
	// sixteen times For. Default 30s.
	For Duration `yaml:"for"`
}

// AllUnhealthy is what becomes of requests while no target is healthy.
type AllUnhealthy string

const (
	FailOpen   AllUnhealthy = "fail_open"
	FailClosed AllUnhealthy = "fail_closed"
)

func (AllUnhealthy) words() []string { return []string{"fail_open", "fail_closed"} }

// On says whether anything is to be found out about the group's targets.
func (h *HealthCheck) On() bool { return h.Enabled || h.Passive.Failures > 0 }

func (h *HealthCheck) setDefaults() {
	*h = HealthCheck{
		Enabled: true, Interval: Duration(30 * time.Second),
		HealthyThreshold: 5, UnhealthyThreshold: 2, AllUnhealthy: FailOpen,
	}
}

func (p *PassiveHealthCheck) setDefaults() {
	*p = PassiveHealthCheck{Failures: 5, For: Duration(30 * time.Second)}
}

// normalise fills in what depends on other keys; timed says that a timeout is
// written.
func (h *HealthCheck) normalise(version ProtocolVersion, timed bool) {
	path, matcher := "/", "200"
	if version == GRPC {
		path, matcher = "/AWS.ALB/healthcheck", "12"
	}
	if h.Path == "" {
		h.Path = path
	}
	if h.Matcher == "" {
		h.Matcher = matcher
	}
	if !timed {
		h.Timeout = min(Duration(5*time.Second), h.Interval)
	}
}

// StatusCodes are ranges of status codes. The zero StatusCodes has none.
type StatusCodes []StatusRange

// StatusRange is the codes from First to Last.
type StatusRange struct{ First, Last int }

// Has says whether code is among them.
func (s StatusCodes) Has(code int) bool {
	return slices.ContainsFunc(s, func(r StatusRange) bool { return r.First <= code && code <= r.Last })
}

// maxMatcher bounds a matcher, in bytes.
const maxMatcher = 1024

// ParseMatcher reads codes and ranges of them, such as 200-299,301, of gRPC or of
// HTTP. The error says what was wanted.
func ParseMatcher(text string, grpc bool) (StatusCodes, error) {
	least, most, example := 200, 499, "200, 200-299 or 200-299,301"
	if grpc {
		least, most, example = 0, 99, "12, 0-99 or 0,12"
	}
	wrong := fmt.Errorf("%s: want codes and ranges from %d to %d such as %s", quote(text), least, most, example)
	if len(text) > maxMatcher {
		return nil, wrong
	}
	var codes StatusCodes
	for _, part := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		first, ok := statusCode(from)
		last, also := statusCode(to)
		if !ok || !also || first < least || last > most || first > last {
			return nil, wrong
		}
		codes = append(codes, StatusRange{first, last})
	}
	return codes, nil
}

// statusCode reads a number without a sign or zeros in front.
func statusCode(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil && strconv.FormatUint(n, 10) == text
}

func (v *validator) healthCheck(path string, g TargetGroup) {
	h := g.HealthCheck
	if h.Enabled {
		v.checkRequest(path, g)
		v.within(child(path, "interval"), h.Interval, 100*time.Millisecond, time.Hour)
		if at := child(path, "timeout"); h.Timeout <= 0 {
			v.errorf(at, "%v: want a duration above zero", h.Timeout)
		} else if h.Timeout > h.Interval && v.sure(at, child(path, "interval")) {
			v.errorf(at, "%v: want no more than the interval, which is %v", h.Timeout, h.Interval)
		}
		v.from(child(path, "healthy_threshold"), h.HealthyThreshold, 1, 100)
		v.from(child(path, "unhealthy_threshold"), h.UnhealthyThreshold, 1, 100)
	}
	if passive := child(path, "passive"); v.c.source.wrote(passive) {
		v.from(child(passive, "failures"), h.Passive.Failures, 1, 1000)
		v.within(child(passive, "for"), h.Passive.For, time.Second, time.Hour)
	}
}

func (v *validator) checkRequest(path string, g TargetGroup) {
	h := g.HealthCheck
	if v.c.source.wrote(child(path, "port")) {
		v.from(child(path, "port"), h.Port, 1, 65535)
	}
	const longest = 1024 // ALB's
	unprintable := strings.ContainsFunc(h.Path, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' })
	if at := child(path, "path"); v.sure(at) && (!strings.HasPrefix(h.Path, "/") || unprintable || len(h.Path) > longest) {
		v.errorf(at, "%s: want a path such as /healthz of at most %d bytes of printable ASCII, without # or spaces", quote(h.Path), longest)
	}
	if at := child(path, "matcher"); v.sure(at, child(parent(path), "protocol_version")) {
		if _, err := ParseMatcher(h.Matcher, g.ProtocolVersion == GRPC); err != nil {
			v.errorf(at, "%v", err)
		}
	}
}

// within reports a duration that is not from least to most.
func (v *validator) within(path string, d Duration, least, most time.Duration) {
	if d.Std() < least || d.Std() > most {
		v.errorf(path, "%v: want a duration from %v to %v", d, least, most)
	}
}

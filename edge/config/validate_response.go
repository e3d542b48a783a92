package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// reservedResponse, and all that begin with reservedResponsePrefixes, are no fields
// for every response: they frame it, are about one connection, or say of one
// response what is not true of the next. Set-Cookie and Vary are lists of the
// target's own, of which a value of ours would leave nothing.
var (
	reservedResponse = strings.Fields(`accept-ranges age allow authentication-info connection content-disposition
		content-encoding content-language content-length content-location content-md5 content-range content-type date
		etag expect expires host http2-settings keep-alive last-modified location refresh retry-after server
		set-cookie set-cookie2 status te trailer trailers transfer-encoding upgrade vary via warning www-authenticate`)
	reservedResponsePrefixes = []string{"proxy-", "grpc-", "sec-websocket-", "if-"}

	maxAgeDirective = regexp.MustCompile(`(?i)(^|;) *max-age *= *"?[0-9]+"? *(;|$)`)
)

// maxResponseValue is ALB's.
const maxResponseValue = 1024

func (v *validator) responseAttributes(path string, r ResponseAttributes, protocol Protocol) {
	names := map[string]string{"server": child(path, "server")} // folded, to where each is
	for _, h := range r.albs() {
		at := child(path, h.key)
		names[foldHeader(h.name)] = at
		if h.value == "" || !v.sure(at) {
			continue
		}
		if !v.responseValue(at, h.value) {
			continue
		}
		if want := valueWanted(h.key, h.value); want != "" {
			v.errorf(at, "%s: want %s", quote(h.value), want)
		}
		if h.key == "strict_transport_security" && protocol == HTTP {
			v.errorf(at, "%s: only for protocol https (RFC 6797, section 7.2)", quote(h.value))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Set)) {
		at, folded := child(child(path, "set"), name), foldHeader(name)
		if !v.sure(at) {
			continue
		}
		switch key := names[folded]; {
		case len(name) > 128 || !isToken(name) || strings.Trim(folded, "-") == "":
			v.errorf(at, "%s: want a header name (RFC 9110, section 5.1) of at most 128 bytes", quote(name))
			continue
		case key != "":
			v.errorf(at, "%s: its place is %s, in any case and with any punctuation", quote(name), key)
			continue
		case slices.Contains(reservedResponse, folded) || slices.ContainsFunc(reservedResponsePrefixes, func(prefix string) bool { return strings.HasPrefix(folded, prefix) }):
			v.errorf(at, "%s: want a header that can be the same in every response", quote(name))
			continue
		}
		names[folded] = at
		v.responseValue(at, r.Set[name])
	}
}

// responseValue reports a value that would not come through as it is written: a
// line end, or any other control, would make two fields of one.
func (v *validator) responseValue(path, value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			v.errorf(path, "%s: want printable ASCII", quote(value))
			return false
		}
	}
	if len(value) > maxResponseValue {
		v.errorf(path, "%s: has %d bytes: want at most %d", quote(value), len(value), maxResponseValue)
		return false
	}
	if strings.TrimSpace(value) != value {
		v.errorf(path, "%s: want no space at its ends", quote(value))
		return false
	}
	return true
}

// valueWanted returns what the value of one of ALB's attributes should be, or "". A
// browser passes over what it does not understand, without a word to anybody.
func valueWanted(key, value string) string {
	switch key {
	case "strict_transport_security":
		if !maxAgeDirective.MatchString(value) {
			return "max-age=SECONDS among its directives (RFC 6797, section 6.1)"
		}
	case "access_control_allow_credentials":
		if value != "true" {
			return "true; leave the key out for no"
		}
	case "access_control_max_age":
		const day = 86400
		if n, err := strconv.ParseUint(value, 10, 32); err != nil || n > day {
			return "a number of seconds from 0 to " + strconv.Itoa(day)
		}
	case "x_content_type_options":
		if value != "nosniff" {
			return "nosniff"
		}
	case "x_frame_options":
		if value != "DENY" && value != "SAMEORIGIN" {
			return "DENY or SAMEORIGIN"
		}
	}
	return ""
}

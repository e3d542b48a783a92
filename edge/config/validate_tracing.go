package config

import (
	"net/url"
	"strings"
)

func (v *validator) tracing() {
	t := v.c.Tracing
	const path, endpoint = "tracing", "tracing.otlp.endpoint"
	if v.c.source.wrote(path) {
		v.needed(endpoint, t.On(), "the URL of a collector")
		v.needed("tracing.service_name", t.ServiceName != "", "a name")
	}
	if t.On() {
		v.fetchable(endpoint, t.OTLP.Endpoint)
		// A token in a URL would be in logs and in status.
		if u, err := url.Parse(t.OTLP.Endpoint); err == nil && (u.RawQuery != "" || u.ForceQuery) {
			v.errorf(endpoint, "%s: want a URL without ?", quote(t.OTLP.Endpoint))
		}
		if t.OTLP.CA != "" && !strings.HasPrefix(t.OTLP.Endpoint, "https:") {
			v.errorf("tracing.otlp.ca", "%s: has a meaning with https:// only", quote(t.OTLP.CA))
		}
	}
	for _, name := range sorted(v.c.Listeners) {
		at := child(child(child("listeners", name), "tracing"), "trust_parent")
		if v.c.Listeners[name].Tracing.TrustParent && !t.On() && v.sure(endpoint) {
			v.errorf(at, "without tracing: want the section tracing with an otlp endpoint")
		}
	}
}

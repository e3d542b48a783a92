package config

import (
	"maps"
	"slices"
)

// ResponseAttributes are ALB's attributes routing.http.response.*: header fields
// that every response to a client has, a target's as well as the edge's own errors,
// redirects and fixed responses. A value takes the place of what the target has
// said under that name. Values are printable ASCII, at most 1024 bytes.
type ResponseAttributes struct {
	// Server lets responses have a Server field, the target's or the edge's own: on
	// or off. Default on.
	Server OnOff `yaml:"server"`
	// StrictTransportSecurity tells browsers to come by https only, such as
	// max-age=31536000; includeSubDomains. Not for protocol http. Default none.
	StrictTransportSecurity string `yaml:"strict_transport_security"`
	// AccessControlAllowOrigin is the origin that scripts may come from, or *.
	// Default none.
	AccessControlAllowOrigin string `yaml:"access_control_allow_origin"`
	// AccessControlAllowMethods lists the methods that such scripts may use. Default
	// none.
	AccessControlAllowMethods string `yaml:"access_control_allow_methods"`
	// AccessControlAllowHeaders lists the fields that they may send. Default none.
	AccessControlAllowHeaders string `yaml:"access_control_allow_headers"`
	// AccessControlAllowCredentials is true: their requests may carry credentials.
	// Default none.
	AccessControlAllowCredentials string `yaml:"access_control_allow_credentials"`
	// AccessControlExposeHeaders lists the fields that they may read. Default none.
	AccessControlExposeHeaders string `yaml:"access_control_expose_headers"`
	// AccessControlMaxAge is for how many seconds a browser may remember this, at
	// most 86400. Default none.
	AccessControlMaxAge string `yaml:"access_control_max_age"`
	// ContentSecurityPolicy says from where browsers may load what a page names.
	// Default none.
	ContentSecurityPolicy string `yaml:"content_security_policy"`
	// XContentTypeOptions is nosniff. Default none.
	XContentTypeOptions string `yaml:"x_content_type_options"`
	// XFrameOptions is DENY or SAMEORIGIN: who may show a page in a frame. Default
	// none.
	XFrameOptions string `yaml:"x_frame_options"`
	// Set has further fields by their names, which ALB has no attributes for, such
	// as Referrer-Policy. None that frames a message, is about one connection, or
	// means something of the response that the edge does not know. Default none.
	Set map[string]string `yaml:"set"`
}

// ResponseHeader is a field of every response.
type ResponseHeader struct{ Name, Value string }

// Headers returns the fields that are set: ALB's in its order, then those of Set by
// name.
func (r *ResponseAttributes) Headers() []ResponseHeader {
	var list []ResponseHeader
	for _, h := range r.albs() {
		if h.value != "" {
			list = append(list, ResponseHeader{h.name, h.value})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Set)) {
		list = append(list, ResponseHeader{name, r.Set[name]})
	}
	return list
}

// albHeader is one of ALB's: its attribute, its name on the wire, and its value.
type albHeader struct{ key, name, value string }

func (r *ResponseAttributes) albs() []albHeader {
	return []albHeader{
		{"strict_transport_security", "Strict-Transport-Security", r.StrictTransportSecurity},
		{"access_control_allow_origin", "Access-Control-Allow-Origin", r.AccessControlAllowOrigin},
		{"access_control_allow_methods", "Access-Control-Allow-Methods", r.AccessControlAllowMethods},
		{"access_control_allow_headers", "Access-Control-Allow-Headers", r.AccessControlAllowHeaders},
		{"access_control_allow_credentials", "Access-Control-Allow-Credentials", r.AccessControlAllowCredentials},
		{"access_control_expose_headers", "Access-Control-Expose-Headers", r.AccessControlExposeHeaders},
		{"access_control_max_age", "Access-Control-Max-Age", r.AccessControlMaxAge},
		{"content_security_policy", "Content-Security-Policy", r.ContentSecurityPolicy},
		{"x_content_type_options", "X-Content-Type-Options", r.XContentTypeOptions},
		{"x_frame_options", "X-Frame-Options", r.XFrameOptions},
	}
}

package config

// PluginHeaders are changes of headers that the edge makes by itself, of templates:
// text with placeholders such as {{cert.organizational_units[0]}} or
// {{cert.uris | join " "}}, for the fields that plugins may need. "| default" gives
// what stands for no value; without it the header is left as it is then. "| url",
// "| base64" and "| sf" (a Structured Field) encode.
type PluginHeaders struct {
	// Set has a template for each header of the request that is to have one line,
	// and this one. No client may send them, on any listener. At most 32. Default
	// none.
	Set map[string]string `yaml:"set"`
	// Add has a template for each header of the request that is to have one line
	// more. Those of the client stay. At most 32. Default none.
	Add map[string]string `yaml:"add"`
	// Remove are headers of the request that the target does not get. At most 32.
	// Default none.
	Remove []string `yaml:"remove"`
	// Response is the same for the response, on its way to the client.
	Response PluginResponseHeaders `yaml:"response"`
}

// PluginResponseHeaders are changes of a response's headers, made of templates
// that may have response.status and response_header:NAME besides.
type PluginResponseHeaders struct {
	// Set has a template for each header that is to have one line. At most 32.
	// Default none.
	Set map[string]string `yaml:"set"`
	// Add has a template for each header that is to have one line more. At most 32.
	// Default none.
	Add map[string]string `yaml:"add"`
	// Remove are headers that the client does not get. At most 32. Default none.
	Remove []string `yaml:"remove"`
}

// On says whether there is anything to change.
func (h *PluginHeaders) On() bool {
	return len(h.Set)+len(h.Add)+len(h.Remove)+len(h.Response.Set)+len(h.Response.Add)+len(h.Response.Remove) > 0
}

package proxy

import (
	"net/http"
	"strconv"
)

// Status codes of ALB's own.
const (
	statusClientClosed     = 460 // in the record only: nobody is there to read it
	statusTooManyForwarded = 463
)

// allowedMethods stands in a 405.
const allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// page is the body of the edge's own errors. It says nothing that the status
// does not.
func page(status int) []byte {
	title := strconv.Itoa(status)
	text := http.StatusText(status)
	if status == statusTooManyForwarded {
		text = "Too Many Addresses in X-Forwarded-For"
	}
	if text != "" {
		title += " " + text
	}
	return []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n")
}

// answer answers with an error of the edge's own.
func (x *exchange) answer(status int, reason, detail string) {
	x.record.ErrorReason, x.record.ErrorDetail = reason, detail
	body := page(status)
	h := x.header()
	h["Content-Type"] = []string{"text/html"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if status == http.StatusMethodNotAllowed {
		h["Allow"] = []string{allowedMethods}
	}
	if x.client.framed != nil && (status == http.StatusBadRequest || status == http.StatusRequestTimeout) {
		h["Connection"] = []string{"close"}
	}
	x.send(status, body)
}

// header returns the response's header, emptied, for an answer of the edge's
// own: Server tells it from a target's.
func (x *exchange) header() http.Header {
	h := x.w.Header()
	clear(h)
	h["Server"] = []string{"sallyport"}
	return h
}

// send sends a whole response.
func (x *exchange) send(status int, body []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.writeHead(status)
	if x.r.Method != http.MethodHead && len(body) > 0 {
		n, _ := x.w.Write(body)
		x.record.SentBytes += int64(n)
	}
}

func (x *exchange) fixedResponse(f *fixedResponse) {
	h := x.header()
	h["Content-Type"] = nil // nil, or net/http guesses one
	if f.contentType != "" && len(f.body) > 0 {
		h["Content-Type"] = []string{f.contentType}
	}
	if f.status != http.StatusNoContent {
		h["Content-Length"] = []string{f.length}
	}
	body := f.body
	if f.status == http.StatusNoContent {
		body = nil
	}
	x.send(f.status, body)
}

func (x *exchange) redirect(r *redirect) {
	location, err := r.location(&redirectSource{
		protocol: x.record.Scheme,
		host:     hostOnly(x.r.Host),
		port:     x.prepared.portNumber,
		url:      x.r.URL,
	})
	if err != nil {
		x.answer(http.StatusBadRequest, ReasonMalformedRequest, err.Error())
		return
	}
	x.record.RedirectURL = location
	body := page(r.status)
	h := x.header()
	h["Location"] = []string{location}
	h["Content-Type"] = []string{"text/html"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.send(r.status, body)
}

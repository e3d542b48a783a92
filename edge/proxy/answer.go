package proxy

import (
	"net/http"
	"net/url"
	"strconv"
	"unsafe"

	"github.com/sallyport/sallyport/edge/http1"
)

// Status codes of ALB's own.
const (
	statusClientClosed     = 460 // in the record only: nobody is there to read it
	statusTooManyForwarded = 463
	statusIncompatible     = 464
)

// allowedMethods stands in a 405.
const allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// page is the body of the edge's own errors. It says nothing that the status
// does not.
func page(status int) []byte {
	title := strconv.Itoa(status)
	text := http.StatusText(status)
	switch status {
	case statusTooManyForwarded:
		text = "Too Many Addresses in X-Forwarded-For"
	case statusIncompatible:
		text = "Protocol Not That of the Target Group"
	}
	if text != "" {
		title += " " + text
	}
	return []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n")
}

// answer answers with an error of the edge's own.
func (x *exchange) answer(status int, reason, detail string) {
	x.record.ErrorReason, x.record.ErrorDetail = reason, detail
	if x.call != nil && x.call.group.takesGRPC() {
		x.call.answerGRPC(status)
		return
	}
	if status == http.StatusBadRequest || status == http.StatusRequestTimeout {
		x.closing = true
	}
	extra := http1.Field{}
	if status == http.StatusMethodNotAllowed {
		extra = http1.Field{Name: "Allow", Value: allowedMethods}
	}
	x.reply(status, "text/html", page(status), extra)
}

// reply sends a whole response of the edge's own, with one more field if that has
// a name.
func (x *exchange) reply(status int, contentType string, body []byte, extra http1.Field) {
	if status < 200 || status > 999 {
		panic("reply with status " + strconv.Itoa(status))
	}
	fields := append(x.fields[:0], http1.Field{Name: "Server", Value: "sallyport", Kind: http1.Server})
	if extra.Name != "" {
		fields = append(fields, extra)
	}
	if contentType != "" {
		fields = append(fields, http1.Field{Name: "Content-Type", Value: contentType})
	}
	x.resp.Status, x.resp.Reason, x.resp.Fields = status, "", x.judged.Answer.Apply(fields)
	length := int64(len(body))
	if !http1.HasBody(http.MethodGet, status) {
		length, body = http1.None, nil
	}
	if x.req.Method == http.MethodHead {
		body = nil
	}
	err := x.begin(length)
	if err == nil && len(body) > 0 {
		err = x.write(body)
	}
	if err == nil {
		err = x.side.end(nil)
	}
	x.resp.Fields = nil
	if err != nil {
		x.aborted = true
	}
}

func (x *exchange) fixedResponse(f *fixedResponse) {
	contentType := f.contentType
	if len(f.body) == 0 {
		contentType = ""
	}
	x.reply(f.status, contentType, f.body, http1.Field{})
}

func (x *exchange) redirect(r *redirect) {
	target := x.req.AppendTarget(nil)
	u, err := url.ParseRequestURI(unsafe.String(unsafe.SliceData(target), len(target)))
	if err != nil {
		x.answer(http.StatusBadRequest, ReasonMalformedRequest, "request target")
		return
	}
	location, err := r.location(&redirectSource{
		protocol: x.record.Scheme,
		host:     hostOnly(x.req.Host),
		port:     x.prepared.portNumber,
		url:      u,
	})
	if err != nil {
		x.answer(http.StatusBadRequest, ReasonMalformedRequest, err.Error())
		return
	}
	x.record.RedirectURL = location
	x.reply(r.status, "text/html", page(r.status), http1.Field{Name: "Location", Value: location})
}

package revocation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemDash  = "-----"
	pemLabel = "X509 CRL"
	pemLast  = pemEnd + pemLabel + pemDash

	// maxPEMLine bounds the lines of markers, and how much of another line is
	// quoted when it should not be there.
	maxPEMLine = 256
	maxQuoted  = 40
)

var errNoList = errors.New("no CRL: want DER, or PEM blocks labelled X509 CRL")

// pemText reads PEM (RFC 7468) block by block. encoding/pem passes over what it
// cannot read, and a list passed over is a revocation not seen: here every
// marker must belong to a whole block with the right label.
type pemText struct {
	w      *window
	max    int64  // bytes of a block and the text before it
	from   int64  // where that text begins
	line   []byte // begin of the line that w is in, its leading blanks left out
	base64 base64Text
	ended  bool
}

// skipMark takes a UTF-8 byte order mark.
func (p *pemText) skipMark() error {
	const mark = "\xef\xbb\xbf"
	err := p.ahead(len(mark))
	if bytes.HasPrefix(p.w.rest(), []byte(mark)) {
		p.w.at += len(mark)
	}
	return err
}

// ahead reads until n bytes can be taken, or fewer if the text ends before.
func (p *pemText) ahead(n int) error {
	if _, err := p.w.has(n); err != nil {
		return err
	}
	if p.w.pos()-p.from > p.max {
		return fmt.Errorf("more than %d bytes of PEM text", p.max)
	}
	return nil
}

// next goes to the next block, which it is then to be read from. found says
// whether there is one.
func (p *pemText) next() (found bool, err error) {
	p.from = p.w.pos()
	p.line = p.line[:0]
	for {
		if err := p.ahead(len(pemBegin)); err != nil {
			return false, err
		}
		rest := p.w.rest()
		at := bytes.Index(rest, []byte(pemDash))
		switch {
		case at < 0 && len(rest) < len(pemBegin): // nothing more to come
			return false, nil
		case at < 0:
			at = len(rest) - len(pemDash) + 1
		case at == 0 && bytes.HasPrefix(rest, []byte(pemEnd)):
			return false, errors.New("END without BEGIN")
		case at == 0 && bytes.HasPrefix(rest, []byte(pemBegin)):
			return true, p.begin()
		case at == 0:
			at = 1
		}
		p.skip(at)
	}
}

// skip takes text outside of blocks.
func (p *pemText) skip(n int) {
	text := p.w.rest()[:n]
	p.w.at += n
	if end := bytes.LastIndexByte(text, '\n'); end >= 0 {
		p.line, text = p.line[:0], text[end+1:]
	}
	if len(p.line) == 0 {
		text = bytes.TrimSpace(text)
	}
	p.line = append(p.line, text[:min(len(text), maxQuoted-len(p.line))]...)
}

// begin takes the line of a BEGIN marker.
func (p *pemText) begin() error {
	if len(p.line) > 0 {
		return fmt.Errorf("BEGIN behind %q: want it to start a line", p.line)
	}
	p.w.at += len(pemBegin)
	line, err := p.restOfLine()
	if err != nil {
		return err
	}
	label, ok := bytes.CutSuffix(line, []byte(pemDash))
	if !ok {
		return fmt.Errorf("BEGIN line ends in %.*q: want %s", maxQuoted, line, pemDash)
	}
	if string(label) != pemLabel {
		return fmt.Errorf("label %.*q: want %q", maxQuoted, label, pemLabel)
	}
	p.base64, p.ended = base64Text{}, false
	return nil
}

// restOfLine takes what is left of a line, without the white space around it.
// A line longer than maxPEMLine is returned in part.
func (p *pemText) restOfLine() ([]byte, error) {
	if err := p.ahead(maxPEMLine); err != nil {
		return nil, err
	}
	line, _, found := bytes.Cut(p.w.rest(), []byte("\n"))
	line = line[:min(len(line), maxPEMLine)]
	p.w.at += len(line)
	if found && len(line) < maxPEMLine {
		p.w.at++
	}
	return bytes.TrimSpace(line), nil
}

// Read decodes the block that next went to. At its end, past the END line, it
// gives io.EOF; a block without one is an error. to has room for four.
func (p *pemText) Read(to []byte) (n int, err error) {
	for n == 0 && !p.ended {
		if err := p.ahead(len(pemLast)); err != nil {
			return 0, err
		}
		rest := p.w.rest()
		if len(rest) == 0 {
			return 0, errors.New("no line " + pemLast)
		}
		wrote, took, err := p.base64.decode(to, rest)
		p.w.at += took
		if err != nil {
			return 0, fmt.Errorf("%w at byte %d", err, p.w.pos())
		}
		if n = wrote; took < len(rest) && rest[took] == '-' {
			if err := p.end(); err != nil {
				return 0, err
			}
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// end takes the line of an END marker, from its first dash.
func (p *pemText) end() error {
	if err := p.ahead(len(pemLast)); err != nil {
		return err
	}
	rest := p.w.rest()
	switch {
	case !bytes.HasPrefix(rest, []byte(pemDash)):
		return fmt.Errorf("illegal base64: %q at byte %d", rest[0], p.w.pos())
	case !bytes.HasPrefix(rest, []byte(pemLast)):
		return errors.New("no line " + pemLast)
	}
	p.w.at += len(pemLast)
	line, err := p.restOfLine()
	if err == nil && len(line) > 0 {
		err = fmt.Errorf("END followed by %.*q: want a new line", maxQuoted, line)
	}
	if err == nil {
		err = p.base64.end()
	}
	p.ended = true
	return err
}

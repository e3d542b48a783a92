package revocation

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// listReader reads one CertificateList (RFC 5280 section 5.1).
type listReader struct {
	*reading
	w       *window
	list    *List
	fields  fields
	message message // the tbsCertList, for the signature
	entries entryReader
}

// read reads the list, which has to be all of the input. Entries are staged as
// they come: the signature is behind them, and whose it should be only a
// certificate can tell.
func (c *listReader) read() (*List, error) {
	c.list = new(List)
	c.entries = entryReader{
		staged: segment.NewBuilder(segment.Options{Dir: c.o.Dir.segments(), Worse: worse}),
		max:    c.o.MaxEntries,
		months: monthDays(),
	}
	defer c.entries.staged.Discard()
	defer c.message.discard()
	defer c.w.settle()
	err, w := c.readAll(), c.w
	switch {
	case err == nil:
		return c.list, nil
	case w.err != nil && w.err != io.EOF && errors.Is(err, w.err):
		return nil, w.err // of the input, wherever in the list it came
	case errors.Is(err, errInputEnds):
		return nil, fmt.Errorf("CertificateList: %w after %d bytes", errInputEnds, w.base+int64(w.end))
	}
	return nil, err
}

func (c *listReader) readAll() error {
	w, l := c.w, c.list
	w.start(sha256.New())
	w.hold = true // for readTBS, which learns late what to digest with
	h, err := w.header(math.MaxInt64)
	switch {
	case err != nil:
		return fmt.Errorf("CertificateList: %w", err)
	case h.tag != tagSequence:
		return fmt.Errorf("CertificateList: %w", tagError(h.tag, tagSequence))
	case h.whole() > c.o.MaxSize:
		return fmt.Errorf("CertificateList: %d bytes: want at most %d", h.whole(), c.o.MaxSize)
	}
	w.at += h.size
	l.size = h.whole()
	if err := c.readTBS(l.size); err != nil {
		return err
	}
	if err := c.readSignature(l.size); err != nil {
		return err
	}
	more := w.pos() < l.size
	if !more {
		if more, err = w.has(1); err != nil {
			return err
		}
	}
	if more {
		return fmt.Errorf("CertificateList: %w", errTrailing)
	}
	w.settle()
	w.whole.Sum(l.digest[:0])
	if err := c.message.seal(l); err != nil {
		return err
	}
	return c.build()
}

func (c *listReader) readTBS(by int64) error {
	w, f := c.w, &c.fields
	from := w.pos()
	end, err := w.enter(tagSequence, by)
	if err != nil {
		return fmt.Errorf("tbsCertList: %w", err)
	}
	if err := c.readVersion(end); err != nil {
		return err
	}
	if f.algorithm, _, err = cloned(w.element(tagSequence, end)); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if err := c.list.setAlgorithm(f); err != nil {
		return err
	}
	if err := c.message.open(c.list.algorithm, c.o.Dir); err != nil {
		return err
	}
	if err := w.watch(&c.message, c.message.hash != nil, from, end); err != nil {
		return err
	}
	if _, f.issuer, err = cloned(w.element(tagSequence, end)); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if err := c.list.setIssuer(f); err != nil {
		return err
	}
	if err := c.readTimes(end); err != nil {
		return err
	}
	if err := c.readEntries(end); err != nil {
		return err
	}
	if err := c.readExtensions(end); err != nil {
		return err
	}
	if w.pos() < end {
		return fmt.Errorf("tbsCertList: %w", errTrailing)
	}
	return c.entries.finish(c.list)
}

func cloned(content, whole []byte, err error) ([]byte, []byte, error) {
	return bytes.Clone(content), bytes.Clone(whole), err
}

func (c *listReader) readVersion(end int64) error {
	tag, err := c.w.tag(end)
	if err != nil || tag != tagInteger {
		return err
	}
	version, _, err := c.w.element(tagInteger, end)
	if err == nil && !bytes.Equal(version, []byte{1}) {
		err = errors.New("want 1 (version 2) or none (version 1)")
	}
	if err != nil {
		return fmt.Errorf("version %.8x: %w", version, err)
	}
	c.fields.v2, c.entries.extensions = true, true
	return nil
}

func (c *listReader) readTimes(end int64) error {
	w, f := c.w, &c.fields
	_, _, this, err := w.next(end)
	if err != nil {
		return fmt.Errorf("thisUpdate: %w", err)
	}
	f.thisUpdate = bytes.Clone(this)
	tag, err := w.tag(end)
	if err != nil {
		return err
	}
	if tag == tagUTCTime || tag == tagGeneralizedTime {
		if _, f.nextUpdate, err = cloned(w.element(tag, end)); err != nil {
			return fmt.Errorf("nextUpdate: %w", err)
		}
	}
	return c.list.setTimes(f)
}

func (c *listReader) readEntries(by int64) error {
	tag, err := c.w.tag(by)
	if err != nil || tag != tagSequence {
		return err
	}
	end, err := c.w.enter(tagSequence, by)
	if err == nil && end == c.w.pos() {
		err = errors.New("empty: want it left out when nothing is revoked")
	}
	if err != nil {
		return fmt.Errorf("revokedCertificates: %w", err)
	}
	return c.entries.read(c.w, end)
}

func (c *listReader) readExtensions(end int64) error {
	tag, err := c.w.tag(end)
	if err == nil && tag == tagExtensions {
		c.fields.extensions, _, err = cloned(c.w.element(tagExtensions, end))
	}
	if err != nil {
		return fmt.Errorf("crlExtensions: %w", err)
	}
	return c.list.setExtensions(&c.fields)
}

func (c *listReader) readSignature(end int64) error {
	algorithm, _, err := c.w.element(tagSequence, end)
	if err == nil && !bytes.Equal(algorithm, c.fields.algorithm) {
		// The one in the tbsCertList is signed; this one anybody could choose.
		err = fmt.Errorf("%x differs from signature %x", algorithm, c.fields.algorithm)
	}
	if err != nil {
		return fmt.Errorf("signatureAlgorithm: %w", err)
	}
	signature, _, err := c.w.element(tagBitString, end)
	if err == nil && (len(signature) < 2 || signature[0] != 0) {
		err = errors.New("want a bit string of whole octets")
	}
	if err != nil {
		return fmt.Errorf("signatureValue: %w", err)
	}
	c.fields.signature = bytes.Clone(signature[1:])
	c.list.signature = c.fields.signature
	return nil
}

// build makes the staged entries the list's.
func (c *listReader) build() (err error) {
	l, name := c.list, segmentName(c.list.digest)
	var head []byte
	if l.keepable() {
		head = encodeHead(l, &c.fields)
	}
	var missing error
	if c.o.Dir != nil {
		l.file = c.o.Dir.file(name)
		_, missing = os.Stat(l.file)
	}
	if l.segment, err = c.entries.staged.Build(head, name); err != nil {
		return fmt.Errorf("index entries: %w", err)
	}
	if missing != nil {
		c.made = append(c.made, name)
	}
	return nil
}

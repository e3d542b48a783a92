package ban

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/netip"
	"strconv"

	"github.com/sallyport/sallyport/edge/reason"
)

// FileName is the file in Options.Dir that holds the bans: those in force, and
// those remembered for the doubling.
//
// It is text. The first line names the format, and the last counts the lines
// between and sums up all bytes before it by CRC-32C, so that half a file is not
// taken for a whole one. Each line between is a ban, in fields with a space
// between them:
//
//	PREFIX SINCE UNTIL REASON REPEAT SCORE FLAGS BY WHY
//
// SINCE and UNTIL are milliseconds since 1970 on the wall clock, UNTIL 0 for
// ever. REASON is a reason code, - for by hand. SCORE is in thousandths. FLAGS
// are direct, dry_run, both with a comma between them, or -. BY and WHY are in
// Go's double quotes, in ASCII.
const FileName = "bans"

const (
	fileHead = "sallyport bans 1\n"
	mostLine = 4096 // bytes; the texts are bounded, so no line comes near
)

// record is a ban as the file has it.
type record struct {
	prefix       netip.Prefix
	since, until int64 // milliseconds
	code         reason.Code
	repeat       uint8
	score        uint32
	flags        flags
	by, why      string
}

var flagNames = map[flags]string{0: "-", direct: "direct", dryRun: "dry_run", direct | dryRun: "direct,dry_run"}

func (r *record) append(b []byte) []byte {
	b = append(r.prefix.AppendTo(b), ' ')
	b = append(strconv.AppendInt(b, r.since, 10), ' ')
	b = append(strconv.AppendInt(b, r.until, 10), ' ')
	if r.code == 0 {
		b = append(b, '-')
	} else {
		b = append(b, r.code.String()...)
	}
	b = append(b, ' ')
	b = append(strconv.AppendUint(b, uint64(r.repeat), 10), ' ')
	b = append(strconv.AppendUint(b, uint64(r.score), 10), ' ')
	b = append(append(b, flagNames[r.flags]...), ' ')
	b = append(strconv.AppendQuoteToASCII(b, r.by), ' ')
	return append(strconv.AppendQuoteToASCII(b, r.why), '\n')
}

// parse takes a line without its end.
func (r *record) parse(line []byte) error {
	var fields [7][]byte
	rest := line
	for i := range fields {
		var ok bool
		if fields[i], rest, ok = bytes.Cut(rest, []byte{' '}); !ok {
			return errors.New("want nine fields")
		}
	}
	var errs [7]error
	var repeat, score uint64
	r.prefix, errs[0] = netip.ParsePrefix(string(fields[0]))
	r.since, errs[1] = strconv.ParseInt(string(fields[1]), 10, 64)
	r.until, errs[2] = strconv.ParseInt(string(fields[2]), 10, 64)
	if r.code = 0; string(fields[3]) != "-" {
		errs[3] = r.code.UnmarshalText(fields[3])
	}
	repeat, errs[4] = strconv.ParseUint(string(fields[4]), 10, 8)
	score, errs[5] = strconv.ParseUint(string(fields[5]), 10, 32)
	r.repeat, r.score = uint8(repeat), uint32(score)
	errs[6] = r.parseFlags(string(fields[6]))
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if err := r.parseTexts(string(rest)); err != nil {
		return err
	}
	return r.check()
}

func (r *record) parseFlags(s string) error {
	for f, name := range flagNames {
		if name == s {
			r.flags = f
			return nil
		}
	}
	return fmt.Errorf("flags %q: want direct, dry_run, both or -", s)
}

func (r *record) parseTexts(s string) error {
	by, err := strconv.QuotedPrefix(s)
	if err != nil {
		return fmt.Errorf("by and why: %w", err)
	}
	why := s[len(by):]
	switch r.by = ByPolicy; by {
	case `"policy"`: // of nearly all lines
	default:
		if r.by, err = strconv.Unquote(by); err != nil {
			return fmt.Errorf("by: %w", err)
		}
	}
	if r.why = ""; why != ` ""` {
		if r.why, err = strconv.Unquote(why[min(1, len(why)):]); err != nil {
			return fmt.Errorf("why: %w", err)
		}
	}
	return nil
}

// mostTime is a bound on times that leaves room to add to them.
const mostTime = int64(longest/1e6) * 2

func (r *record) check() error {
	p, err := normal(r.prefix)
	switch {
	case err != nil:
		return err
	case p != r.prefix:
		return fmt.Errorf("%v: want %v", r.prefix, p)
	case r.since < 0 || r.since > mostTime || r.until != 0 && r.until < r.since || r.until > mostTime:
		return fmt.Errorf("since %d and until %d: want times from 1970 to 2169, in order", r.since, r.until)
	case !isText(r.by, mostBy) || r.by == "" || !isText(r.why, mostWhy):
		return errors.New("want texts of no more than a line")
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder writes a file.
type encoder struct {
	w     *bufio.Writer
	sum   hash.Hash32
	line  []byte
	lines int
}

func newEncoder(w io.Writer) *encoder {
	e := &encoder{w: bufio.NewWriterSize(w, 1<<16), sum: crc32.New(castagnoli)}
	e.write([]byte(fileHead))
	return e
}

// write leaves errors to the writer, which keeps them for flush.
func (e *encoder) write(b []byte) {
	e.sum.Write(b)
	e.w.Write(b)
}

func (e *encoder) record(r *record) {
	e.line = r.append(e.line[:0])
	e.write(e.line)
	e.lines++
}

// end writes the last line, and returns the first error there was.
func (e *encoder) end() error {
	e.w.WriteString(e.lastLine())
	return e.w.Flush()
}

// lastLine is the one that end writes.
func (e *encoder) lastLine() string { return fmt.Sprintf("end %d %08x\n", e.lines, e.sum.Sum32()) }

package ban

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// RecentName is the file in Options.Dir that holds the changes by hand since
// FileName was written: to write a million bans anew for each would keep a person
// waiting for seconds.
//
// It is text. The first line names the format and, behind "after", the last line
// of the file of bans that it belongs to; beside any other, which was written
// later, it means nothing. Each line that follows is a change, in order:
//
//	NUMBER SUM ban PREFIX SINCE UNTIL REASON REPEAT SCORE FLAGS BY WHY
//	NUMBER SUM lift PREFIX
//
// NUMBER counts from 1. SUM is the CRC-32C of the first line, the number and what
// is behind the sum. A ban is as in FileName, in place of one of the same network;
// lift ends all within a network. Lines are answered for when they are on disk: a
// crash may leave a piece of those that were not, at the end. The first change is
// on disk before the file has its name, so it is never such a piece, and shows by
// its sum that the first line is as it was written.
const RecentName = "bans.recent"

const (
	recentHead = "sallyport recent bans 1 after "
	// mostRecent is how many lines there are before the file of bans is written
	// anew, whatever is the time for that.
	mostRecent = 10_000
)

// change is one by hand: a ban, or the lifting of all within a prefix.
type change struct {
	ban    *entry // nil: lift
	prefix netip.Prefix
}

// recent is the file of that name while it is written, for who holds
// Keeper.saving.
type recent struct {
	path  string
	after string   // last line of the file of bans; "": it must be written first
	f     *os.File // nil: to be made
	lines int
	seed  uint32 // sum of the first line
}

// room says whether changes can be appended.
func (r *recent) room(changes int) bool { return r.after != "" && r.lines+changes <= mostRecent }

// follow begins anew behind a file of bans that was written, or, if last is
// empty, wants one written.
func (r *recent) follow(last string) {
	if r.f != nil {
		_ = r.f.Close() // each append was synced
	}
	*r = recent{path: r.path, after: last, seed: crc32.Checksum([]byte(recentHead+last), castagnoli)}
}

// append returns when the changes are on disk. After an error, there may be a
// piece of them at the end of the file.
func (r *recent) append(changes []change, now instant) error {
	var lines []byte
	for i, c := range changes {
		lines = appendChange(lines, r.seed, r.lines+i+1, c, now)
	}
	if r.f == nil {
		head := []byte(recentHead + r.after)
		if err := replaceFile(r.path, func(f *os.File) error {
			_, err := f.Write(append(head, lines...))
			return err
		}); err != nil {
			return err
		}
		f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		r.f = f
	} else {
		if _, err := r.f.Write(lines); err != nil {
			return err
		}
		if err := r.f.Sync(); err != nil {
			return err
		}
	}
	r.lines += len(changes)
	return nil
}

func appendChange(b []byte, seed uint32, number int, c change, now instant) []byte {
	var body []byte
	if c.ban != nil {
		r := c.ban.record(now)
		body = r.append([]byte("ban "))
	} else {
		body = append(c.prefix.AppendTo([]byte("lift ")), '\n')
	}
	return fmt.Appendf(b, "%d %08x %s", number, lineSum(seed, number, body), body)
}

func lineSum(seed uint32, number int, body []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, strconv.AppendInt(nil, int64(number), 10)), castagnoli, body)
}

// recentFound is what a file of recent changes has.
type recentFound struct {
	changes int
	torn    bool // a piece of what was never answered for is left out at the end
	other   bool // it belongs to another file of bans, so that none was visited
}

// decodeRecent calls visit for every change, in order, with a record, which is nil
// for a lift; for none, if the file of bans that it belongs to is not the one that
// ends with last. What is damaged is an error, whatever file it belongs to: that is
// known only if the first line is whole.
func decodeRecent(data []byte, last string, visit func(r *record, lift netip.Prefix) error) (found recentFound, err error) {
	head, rest, ok := bytes.Cut(data, []byte("\n"))
	if !ok || !strings.HasPrefix(string(head), recentHead) {
		return found, fmt.Errorf("line 1: want %q", recentHead)
	}
	found.other = string(head)+"\n" != recentHead+last
	seed := crc32.Checksum(data[:len(head)+1], castagnoli)
	for len(rest) > 0 || found.changes == 0 {
		r, lift, after, err := parseChange(rest, seed, found.changes+1)
		if err != nil {
			if found.changes == 0 || !isTorn(rest, len(data)-len(rest), seed, found.changes+1) {
				return found, fmt.Errorf("line %d: %w: the file is damaged", found.changes+2, err)
			}
			found.torn = true
			return found, nil
		}
		if !found.other {
			if err := visit(r, lift); err != nil {
				return found, fmt.Errorf("line %d: %w", found.changes+2, err)
			}
		}
		rest = after
		found.changes++
	}
	return found, nil
}

// parseChange takes the first line of data, which must be of this number.
func parseChange(data []byte, seed uint32, number int) (r *record, lift netip.Prefix, rest []byte, err error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return nil, lift, nil, io.ErrUnexpectedEOF
	}
	body, ok := checkLine(data[:len(line)+1], seed, number)
	if !ok {
		return nil, lift, nil, fmt.Errorf("want change %d with its sum", number)
	}
	if text, isLift := strings.CutPrefix(string(body), "lift "); isLift {
		lift, err = netip.ParsePrefix(strings.TrimSuffix(text, "\n"))
		if err == nil {
			lift, err = normal(lift)
		}
		return nil, lift, rest, err
	}
	text, isBan := bytes.CutPrefix(body, []byte("ban "))
	if !isBan {
		return nil, lift, nil, fmt.Errorf("want ban or lift")
	}
	r = new(record)
	return r, lift, rest, r.parse(text[:len(text)-1])
}

// checkLine returns what is behind the sum of a line with its end.
func checkLine(line []byte, seed uint32, number int) (body []byte, ok bool) {
	head := strconv.Itoa(number) + " "
	if len(line) < len(head)+9 || string(line[:len(head)]) != head {
		return nil, false
	}
	sum, body := line[len(head):][:9], line[len(head)+9:]
	return body, string(sum) == fmt.Sprintf("%08x ", lineSum(seed, number, body))
}

// isTorn tells whether data, which does not begin with a whole line of this number
// and is in the file from offset on, is what a crash leaves of lines that were being
// written: a beginning, or zeros where a part did not come to the disk; and nothing
// behind it that is whole.
func isTorn(data []byte, offset int, seed uint32, number int) bool {
	line, rest, ended := bytes.Cut(data, []byte("\n"))
	switch {
	case ended && !bytes.Contains(line, []byte{0}), !zerosOfCrash(data, offset):
		return false
	case !ended:
		// A whole line whose end became something else was answered for.
		_, whole := checkLine(append(bytes.Clone(line[:len(line)-1]), '\n'), seed, number)
		return !whole
	}
	for ; len(rest) > 0; _, rest, _ = bytes.Cut(rest, []byte("\n")) {
		line, _, ended := bytes.Cut(rest, []byte("\n"))
		text, _, _ := strings.Cut(string(line), " ")
		if number, err := strconv.Atoi(text); ended && err == nil && number > 0 {
			if _, whole := checkLine(rest[:len(line)+1], seed, number); whole {
				return false
			}
		}
	}
	return true
}

// zerosOfCrash tells whether all zeros in data, which is in the file from offset on,
// are where sectors of it did not come to the disk. Any other became zero later.
func zerosOfCrash(data []byte, offset int) bool {
	const sector = 512 // bytes; the least that a disk writes
	atEdge := func(i int) bool { return i == 0 || i == len(data) || (offset+i)%sector == 0 }
	for i, b := range data {
		begins := b == 0 && (i == 0 || data[i-1] != 0)
		ends := b == 0 && (i+1 == len(data) || data[i+1] != 0)
		if begins && !atEdge(i) || ends && !atEdge(i+1) {
			return false
		}
	}
	return true
}

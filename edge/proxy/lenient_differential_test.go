package proxy

import (
	"strconv"
	"strings"
)

// lenient are readers that servers in the field are known for. What the edge sends
// must be the same message to each of them.
var lenient = func() []dialect {
	first := func(lengths, codings []string) (int, bool, bool) {
		if len(codings) > 0 {
			return 0, true, true
		}
		return looseLength(lengths, 0)
	}
	with := func(name string, change func(*dialect)) dialect {
		d := dialect{name: name, frame: first, size: looseSize}
		change(&d)
		return d
	}
	return []dialect{
		strict,
		with("a bare LF ends a line", func(d *dialect) { d.lf = true }),
		with("a bare CR ends a line", func(d *dialect) { d.lf, d.cr = true, true }),
		with("a NUL ends a value", func(d *dialect) { d.nul = true }),
		with("lines are folded", func(d *dialect) { d.fold = true }),
		with("white space around names", func(d *dialect) { d.spaces, d.lf = true, true }),
		with("empty lines first", func(d *dialect) { d.blank = true }),
		with("any white space in the request line", func(d *dialect) { d.anySpace = true }),
		with("the last Content-Length counts", func(d *dialect) {
			d.frame = func(lengths, codings []string) (int, bool, bool) {
				if len(codings) > 0 {
					return 0, true, true
				}
				return looseLength(lengths, len(lengths)-1)
			}
		}),
		with("Content-Length overrides chunks", func(d *dialect) {
			d.frame = func(lengths, codings []string) (int, bool, bool) {
				if len(lengths) == 0 && len(codings) > 0 {
					return 0, true, true
				}
				return looseLength(lengths, 0)
			}
		}),
		with("only the last coding counts", func(d *dialect) {
			d.frame = func(lengths, codings []string) (int, bool, bool) {
				if n := len(codings); n > 0 && strings.HasSuffix(strings.ToLower(codings[n-1]), "chunked") {
					return 0, true, true
				}
				return looseLength(lengths, 0)
			}
		}),
		with("any value with chunked in it", func(d *dialect) {
			d.frame = func(lengths, codings []string) (int, bool, bool) {
				if strings.Contains(strings.ToLower(strings.Join(codings, ",")), "chunked") {
					return 0, true, true
				}
				return looseLength(lengths, 0)
			}
		}),
		with("names are folded as for CGI", func(d *dialect) {
			d.rename = func(name string) string {
				return strings.Map(func(r rune) rune {
					if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
						return r
					}
					return '-'
				}, name)
			}
		}),
		with("only the letters of names count", func(d *dialect) {
			d.rename = func(name string) string {
				switch strings.Trim(strings.Join(strings.FieldsFunc(name, func(r rune) bool {
					return (r < 'a' || r > 'z') && (r < '0' || r > '9')
				}), "-"), "-") {
				case "content-length":
					return "content-length"
				case "transfer-encoding":
					return "transfer-encoding"
				}
				return name
			}
		}),
		with("a chunk ends where it ends", func(d *dialect) { d.anyEnd, d.lf = true, true }),
	}
}()

// looseLength reads the i-th length as strtol does.
func looseLength(lengths []string, i int) (length int, chunked, ok bool) {
	if len(lengths) == 0 {
		return 0, false, true
	}
	length, ok = loose(lengths[i], 10)
	return length, false, ok && length >= 0
}

// looseSize reads a chunk's size as strtol does, whatever stands behind it.
func looseSize(line string) (int, bool) { return loose(line, 16) }

func loose(s string, base int) (int, bool) {
	s = strings.TrimLeft(s, " \t\v\f\r\n")
	sign := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "+-")
	if base == 16 {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	}
	digits := "0123456789"
	if base == 16 {
		digits += "abcdefABCDEF"
	}
	end := 0
	for end < len(s) && strings.IndexByte(digits, s[end]) >= 0 {
		end++
	}
	if end == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(s[:end], base, 64)
	if err != nil || n > 1<<50 {
		n = 1 << 50
	}
	if sign {
		n = -n
	}
	return int(n), true
}

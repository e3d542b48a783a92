package frame

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// vector is a frame of FRAMES.md.
type vector struct {
	title  string
	kind   Type
	id     uint32
	fields []vectorField
	bytes  []byte
}

type vectorField struct {
	tag   Tag
	value []byte
}

var vectorHead = regexp.MustCompile(`^([A-Z]+) id (\d+)$`)

// vectors reads the blocks of FRAMES.md that are marked as such.
func vectors(t testing.TB) (list []vector) {
	t.Helper()
	page, err := os.ReadFile("../FRAMES.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(page), "```vector\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		lines := strings.Split(strings.TrimSpace(block), "\n")
		head := vectorHead.FindStringSubmatch(lines[0])
		if head == nil {
			t.Fatalf("vector %d: %q is no head", i, lines[0])
		}
		v := vector{title: fmt.Sprintf("%d %s", i, head[1])}
		for kind := Hello; kind.known(); kind++ {
			if kind.String() == head[1] {
				v.kind = kind
			}
		}
		id, err := strconv.ParseUint(head[2], 10, 32)
		if err != nil || v.kind == 0 {
			t.Fatalf("vector %d: %q is no head: %v", i, lines[0], err)
		}
		v.id = uint32(id)
		for _, line := range lines[1:] {
			tag, value, isField := strings.Cut(line, ": ")
			if !isField {
				b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
				if err != nil {
					t.Fatalf("vector %d: %q: %v", i, line, err)
				}
				v.bytes = append(v.bytes, b...)
				continue
			}
			v.fields = append(v.fields, vectorField{vectorTag(t, tag), vectorValue(t, value)})
		}
		list = append(list, v)
	}
	if len(list) < 12 {
		t.Fatalf("%d vectors in FRAMES.md: want one for each frame that has a body", len(list))
	}
	return list
}

func vectorTag(t testing.TB, text string) Tag {
	n, err := strconv.ParseUint(text, 0, 16)
	if err != nil {
		t.Fatalf("tag %q: %v", text, err)
	}
	return Tag(n)
}

func vectorValue(t testing.TB, text string) []byte {
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		s, err := strconv.Unquote(`"` + quoted)
		if err != nil {
			t.Fatalf("value %s: %v", text, err)
		}
		return []byte(s)
	}
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("value %s: %v", text, err)
		}
		return b
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("value %s: %v", text, err)
	}
	return AppendTime(nil, 0, n)[fieldHead:]
}

func (v vector) append(dst []byte) []byte {
	start := len(dst)
	dst = Begin(dst, v.kind, v.id)
	for _, f := range v.fields {
		dst = AppendField(dst, f.tag, f.value)
	}
	return End(dst, start)
}

// TestVectors holds FRAMES.md and the codec to each other, in both directions.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.title, func(t *testing.T) {
			made := v.append(nil)
			if !bytes.Equal(made, v.bytes) {
				t.Fatalf("the fields make\n%swant, from FRAMES.md:\n%s", hexLines(made), hexLines(v.bytes))
			}
			f, n, err := Parse(v.bytes, DefaultMax)
			if err != nil || n != len(v.bytes) || f.Type != v.kind || f.ID != v.id {
				t.Fatalf("parsed as %v id %d, %d of %d bytes, error %v", f.Type, f.ID, n, len(v.bytes), err)
			}
			it := f.Fields()
			for i, want := range v.fields {
				tag, value, ok := it.Next()
				if !ok || tag != want.tag || !bytes.Equal(value, want.value) {
					t.Fatalf("field %d: %v %q, %v: want %v %q", i, tag, value, ok, want.tag, want.value)
				}
			}
			if tag, _, ok := it.Next(); ok || it.Err() != nil {
				t.Fatalf("a field too many: %v, error %v", tag, it.Err())
			}
			again, err := reencode(f)
			if err != nil {
				t.Fatalf("parse the body: %v", err)
			}
			if !bytes.Equal(again, v.bytes) {
				t.Fatalf("the body makes\n%swant\n%s", hexLines(again), hexLines(v.bytes))
			}
		})
	}
}

// reencode parses the body of a frame of control and writes it anew; any other
// frame it copies.
func reencode(f Frame) ([]byte, error) {
	dst := Begin(nil, f.Type, f.ID)
	body, err := parseBody(f)
	if err != nil {
		return nil, err
	}
	if body == nil {
		return End(append(dst, f.Body...), 0), nil
	}
	return End(body.Append(dst), 0), nil
}

func parseBody(f Frame) (interface{ Append([]byte) []byte }, error) {
	switch f.Type {
	case Hello:
		b, err := ParseHello(f.Body)
		return &b, err
	case Configure:
		b, err := ParseConfigure(f.Body)
		return &b, err
	case Configured:
		b, err := ParseConfigured(f.Body)
		return &b, err
	case Verdict:
		b, err := ParseVerdict(f.Body)
		return &b, err
	case Invalidate:
		b, err := ParseInvalidate(f.Body)
		return &b, err
	case Log:
		b, err := ParseLog(f.Body)
		return &b, err
	}
	return nil, nil
}

func hexLines(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(len(b), 16)
		fmt.Fprintf(&s, "% x\n", b[:n])
		b = b[n:]
	}
	return s.String()
}

// TestTablesOfFields holds FRAMES.md's table of what a plugin may need to the
// codec's.
func TestTablesOfFields(t *testing.T) {
	page, err := os.ReadFile("../FRAMES.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| (0x[0-9A-F]{4}) \\| `([^`]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(page), -1)
	names := map[Kind]string{Text: "text", Number: "number", Truth: "truth", Time: "time", Hash: "hash", List: "list", Header: "header"}
	if len(rows) != len(fields) {
		t.Errorf("%d rows, and %d fields", len(rows), len(fields))
	}
	for i, row := range rows {
		need, err := ParseNeed(strings.ReplaceAll(row[2], "NAME", "name"))
		if err != nil {
			t.Errorf("%s: %v", row[2], err)
			continue
		}
		if got := fmt.Sprintf("0x%04X %s", uint16(need.Tag), names[need.Tag.Kind()]); got != row[1]+" "+row[3] {
			t.Errorf("%s: the page has %s %s, the codec %s", row[2], row[1], row[3], got)
		}
		if i < len(fields) && fields[i].tag != need.Tag {
			t.Errorf("row %d is %s, and field %d %s", i, row[2], i, fields[i].name)
		}
	}
}

package segment

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen opens any bytes as a file. As they are they are refused, or they
// answer as the file did that was written. With their checksums made right the
// answers may be any, but there is an end to them.
func FuzzOpen(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "version1.segment"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:minFront])
	f.Add([]byte{})
	written := goldenModel(f, "")
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := fromBytes(data); err == nil {
			written.judge(t, s, oddSerials[:120])
			_ = s.Verify()
			written.judge(t, s, oddSerials[:120])
		}
		s, err := fromBytes(resealed(data))
		if err != nil {
			return
		}
		for _, serial := range oddSerials[:120] {
			if e, found, err := s.Find(serial); err != nil && (found || e != Entry{}) {
				t.Errorf("%x: %v, %v and %v", serial, e, found, err)
			}
		}
		if err := s.Verify(); (err == nil) != (s.damaged() == nil) {
			t.Errorf("verified: %v; damaged: %v", err, s.damaged())
		}
	})
}

// FuzzFind takes its input for a program: each step adds a serial or one that
// differs a little, and all answers are compared with a map.
func FuzzFind(f *testing.F) {
	f.Add([]byte{1, 0x01, 2, 0x00, 0x01, 1, 0xff, 2, 0x00, 0xff}, false)
	f.Add([]byte{0x90, 0x80, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x41, 0x00}, true)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, program []byte, poor bool) {
		o := Options{}
		if poor {
			o.BitsPerEntry = 0.1
		}
		m := newModel(o)
		var asked [][]byte
		for len(program) > 0 {
			// Of the first octet: how long, and whether to add or only to ask.
			size, add := int(program[0]&0x3f), program[0]&0x80 == 0
			program = program[1:]
			serial := program[:min(size, len(program))]
			program = program[len(serial):]
			if add && len(serial) > 0 {
				m.add(t, serial, Entry{At: int64(size) << 30, Reason: serial[0] & maxReason})
			}
			asked = append(asked, serial, append([]byte{0x00}, serial...), append([]byte{0xff}, serial...))
			if len(serial) > 1 {
				asked = append(asked, serial[1:], serial[:len(serial)-1])
			}
		}
		s := m.build(t)
		for _, serial := range asked {
			m.ask(t, s, serial)
		}
	})
}

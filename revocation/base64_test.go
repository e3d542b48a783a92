package revocation

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// decodeAll decodes text that comes in pieces of some size into room of another.
func decodeAll(text []byte, piece, room int) (out []byte, dash bool, err error) {
	var d base64Text
	to := make([]byte, room)
	for len(text) > 0 {
		wrote, took, err := d.decode(to, text[:min(piece, len(text))])
		out, text = append(out, to[:wrote]...), text[took:]
		if err != nil {
			return out, false, err
		}
		if len(text) > 0 && took == 0 && wrote == 0 {
			return out, true, d.end()
		}
	}
	return out, false, d.end()
}

func TestBase64(t *testing.T) {
	for text, want := range map[string]string{
		"":               "",
		"QQ==":           "A",
		"QUI=":           "AB",
		"QUJD":           "ABC",
		"QUJDRA==":       "ABCD",
		" Q\tU\r\nJ\nD ": "ABC",
		"Q Q = = \n":     "A",
		"QQ=\n=":         "A",
		"QUJD-QUJD":      "ABC",
		"/+/+":           "\xff\xef\xfe",
		"Q":              "error: ends inside a group",
		"QQ":             "error: ends inside a group",
		"QUI":            "error: ends inside a group",
		"QQ=":            "error: ends inside a group",
		"Q-":             "error: ends inside a group",
		"QR==":           "error: '='",
		"QUJ=":           "error: '='",
		"=":              "error: '='",
		"Q===":           "error: '='",
		"QQ=Q":           "error: 'Q'",
		"QQ==Q":          "error: 'Q'",
		"QUI==":          "error: '='",
		"QUJD=":          "error: '='",
		"QU\x00D":        "error: '\\x00'",
		"QU\xffD":        "error: 'ÿ'",
		"QUJDQU*D":       "error: '*'",
		"QU_D":           "error: '_'",
		"QUJD\vQUJD":     "error: '\\v'",
		strings.Repeat("QUJD", 30) + "\n" + "QQ==": strings.Repeat("ABC", 30) + "A",
	} {
		for _, piece := range []int{1, 2, 3, 4, 5, 7, 1 << 10} {
			for _, room := range []int{4, 5, 6, 7, 1 << 10} {
				got, dash, err := decodeAll([]byte(text), piece, room)
				if want, bad := strings.CutPrefix(want, "error: "); bad {
					if err == nil || !strings.Contains(err.Error(), "illegal base64: "+want) {
						t.Errorf("%q in pieces of %d, room for %d: error %v: want %q", text, piece, room, err, want)
					}
				} else if err != nil || string(got) != want || dash != strings.Contains(text, "-") {
					t.Errorf("%q in pieces of %d, room for %d: %q, %v, %v: want %q", text, piece, room, got, dash, err, want)
				}
			}
		}
	}
}

// FuzzBase64 has encoding/base64 as the second opinion.
func FuzzBase64(f *testing.F) {
	f.Add("QUJD\nQQ==", uint16(3), uint16(4))
	f.Add("QR== ", uint16(9), uint16(9))
	f.Fuzz(func(t *testing.T, text string, piece, room uint16) {
		text, _, _ = strings.Cut(text, "-")
		got, _, err := decodeAll([]byte(text), int(piece)+1, int(room)+4)
		plain := strings.Map(func(r rune) rune {
			if r == ' ' || r == '\t' {
				return -1
			}
			return r
		}, text)
		want, theirs := base64.StdEncoding.Strict().DecodeString(plain)
		if (err == nil) != (theirs == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%q, %v: want %q, %v", got, err, want, theirs)
		}
	})
}

func TestBase64OfRandomBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 400 {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(random.Uint32())
		}
		var text []byte
		for rest := base64.StdEncoding.EncodeToString(want); rest != ""; {
			line := min(len(rest), 1+random.IntN(80))
			text = append(append(text, rest[:line]...), "\r\n"...)
			rest = rest[line:]
		}
		got, _, err := decodeAll(text, 1+random.IntN(100), 4+random.IntN(100))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q: %x, %v: want %x", text, got, err, want)
		}
	}
}

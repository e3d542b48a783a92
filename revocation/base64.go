package revocation

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// base64Text decodes base64 (RFC 4648 section 4) that comes in pieces of any
// size: strictly, but for blanks, tabs and line ends, which may be anywhere.
// encoding/base64 takes several times as long over text with line ends.
type base64Text struct {
	group  uint32 // the octets of a group of four that is not complete
	chars  int    // of it
	padded bool   // by one = of two
	ended  bool   // padding was complete
}

// notBase64 marks a character that has no value.
const notBase64 = 1 << 31

// base64Values are the values of each character at each place of a group of
// four; those of its characters joined are its three octets.
var base64Values = func() (values [4][256]uint32) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for place := range values {
		for char := range values[place] {
			values[place][char] = notBase64
		}
		for value, char := range []byte(alphabet) {
			values[place][char] = uint32(value) << (18 - 6*place)
		}
	}
	return values
}()

// decode decodes from into to until either is used up, or up to the first dash,
// and returns how much of each it took. Of to it leaves up to three octets.
func (d *base64Text) decode(to, from []byte) (wrote, took int, err error) {
	for took < len(from) && len(to)-wrote >= 4 {
		if d.chars == 0 && !d.ended {
			w, t := decodeGroups(to[wrote:], from[took:])
			wrote, took = wrote+w, took+t
			if took == len(from) || len(to)-wrote < 4 {
				break
			}
		}
		switch char := from[took]; char {
		case '-':
			return wrote, took, nil
		case '\n', '\r', ' ', '\t':
		default:
			octets, err := d.add(char)
			if err != nil {
				return wrote, took, err
			}
			if octets > 0 {
				binary.BigEndian.PutUint32(to[wrote:], d.group<<8)
				wrote += octets
				d.group, d.chars, d.padded = 0, 0, false
			}
		}
		took++
	}
	return wrote, took, nil
}

// decodeGroups is decode for whole groups, up to the first that is not plain.
func decodeGroups(to, from []byte) (wrote, took int) {
	for len(from) >= 4 && len(to) >= 4 {
		group := base64Values[0][from[0]] | base64Values[1][from[1]] |
			base64Values[2][from[2]] | base64Values[3][from[3]]
		if group >= notBase64 {
			break
		}
		binary.BigEndian.PutUint32(to, group<<8)
		to, from = to[3:], from[4:]
		wrote, took = wrote+3, took+4
	}
	return wrote, took
}

// add takes a character of a group and returns how many octets the group has,
// if it is complete by that.
func (d *base64Text) add(char byte) (octets int, err error) {
	value := base64Values[min(d.chars, 3)][char]
	switch {
	case char == '=' && d.chars == 2 && d.group&0xf000 == 0:
		d.chars, d.padded = 3, true
		return 0, nil
	case char == '=' && d.chars == 3 && d.padded:
		d.ended = true
		return 1, nil
	case char == '=' && d.chars == 3 && d.group&0xc0 == 0:
		d.ended = true
		return 2, nil
	case value == notBase64 || d.padded || d.ended:
		return 0, fmt.Errorf("illegal base64: %q", char)
	}
	d.group |= value
	if d.chars++; d.chars == 4 {
		return 3, nil
	}
	return 0, nil
}

// end is an error if the text must not end here.
func (d *base64Text) end() error {
	if d.chars != 0 {
		return errors.New("illegal base64: ends inside a group of four characters")
	}
	return nil
}

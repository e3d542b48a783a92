package segment

// MaxSerial is the most octets that a serial may have.
const MaxSerial = 64 << 10

// kind is the table that a serial belongs in.
type kind int

const (
	short  kind = iota // minimal, up to 16 octets
	medium             // minimal, 17 to 20 octets
	long               // all others
	kinds
)

// widths are what a serial takes in a row of each table. In the long one it is
// a reference: five octets of offset, three of length, eight of hash.
var widths = [kinds]int{16, 20, 16}

// widest is the greatest width.
const widest = 20

func kindOf(serial []byte) kind {
	switch {
	case len(serial) > widths[medium] || !minimal(serial):
		return long
	case len(serial) > widths[short]:
		return medium
	}
	return short
}

// minimal says whether the octets are the shortest of their number, as X.690
// section 8.3.2 demands: the first nine bits are not all alike.
func minimal(serial []byte) bool {
	return len(serial) == 1 ||
		serial[0] != 0x00 && serial[0] != 0xff ||
		serial[0]&0x80 != serial[1]&0x80
}

// extend writes the serial, sign-extended, over all of key. Two serials that
// are minimal and no wider than key give one key only if they are the same.
func extend(key, serial []byte) {
	sign := byte(0)
	if serial[0]&0x80 != 0 {
		sign = 0xff
	}
	pad := len(key) - len(serial)
	for i := range pad {
		key[i] = sign
	}
	copy(key[pad:], serial)
}

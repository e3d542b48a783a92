package identity

import "errors"

// Attribute is one attribute of a distinguished name (an AttributeTypeAndValue),
// and the number of the RDN it is of. It points into the DER of that name.
type Attribute struct {
	oid   []byte
	value element
	rdn   int
}

// element is one TLV of DER: its tag, its body, and the whole.
type element struct {
	tag       byte
	body, der []byte
}

const (
	tagOID      = 0x06
	tagSequence = 0x30
	tagSet      = 0x31
)

// parseName appends the attributes of a Name to room, in the order in which the
// DER holds them. They point into raw.
func parseName(raw []byte, room []Attribute) ([]Attribute, error) {
	name, rest, ok := readElement(raw)
	if !ok || name.tag != tagSequence {
		return nil, errors.New("want a SEQUENCE of RDNs")
	}
	if len(rest) > 0 {
		return nil, errors.New("trailing data")
	}
	rdns := name.body
	for n := 0; len(rdns) > 0; n++ {
		var rdn element
		if rdn, rdns, ok = readElement(rdns); !ok || rdn.tag != tagSet {
			return nil, errors.New("malformed RDN: want a SET of attributes")
		}
		if len(rdn.body) == 0 {
			return nil, errors.New("empty RDN")
		}
		for rest := rdn.body; len(rest) > 0; {
			var pair, oid, value element
			if pair, rest, ok = readElement(rest); !ok || pair.tag != tagSequence {
				return nil, errors.New("malformed attribute: want a SEQUENCE of type and value")
			}
			var in []byte
			if oid, in, ok = readElement(pair.body); !ok || oid.tag != tagOID {
				return nil, errors.New("malformed attribute type")
			}
			if value, in, ok = readElement(in); !ok || len(in) > 0 {
				return nil, errors.New("malformed attribute value")
			}
			room = append(room, Attribute{oid: oid.body, value: value, rdn: n})
		}
	}
	return room, nil
}

// readElement reads the first TLV of in. It knows DER only: tags of one byte,
// and definite lengths in their shortest form.
func readElement(in []byte) (e element, rest []byte, ok bool) {
	if len(in) < 2 || in[0]&0x1F == 0x1F {
		return element{}, nil, false
	}
	length, header := int(in[1]), 2
	if length >= 0x80 {
		octets := length - 0x80
		if octets == 0 || octets > 3 || len(in) < 2+octets || in[2] == 0 {
			return element{}, nil, false
		}
		length = 0
		for _, octet := range in[2 : 2+octets] {
			length = length<<8 | int(octet)
		}
		if length < 0x80 {
			return element{}, nil, false
		}
		header += octets
	}
	if length > len(in)-header {
		return element{}, nil, false
	}
	end := header + length
	return element{tag: in[0], body: in[header:end], der: in[:end]}, in[end:], true
}

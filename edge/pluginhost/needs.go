package pluginhost

import (
	"github.com/sallyport/sallyport/sdk/frame"
)

// needs are the fields that a plugin has declared, in the order in which they are
// sent: what a connection has once, then what a request, then what a response
// adds. The place of a field in that order is its bit in a mask.
type needs struct {
	list     []frame.Need
	bits     map[string]uint64
	request  int // the first of the request's
	response int // the first of the response's
	ja4      bool
	leaf     uint64 // mask of the fields that tell a client's certificate from all others
}

// everything is the mask of all fields.
const everything = ^uint64(0)

// newNeeds orders what HELLO declares, which ParseHello has checked. A header that
// is declared alone, beside all of them, is sent once.
func newNeeds(names []string) (*needs, error) {
	n := &needs{bits: map[string]uint64{}}
	var parts [3][]frame.Need
	all := map[frame.Tag]bool{}
	for _, name := range names {
		need, err := frame.ParseNeed(name)
		if err != nil {
			return nil, err
		}
		if need.Tag.Kind() == frame.Header && need.Header == "" {
			all[need.Tag] = true
		}
	}
	for _, name := range names {
		need, _ := frame.ParseNeed(name)
		if need.Header != "" && all[need.Tag] {
			continue
		}
		part := 0
		switch {
		case need.Tag >= frame.TagResponseStatus:
			part = 2
		case need.Tag >= frame.TagMethod:
			part = 1
		}
		parts[part] = append(parts[part], need)
		n.ja4 = n.ja4 || need.Tag == frame.TagJA4
	}
	for i, part := range parts {
		switch i {
		case 1:
			n.request = len(n.list)
		case 2:
			n.response = len(n.list)
		}
		for _, need := range part {
			n.bits[need.String()] = 1 << len(n.list)
			switch need.Tag {
			case frame.TagCertSHA256, frame.TagCertDER, frame.TagCertChain:
				n.leaf |= 1 << len(n.list)
			}
			n.list = append(n.list, need)
		}
	}
	return n, nil
}

// mask is that of what a verdict says it depends on: nil is everything. Ok is
// false for a field that was not declared. A single header counts as all of them
// where all were declared.
func (n *needs) mask(depends []string) (mask uint64, ok bool) {
	if depends == nil {
		return everything, true
	}
	for _, name := range depends {
		bit, declared := n.bits[name]
		if !declared {
			need, err := frame.ParseNeed(name)
			if err != nil {
				return 0, false
			}
			if bit, declared = n.bits[need.Tag.String()]; !declared || need.Header == "" {
				return 0, false
			}
		}
		mask |= bit
	}
	return mask, true
}

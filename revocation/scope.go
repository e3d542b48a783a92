package revocation

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// reasonFlags is a ReasonFlags of RFC 5280 section 4.2.1.13: bit n is its
// named bit n.
type reasonFlags uint16

const allReasons reasonFlags = 1<<9 - 1<<1 // bits 1 to 8; bit 0 is unused

var flagNames = [...]string{
	1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
	5: "cessationOfOperation", 6: "certificateHold", 7: "privilegeWithdrawn", 8: "aACompromise",
}

func (f reasonFlags) String() string {
	var names []string
	for bit, name := range flagNames {
		if f&(1<<bit) != 0 && name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// parseReasonFlags reads the content of a BIT STRING of named bits. Unused
// trailing zero bits may be there; bits without a name are ignored.
func parseReasonFlags(content []byte) (reasonFlags, error) {
	if len(content) == 0 || content[0] > 7 || len(content) == 1 && content[0] != 0 {
		return 0, errors.New("reasons: want a bit string")
	}
	var flags reasonFlags
	for bit := 0; bit <= 8 && bit/8+1 < len(content); bit++ {
		if content[bit/8+1]&(0x80>>(bit%8)) != 0 {
			flags |= 1 << bit
		}
	}
	return flags & allReasons, nil
}

// pointName stands for one name of a distribution point: names to be taken for
// equal are equal. Directory names compare as NameKeys, all else by its bytes.
type pointName [sha256.Size]byte

// String tells the names apart that have no text of their own: lists for two of
// them are no editions of one list.
func (n pointName) String() string { return hex.EncodeToString(n[:8]) }

// Choices of GeneralName (RFC 5280 section 4.2.1.6) treated by themselves.
const (
	tagURI           = tagContext | 6
	tagDirectoryName = tagContext | tagConstructed | 4
)

// parsePointName reads the content of a DistributionPointName field. issuer is
// the Name that a name relative to the CRL issuer hangs on. text is for people.
func parsePointName(field der, issuer []byte) (names []pointName, text string, err error) {
	tag, content, _, err := field.next()
	if err == nil {
		err = field.end()
	}
	if err != nil {
		return nil, "", fmt.Errorf("distributionPoint: %w", err)
	}
	switch tag {
	case tagContext | tagConstructed: // fullName
		if names, text, err = parseGeneralNames(content); err != nil {
			return nil, "", fmt.Errorf("distributionPoint: fullName: %w", err)
		}
		return names, text, nil
	case tagContext | tagConstructed | 1: // nameRelativeToCRLIssuer
		canonical, err := canonicalName(issuer)
		if err == nil {
			canonical, err = appendRDN(canonical, content)
		}
		if err != nil {
			return nil, "", fmt.Errorf("distributionPoint: nameRelativeToCRLIssuer: %w", err)
		}
		name := pointName(keyOfCanonical(canonical))
		return []pointName{name}, fmt.Sprintf("a name relative to the issuer (%s)", name), nil
	}
	return nil, "", fmt.Errorf("distributionPoint: tag 0x%02x: want fullName or nameRelativeToCRLIssuer", tag)
}

func parseGeneralNames(rest der) (names []pointName, text string, err error) {
	var texts []string
	for len(rest) > 0 {
		tag, content, whole, err := rest.next()
		if err != nil {
			return nil, "", err
		}
		switch tag {
		case tagURI:
			texts = append(texts, fmt.Sprintf("%q", content))
			names = append(names, sha256.Sum256(whole))
		case tagDirectoryName:
			name := pointName(NameKeyOf(content))
			texts = append(texts, fmt.Sprintf("a directory name (%s)", name))
			names = append(names, name)
		default:
			if tag&0xc0 != tagContext || tag&0x1f > 8 {
				return nil, "", fmt.Errorf("tag 0x%02x: want a GeneralName", tag)
			}
			name := pointName(sha256.Sum256(whole))
			texts = append(texts, fmt.Sprintf("a name of type %d (%s)", tag&0x1f, name))
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, "", errors.New("empty: want a name")
	}
	return names, strings.Join(texts, " or "), nil
}

// scope is what an issuing distribution point (RFC 5280 section 5.2.5) says
// about which certificates and reasons a list covers. The zero scope covers
// nothing; wholeScope is that of a list without one.
type scope struct {
	key            [sha256.Size]byte // of the extension's value; equal scopes, equal keys
	names          []pointName       // empty: any certificate of the issuer
	user, ca, attr bool              // onlyContains…
	reasons        reasonFlags
	text           string
}

var wholeScope = scope{reasons: allReasons, text: "all certificates"}

// parseScope reads an IssuingDistributionPoint; issuer is the list's Name.
func parseScope(value der, issuer []byte) (scope, error) {
	content, err := value.only(tagSequence)
	if err != nil {
		return scope{}, err
	}
	if len(content) == 0 {
		return scope{}, errors.New("empty: want a field")
	}
	s := scope{key: sha256.Sum256(value), reasons: allReasons}
	texts := []string{"all certificates"}
	in, last := der(content), -1
	for len(in) > 0 {
		tag, content, _, err := in.next()
		if err != nil {
			return scope{}, err
		}
		field := int(tag & 0x1f)
		constructed := tag&tagConstructed != 0
		if tag&0xc0 != tagContext || field > 5 || constructed != (field == 0) || field <= last {
			return scope{}, fmt.Errorf("tag 0x%02x: want the fields [0] to [5] in order", tag)
		}
		last = field
		switch field {
		case 0:
			var text string
			if s.names, text, err = parsePointName(content, issuer); err == nil {
				texts = append(texts, "with distribution point "+text)
			}
		case 1:
			if s.user, err = boolean(content); s.user {
				texts[0] = "end-entity certificates"
			}
		case 2:
			if s.ca, err = boolean(content); s.ca {
				texts[0] = "CA certificates"
			}
		case 3:
			if s.reasons, err = parseReasonFlags(content); err == nil {
				texts = append(texts, "for the reasons "+s.reasons.String())
			}
		case 4:
			var indirect bool
			if indirect, err = boolean(content); indirect {
				err = errors.New("indirectCRL: indirect CRLs are not supported")
			}
		case 5:
			if s.attr, err = boolean(content); s.attr {
				texts[0] = "attribute certificates"
			}
		}
		if err != nil {
			return scope{}, err
		}
	}
	if s.user && s.ca || s.user && s.attr || s.ca && s.attr {
		return scope{}, errors.New("more than one of onlyContainsUserCerts, onlyContainsCACerts, onlyContainsAttributeCerts")
	}
	s.text = strings.Join(texts, " ")
	return s, nil
}

// covers says whether the link's certificate is in scope, and for which
// reasons (RFC 5280 section 6.3.3 (b)(2) and (d)).
func (s *scope) covers(l *Link) (reasons reasonFlags, in bool) {
	if s.attr || s.user && l.ca || s.ca && !l.ca {
		return 0, false
	}
	if len(s.names) == 0 {
		return s.reasons, true
	}
	for i := range l.points {
		for j := range s.names {
			if l.points[i].name == s.names[j] {
				reasons |= l.points[i].reasons & s.reasons
				in = true
				break
			}
		}
	}
	return reasons, in
}

package revocation

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// entry is one element of revokedCertificates (RFC 5280 section 5.1.2.6).
type entry struct {
	serial  []byte // INTEGER content
	says    segment.Entry
	unknown []byte // id of a critical extension not understood
}

// worse says whether a is to be reported rather than b, of two entries about one
// certificate: a lasting revocation before a hold, a hold before a removal, else
// the later one.
func worse(a, b segment.Entry) bool {
	if a, b := Reason(a.Reason).weight(), Reason(b.Reason).weight(); a != b {
		return a > b
	}
	return a.At > b.At
}

// weight orders reasons by how much it takes to lift them.
func (r Reason) weight() int {
	switch r {
	case RemoveFromCRL:
		return 0
	case CertificateHold:
		return 1
	}
	return 2
}

// minEntry is the least an entry can take: header, a serial of one octet, a
// UTCTime.
const minEntry = 2 + 3 + 15

// entry takes one entry of a list; extensions says whether its version has any.
func (d *der) entry(extensions bool) (e entry, err error) {
	content, err := d.read(tagSequence)
	if err != nil {
		return entry{}, err
	}
	in := der(content)
	if e.serial, err = in.integer(); err != nil {
		return entry{}, fmt.Errorf("userCertificate: %w", err)
	}
	revoked, err := in.time()
	if err != nil {
		return entry{}, fmt.Errorf("revocationDate: %w", err)
	}
	e.says.At = revoked.Unix()
	if len(in) == 0 {
		return e, nil
	}
	content, err = in.read(tagSequence)
	switch {
	case err != nil:
		return entry{}, fmt.Errorf("crlEntryExtensions: %w", err)
	case !extensions:
		return entry{}, errors.New("crlEntryExtensions in a version 1 list")
	}
	// Empty content breaks RFC 5280, but known CAs write it.
	err = der(content).extensions(func(ext extension) error {
		switch string(ext.id) {
		case oidReasonCode:
			reason, err := parseReason(ext.value)
			if err != nil {
				return fmt.Errorf("reasonCode: %w", err)
			}
			e.says.Reason = uint8(reason)
		case oidInvalidityDate:
			in := der(ext.value)
			if !in.peek(tagGeneralizedTime) {
				return errors.New("invalidityDate: want GeneralizedTime")
			}
			if _, err := in.time(); err != nil {
				return fmt.Errorf("invalidityDate: %w", err)
			}
			return in.end()
		case oidCertificateIssuer:
			// It would change whose serial this and all later entries mean.
			return errors.New("certificateIssuer: indirect CRLs are not supported")
		default:
			if ext.critical {
				e.unknown = ext.id
			}
		}
		return nil
	})
	if err != nil {
		return entry{}, err
	}
	return e, in.end()
}

func parseReason(value der) (Reason, error) {
	content, err := value.only(tagEnumerated)
	if err != nil {
		return 0, err
	}
	if len(content) != 1 || content[0] > byte(AACompromise) || content[0] == 7 {
		return 0, fmt.Errorf("%x: want 0 to 6 or 8 to 10", content)
	}
	return Reason(content[0]), nil
}

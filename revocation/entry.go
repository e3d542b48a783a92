package revocation

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"time"
)

// entry is one element of revokedCertificates (RFC 5280 section 5.1.2.6).
type entry struct {
	serial  []byte // INTEGER content
	revoked time.Time
	reason  Reason
	unknown []byte // id of a critical extension not understood
}

// worse says whether e is to be reported rather than other, of two entries
// about one certificate: a lasting revocation before a hold, a hold before a
// removal, else the later one.
func (e entry) worse(other entry) bool {
	if a, b := e.reason.weight(), other.reason.weight(); a != b {
		return a > b
	}
	return e.revoked.After(other.revoked)
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
// UTCTime. It bounds the memory that a list can ask for by its own size.
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
	if e.revoked, err = in.time(); err != nil {
		return entry{}, fmt.Errorf("revocationDate: %w", err)
	}
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
			var err error
			if e.reason, err = parseReason(ext.value); err != nil {
				return fmt.Errorf("reasonCode: %w", err)
			}
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

// serialSeed keys the hash, so that nobody can choose serials that collide.
var serialSeed = maphash.MakeSeed()

// hashSerial is where entries looks a serial up. Valid in this process only.
func hashSerial(serial []byte) uint64 { return maphash.Bytes(serialSeed, serial) }

// entries finds entries by serial in the list's own DER, exactly: an open hash
// table of (32 bits of hash, 32 bits of offset + 1), so that a serial not
// listed costs one cache line and no look at the DER. The zero value is empty.
type entries struct {
	der        der
	extensions bool
	slots      []uint64 // 0: free
	count      int      // entries in the file, doubles included
	unknown    []byte   // id of the first critical extension not understood
}

// parseEntries indexes the content of a revokedCertificates, and keeps it.
func parseEntries(revoked der, extensions, delta bool) (entries, error) {
	if uint64(len(revoked)) >= math.MaxUint32 {
		return entries{}, fmt.Errorf("revokedCertificates: %d bytes: want less than 4 GiB", len(revoked))
	}
	es := entries{der: revoked, extensions: extensions}
	for rest := revoked; len(rest) > 0; {
		es.count++
		_, _, whole, err := rest.next()
		if err == nil && len(whole) < minEntry {
			err = fmt.Errorf("%d bytes: want a serial and a date", len(whole))
		}
		if err != nil {
			return entries{}, fmt.Errorf("entry %d: %w", es.count, err)
		}
	}
	es.slots = make([]uint64, es.count+es.count/2+1) // at least one stays free
	for rest, n := revoked, 1; len(rest) > 0; n++ {
		offset := len(revoked) - len(rest)
		e, err := rest.entry(extensions)
		if err == nil && e.reason == RemoveFromCRL && !delta {
			err = errors.New("reasonCode removeFromCRL in a list that is no delta")
		}
		if err != nil {
			return entries{}, fmt.Errorf("entry %d: %w", n, err)
		}
		if es.unknown == nil {
			es.unknown = e.unknown
		}
		es.insert(e, offset)
	}
	return es, nil
}

// insert adds the entry at an offset. Of entries with one serial the worst one
// stays.
func (es *entries) insert(e entry, offset int) {
	hash := hashSerial(e.serial)
	slot := es.slot(e.serial, hash)
	if es.slots[slot] != 0 {
		if other := es.at(es.slots[slot]); !e.worse(other) {
			return
		}
	}
	es.slots[slot] = hash<<32 | uint64(offset+1)
}

// find returns the entry with this serial. It allocates nothing.
func (es *entries) find(serial []byte, hash uint64) (entry, bool) {
	if len(es.slots) == 0 {
		return entry{}, false
	}
	slot := es.slots[es.slot(serial, hash)]
	if slot == 0 {
		return entry{}, false
	}
	return es.at(slot), true
}

// slot is where the serial is, or would go.
func (es *entries) slot(serial []byte, hash uint64) int {
	// The place comes from the upper half of the hash, the check from the lower.
	place, _ := bits.Mul64(hash, uint64(len(es.slots)))
	for i := int(place); ; {
		slot := es.slots[i]
		if slot == 0 || slot>>32 == hash&math.MaxUint32 && es.hasSerial(slot, serial) {
			return i
		}
		if i++; i == len(es.slots) {
			i = 0
		}
	}
}

// hasSerial compares the serial of the slot's entry, octet for octet.
func (es *entries) hasSerial(slot uint64, serial []byte) bool {
	rest := es.der[uint32(slot)-1:]
	content, err := rest.read(tagSequence)
	if err != nil {
		return false
	}
	in := der(content)
	listed, err := in.read(tagInteger)
	return err == nil && string(listed) == string(serial)
}

// at returns the slot's entry, which was parsed before: no error is left.
func (es *entries) at(slot uint64) entry {
	rest := es.der[uint32(slot)-1:]
	e, _ := rest.entry(es.extensions)
	return e
}

package ocsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// keptAnswer is what a responder said last of one certificate, as a file of its own
// has it: nothing that befalls one file costs another's answer. The response is
// signed, and judged anew before it counts; the head is for those who tidy up.
type keptAnswer struct {
	status     ocsp.Status
	received   time.Time // when it was judged, and found right
	thisUpdate time.Time
	expires    time.Time
	response   []byte // DER
}

// The file: keptMagic, the CRC-32C of all that follows, status, received, thisUpdate
// and expires in Unix seconds, the response.
const (
	keptMagic = "sallyport OCSP 1\n"
	keptHead  = len(keptMagic) + 4 + 1 + 3*8
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("kept OCSP answer is damaged")
	errEmpty   = errors.New("kept OCSP answer is empty")
)

func (k *keptAnswer) encode() []byte {
	data := make([]byte, 0, keptHead+len(k.response))
	data = append(data, keptMagic...)
	data = append(data, 0, 0, 0, 0, byte(k.status))
	for _, at := range []time.Time{k.received, k.thisUpdate, k.expires} {
		data = binary.BigEndian.AppendUint64(data, uint64(at.Unix()))
	}
	data = append(data, k.response...)
	binary.BigEndian.PutUint32(data[len(keptMagic):], crc32.Checksum(data[len(keptMagic)+4:], castagnoli))
	return data
}

// parseKept reads a file's content. An empty one is errEmpty: a power cut leaves
// such where nobody waited for the disk.
func parseKept(data []byte) (keptAnswer, error) {
	switch {
	case len(data) == 0:
		return keptAnswer{}, errEmpty
	case len(data) < keptHead || string(data[:len(keptMagic)]) != keptMagic:
		return keptAnswer{}, fmt.Errorf("%w: it does not begin as one does", errDamaged)
	case binary.BigEndian.Uint32(data[len(keptMagic):]) != crc32.Checksum(data[len(keptMagic)+4:], castagnoli):
		return keptAnswer{}, fmt.Errorf("%w: its checksum is another", errDamaged)
	}
	rest := data[len(keptMagic)+4:]
	k := keptAnswer{status: ocsp.Status(rest[0]), response: rest[1+3*8:]}
	for i, at := range []*time.Time{&k.received, &k.thisUpdate, &k.expires} {
		*at = time.Unix(int64(binary.BigEndian.Uint64(rest[1+i*8:])), 0)
	}
	return k, nil
}

// readKept reads a file, which is no larger than one can be.
func readKept(path string) (keptAnswer, error) {
	f, err := os.Open(path)
	if err != nil {
		return keptAnswer{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(keptHead+ocsp.MaxResponse+1)))
	if err != nil {
		return keptAnswer{}, err
	}
	return parseKept(data)
}

// writeKept puts a whole new file of mode 0600 in path's place. With sync it is on
// the disk when it returns nil, but for its name: see syncDir.
func writeKept(path string, data []byte, sync bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), "*"+keptPart)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

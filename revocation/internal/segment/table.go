package segment

import "encoding/binary"

// rowsPerBucket is what a bucket holds on average.
const rowsPerBucket = 16

// longRef is the octets of offset and of length in a row of the long table.
const longRef = 5

// table is where the rows of one kind are in a segment's body.
type table struct {
	kind      kind
	buckets   uint64 // 0: no rows
	count     uint32
	directory int // buckets+1 numbers of rows: where each starts, and the end
	rows      int
	data      int // octets of long serials
	dataSize  int
	width     int // of a serial in a row
	stride    int // of a row
}

// tableWriter writes the table of a kind from rows that come in the order of
// their hashes.
type tableWriter struct {
	kind                  kind
	packing               packing
	buckets               uint64
	directory, rows, data *section

	count  uint32 // rows written
	bucket uint64 // whose start is written next
	octets uint64 // of data written
	row    []byte
}

func (b *body) table(k kind, p packing, rows int, octets int64) *tableWriter {
	w := &tableWriter{kind: k, packing: p}
	if rows > 0 {
		w.buckets = uint64(rows+rowsPerBucket-1) / rowsPerBucket
		w.directory = b.section(4 * int64(w.buckets+1))
		w.rows = b.section(int64(rows) * int64(widths[k]+p.width()))
		w.data = b.section(octets)
	}
	return w
}

func (w *tableWriter) add(hash uint64, serial []byte, e Entry) {
	w.advance(place(hash, w.buckets) + 1)
	w.row = append(w.row[:0], make([]byte, widths[w.kind])...)
	if w.kind == long {
		// The length takes the upper three octets.
		binary.LittleEndian.PutUint64(w.row, w.octets|uint64(len(serial))<<(8*longRef))
		binary.LittleEndian.PutUint64(w.row[8:], hash)
		w.data.write(serial)
		w.octets += uint64(len(serial))
	} else {
		extend(w.row, serial)
	}
	w.row = w.packing.append(w.row, e)
	w.rows.write(w.row)
	w.count++
}

// advance writes the starts of all buckets before that one.
func (w *tableWriter) advance(bucket uint64) {
	for ; w.bucket < bucket; w.bucket++ {
		var start [4]byte
		binary.LittleEndian.PutUint32(start[:], w.count)
		w.directory.write(start[:])
	}
}

// finish writes the rest. It returns where the parts are.
func (w *tableWriter) finish() (spans tableSpans, err error) {
	if w.buckets == 0 {
		return spans, nil
	}
	w.advance(w.buckets + 1)
	for _, part := range []struct {
		section *section
		span    *span
	}{{w.directory, &spans.Directory}, {w.rows, &spans.Rows}, {w.data, &spans.Data}} {
		if *part.span, err = part.section.finish(); err != nil {
			return spans, err
		}
	}
	return spans, nil
}

// tableSpans is where the parts of a table are, as the header has it.
type tableSpans struct{ Directory, Rows, Data span }

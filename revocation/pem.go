package revocation

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemDash  = "-----"
	pemLabel = "X509 CRL"
)

// decodePEM returns the content of every block. encoding/pem passes over what
// it cannot read, and a list passed over is a revocation not seen: here every
// marker must belong to a whole block with the right label.
func decodePEM(data []byte) ([][]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var blocks [][]byte
	for {
		before, after, found := bytes.Cut(data, []byte(pemBegin))
		if bytes.Contains(before, []byte(pemEnd)) {
			return nil, fmt.Errorf("PEM block %d: END without BEGIN", len(blocks)+1)
		}
		if !found {
			break
		}
		block, rest, err := decodeBlock(before, after)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", len(blocks)+1, err)
		}
		blocks, data = append(blocks, block), rest
	}
	if len(blocks) == 0 {
		return nil, errors.New("no CRL: want DER, or PEM blocks labelled X509 CRL")
	}
	return blocks, nil
}

// decodeBlock reads the block whose BEGIN marker stands between before and
// after. rest begins behind the END line.
func decodeBlock(before, after []byte) (block, rest []byte, err error) {
	if line := before[bytes.LastIndexByte(before, '\n')+1:]; len(bytes.TrimSpace(line)) != 0 {
		return nil, nil, fmt.Errorf("BEGIN behind %.40q: want it to start a line", line)
	}
	line, after, _ := bytes.Cut(after, []byte("\n"))
	line = bytes.TrimSpace(line)
	label, ok := bytes.CutSuffix(line, []byte(pemDash))
	if !ok {
		return nil, nil, fmt.Errorf("BEGIN line ends in %.40q: want %s", line, pemDash)
	}
	if string(label) != pemLabel {
		return nil, nil, fmt.Errorf("label %.40q: want %q", label, pemLabel)
	}
	body, after, found := bytes.Cut(after, []byte(pemDash))
	const end = "END " + pemLabel + pemDash
	if !found || !bytes.HasPrefix(after, []byte(end)) {
		return nil, nil, fmt.Errorf("no line %s%s", pemDash, end)
	}
	line, rest, _ = bytes.Cut(after[len(end):], []byte("\n"))
	if len(bytes.TrimSpace(line)) != 0 {
		return nil, nil, fmt.Errorf("END followed by %.40q: want a new line", line)
	}
	if bytes.ContainsAny(body, " \t") {
		body = bytes.Join(bytes.Fields(body), nil)
	}
	strict := base64.StdEncoding.Strict()
	block = make([]byte, strict.DecodedLen(len(body)))
	n, err := strict.Decode(block, body)
	if err != nil {
		return nil, nil, err
	}
	return block[:n:n], rest, nil
}

package servercert

import (
	"fmt"
	"io"
	"os"
)

// maxFile bounds what an entry's files may have, in bytes.
const maxFile = 1 << 20

// readFile reads a regular file: to open anything else, a FIFO say, could take for
// ever, and with it every later reading.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: want a regular file, got %s", path, info.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("read %s: want at most %d bytes", path, maxFile)
	}
	return data, nil
}

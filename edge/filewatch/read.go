package filewatch

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// ReadFile reads a regular file of at most this many bytes. Anything else is an
// error, and what comes from opening and reading is one of package os: a FIFO or a
// device could take for ever, and with it every later reading of the configuration.
func ReadFile(path string, most int64) ([]byte, error) {
	// Nothing is waited for, and no terminal is taken, by opening what is no file.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: want a regular file, got one of mode %s", path, info.Mode())
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("read %s: want at most %d bytes", path, most)
	}
	return data, nil
}

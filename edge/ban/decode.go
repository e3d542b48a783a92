package ban

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
)

// decodeBatch is how many bans go from who reads the file to who takes them in:
// with a million of them, handing over one by one would cost more than it saves.
const decodeBatch = 512

// decode calls visit for every ban of a file, which must not keep the record. What
// is not exactly as the encoder writes it is an error, which names the line. The
// file is read on another core than visit runs on, if there is one: the edge lets
// nobody in before it knows whom to turn away.
func decode(from io.Reader, visit func(*record) error) error {
	full, free := make(chan []record, 2), make(chan []record, 4)
	for range cap(free) {
		free <- make([]record, 0, decodeBatch)
	}
	stop := make(chan struct{})
	var readErr error
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(full)
		readErr = readBans(from, full, free, stop)
	})
	visitErr := visitAll(full, free, visit)
	close(stop)
	reading.Wait()
	if visitErr != nil {
		return visitErr // of a line before any that readErr is about
	}
	return readErr
}

func visitAll(full <-chan []record, free chan<- []record, visit func(*record) error) error {
	line := 2
	for batch := range full {
		for i := range batch {
			if err := visit(&batch[i]); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			line++
		}
		free <- batch[:0]
	}
	return nil
}

// readBans sends what it reads into full, in slices that come from free, until
// the end of the file, the first error or stop.
func readBans(from io.Reader, full chan<- []record, free <-chan []record, stop <-chan struct{}) error {
	in := bufio.NewReaderSize(from, max(mostLine, 1<<16))
	head, err := readLine(in)
	if err != nil || string(head) != fileHead {
		return fmt.Errorf("line 1: want %q", fileHead[:len(fileHead)-1])
	}
	sum := crc32.Update(0, castagnoli, head)
	var again []byte
	batch := <-free
	send := func() {
		select {
		case full <- batch:
		case <-stop:
		}
	}
	for n := 2; ; n++ {
		line, err := readLine(in)
		if err != nil {
			send()
			return fmt.Errorf("line %d: %w", n, err)
		}
		if bytes.HasPrefix(line, []byte("end ")) {
			send()
			return checkEnd(in, line, n, sum)
		}
		sum = crc32.Update(sum, castagnoli, line)
		var r record
		if err := r.parse(line[:len(line)-1]); err != nil {
			send()
			return fmt.Errorf("line %d: %w", n, err)
		}
		if again = r.append(again[:0]); !slices.Equal(line, again) {
			send()
			return fmt.Errorf("line %d: want %q, got %q", n, again, line)
		}
		if batch = append(batch, r); len(batch) < cap(batch) {
			continue
		}
		send()
		select {
		case batch = <-free:
		case <-stop:
			return nil
		}
	}
}

// checkEnd takes the last line, the n-th.
func checkEnd(in *bufio.Reader, line []byte, n int, sum uint32) error {
	if want := fmt.Sprintf("end %d %08x\n", n-2, sum); string(line) != want {
		return fmt.Errorf("line %d: want %q, got %q: the file is damaged", n, want, line)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return fmt.Errorf("line %d: want nothing behind the last line", n+1)
	}
	return nil
}

// readLine returns a line with its end, until the next call.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case err == nil && len(line) <= mostLine:
		return line, nil
	case err == io.EOF:
		return nil, errors.New("the file ends before its last line")
	case err == nil || errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("want at most %d bytes", mostLine)
	}
	return nil, err
}

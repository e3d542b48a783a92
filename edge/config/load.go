package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxFileSize bounds a configuration file: a thousand listeners fit.
const maxFileSize = 1 << 20

// Load reads and judges the configuration file at path. It reports everything
// that is wrong with it, and with nothing else: the files that it names are not
// opened.
//
// The Config is nil when there is nothing to look at: the file cannot be read,
// is not YAML, or holds no mapping. Otherwise it is there even if Problems.Err
// is not nil, for those who go on to look for more problems; it must not be used
// for anything else, since what could not be decoded has its default or is zero.
func Load(path string) (*Config, Problems) {
	data, err := readFile(path)
	if err != nil {
		return nil, Problems{{File: path, Text: err.Error()}}
	}
	dir := filepath.Dir(path)
	// Names must mean the same file for as long as the Config lives, whatever
	// becomes of the working directory.
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return Parse(path, data, dir)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open: %w", withoutPath(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", withoutPath(err))
	}
	return data, nil
}

// withoutPath spares the reader a file name that the problem begins with.
func withoutPath(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// Parse is Load for the bytes of a file. Problems call the file name, and
// relative file names in it are taken from dir.
func Parse(name string, data []byte, dir string) (*Config, Problems) {
	c := &Config{source: source{
		name: name, dir: dir,
		positions: map[string]position{},
		spoilt:    map[string]bool{},
		tainted:   map[string]bool{},
	}}
	text, problem := readableText(data)
	if problem != nil {
		problem.File = name
		return nil, Problems{*problem}
	}
	body, problem := parseYAML(text)
	d := decoder{c: c, lines: strings.Split(text, "\n")}
	if problem != nil {
		problem.File = name
		d.found = Problems{*problem}
	}
	if body == nil {
		return nil, d.found
	}
	if !d.config(body) {
		return nil, d.found
	}
	c.normalise()
	problems := append(d.found, c.validate()...)
	problems.Sort()
	return c, problems
}

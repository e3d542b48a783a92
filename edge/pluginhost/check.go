package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
)

// Error is about one plugin of a configuration.
type Error struct {
	Plugin string
	err    error
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Check reports what is wrong with a plugin's files or templates, without starting
// it.
func Check(cfg config.Plugin, resolve func(string) string) error {
	if cfg.Headers.On() {
		_, err := newShape(&cfg.Headers)
		return err
	}
	if cfg.Attach != "" || len(cfg.Command) == 0 {
		return nil
	}
	if err := unpinned(&cfg, resolve); err != nil {
		return err
	}
	name := cfg.Command[0]
	if strings.Contains(name, "/") {
		name = resolve(name)
	}
	_, err := exec.LookPath(name)
	var path *fs.PathError
	var lookup *exec.Error
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &lookup):
		err = lookup.Err
	}
	if err != nil {
		return fmt.Errorf("%q: %w", cfg.Command[0], err)
	}
	return nil
}

// interpreters run what an argument names. To pin one says nothing about that.
var interpreters = regexp.MustCompile(`^(python|pypy|node|nodejs|deno|bun|ruby|perl|php|lua|luajit|tclsh|java|guile|Rscript|env|busybox|sh|bash|dash|ash|zsh|ksh)[0-9.]*$`)

// unpinned refuses a pin that pins nothing: of an interpreter, and not of what it is
// to run.
func unpinned(cfg *config.Plugin, resolve func(string) string) error {
	if cfg.SHA256 == (config.Fingerprint{}) && len(cfg.Pinned) == 0 || !interpreters.MatchString(filepath.Base(cfg.Command[0])) {
		return nil
	}
	for _, arg := range cfg.Command[1:] {
		if _, pinned := cfg.Pinned[arg]; pinned {
			continue
		}
		path := arg
		switch {
		case isFile(arg):
			path = resolve(arg)
		case !filepath.IsAbs(arg):
			path = filepath.Join("/", cfg.Dir, arg)
			if cfg.Dir != "" {
				path = filepath.Join(resolve(cfg.Dir), arg)
			}
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return fmt.Errorf("argument %q: is not pinned, and what %s runs; want its SHA-256 in pinned", arg, cfg.Command[0])
		}
	}
	return nil
}

// isFile says whether an argument is a file's name, relative to the configuration.
func isFile(arg string) bool { return strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../") }

// Contested reports, of the plugins whose headers are known without starting them,
// those of which two own the same.
func Contested(plugins map[string]config.Plugin) []error {
	owners := map[string][]string{}
	for name, cfg := range plugins {
		owners[name] = slices.Collect(maps.Keys(cfg.Headers.Set))
	}
	return contested(owners)
}

// contested names every two plugins that own one header: what it says would be the
// one's word or the other's, and no target could tell whose.
func contested(owners map[string][]string) (errs []error) {
	names := slices.Sorted(maps.Keys(owners))
	for i, second := range names {
		for _, first := range names[:i] {
			for _, header := range slices.Sorted(slices.Values(owners[second])) {
				if slices.ContainsFunc(owners[first], func(other string) bool { return http1.SameName(header, other) }) {
					errs = append(errs, &Error{second, fmt.Errorf("plugins %s and %s both own the header %s", first, second, strings.ToLower(header))})
				}
			}
		}
	}
	return errs
}

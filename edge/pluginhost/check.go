package pluginhost

import (
	"fmt"
	"maps"
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
	if _, err := programOf(&cfg, resolve); err != nil {
		return fmt.Errorf("%q: %w", cfg.Command[0], err)
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

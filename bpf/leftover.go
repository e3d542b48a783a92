package bpf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/link"
)

// RemoveFilter takes out what a process that was killed has left in a directory of
// Options.Pin: nobody would lift its bans. When it returns without an error, packets
// pass. That there is nothing is no error.
func RemoveFilter(pin string) error {
	if err := removePinned(pin); err != nil {
		return fmt.Errorf("remove the filter: %w", err)
	}
	return nil
}

// RemoveSteering ends what a process that was killed has left pinned in a
// directory: it refuses connections that nobody takes. When it returns without an
// error, none are. That there is nothing is no error.
func RemoveSteering(pin string) error {
	if err := removePinned(pin); err != nil {
		return fmt.Errorf("remove steering: %w", err)
	}
	return nil
}

// removePinned removes a directory of pins, whose links all begin with link. Its
// links are detached first, since the kernel ends one whose last pin goes only some
// time later. Who may not do that has to be content with it, and may remove files.
func removePinned(dir string) error {
	entries, _ := os.ReadDir(dir) // what is wrong with it, RemoveAll says
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "link") {
			continue
		}
		if l, err := link.LoadPinnedLink(filepath.Join(dir, e.Name()), nil); err == nil {
			_ = l.Detach()
			l.Close()
		}
	}
	return os.RemoveAll(dir)
}

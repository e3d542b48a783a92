package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/edge/admin"
)

// memoryShare is how much of a cgroup's limit the Go runtime gets, in percent.
// The rest is for what it does not count: the program itself, and mapped CRLs.
const memoryShare = 90

// limitMemory has the garbage collector work harder when memory becomes scarce,
// as GOMEMLIMIT does: near the limit of the cgroup that this process is in, or
// what GOMEMLIMIT itself says. Without, a heap that may double between two
// collections is killed by the kernel though half of it is garbage. It returns
// what is in force. The error is of a limit that cannot be read; none is set then.
func limitMemory() (admin.MemoryLimit, error) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return memoryLimit("GOMEMLIMIT"), nil // the runtime has read it
	}
	limit, file, err := cgroupMemory(os.DirFS("/"))
	if err != nil || limit == 0 {
		return admin.MemoryLimit{}, err
	}
	debug.SetMemoryLimit(limit / 100 * memoryShare)
	return memoryLimit("/" + file), nil
}

// memoryLimit is the limit in force, which source has set.
func memoryLimit(source string) admin.MemoryLimit {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return admin.MemoryLimit{} // GOMEMLIMIT=off
	}
	return admin.MemoryLimit{Bytes: limit, Source: source}
}

// cgroupMemory returns the limit of memory of the cgroup that the process is in,
// or of the one above it that has the lowest, and the file that says so; 0 if
// there is none. root is the file system. Both versions of cgroups are looked at.
func cgroupMemory(root fs.FS) (limit int64, file string, err error) {
	membership, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, "", fmt.Errorf("find this process's cgroup: %w", err)
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return 0, "", fmt.Errorf("find where cgroups are mounted: %w", err)
	}
	for _, h := range hierarchies {
		group, found := h.group(string(membership))
		if !found {
			continue
		}
		for dir := range h.folders(string(mounts), group) {
			name := path.Join(dir, h.file)
			text, err := fs.ReadFile(root, name)
			if err != nil {
				continue // the root cgroup has no such file; others have the controller off
			}
			n, err := parseLimit(text)
			if err != nil {
				return 0, "", fmt.Errorf("read /%s: %w", name, err)
			}
			if n > 0 && (limit == 0 || n < limit) {
				limit, file = n, name
			}
		}
	}
	return limit, file, nil
}

// hierarchy is a version of cgroups, as it tells of limits of memory.
type hierarchy struct {
	fsType     string
	controller string // empty: all of them
	file       string
}

var hierarchies = []hierarchy{
	{fsType: "cgroup2", file: "memory.max"},
	{fsType: "cgroup", controller: "memory", file: "memory.limit_in_bytes"},
}

// group is the path of the process's cgroup in the hierarchy, of the text of
// /proc/PID/cgroup (cgroups(7)): ID:CONTROLLERS:PATH on each line.
func (h hierarchy) group(text string) (group string, found bool) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if h.controller == "" && parts[1] == "" || h.controller != "" && slices.Contains(strings.Split(parts[1], ","), h.controller) {
			return parts[2], true
		}
	}
	return "", false
}

// folders yields where a cgroup and those above it are to be seen, as far as they
// are, of the text of /proc/PID/mountinfo (proc(5)). Names are without a leading
// slash.
func (h hierarchy) folders(mounts, group string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(mounts) {
			// 32 31 0:32 ROOT MOUNTPOINT options [tags…] - TYPE source superoptions
			before, after, found := strings.Cut(strings.TrimRight(line, "\n"), " - ")
			where, what := strings.Fields(before), strings.Fields(after)
			if !found || len(where) < 5 || len(what) < 3 || what[0] != h.fsType {
				continue
			}
			if h.controller != "" && !slices.Contains(strings.Split(what[2], ","), h.controller) {
				continue
			}
			// A container may see its own cgroup as the mount's root.
			below, ok := strings.CutPrefix(group, strings.TrimSuffix(where[3], "/"))
			if !ok || below != "" && below[0] != '/' {
				below = "/"
			}
			below = path.Clean("/" + below)
			for {
				if !yield(strings.TrimPrefix(path.Join(where[4], below), "/")) {
					return
				}
				if below == "/" {
					break
				}
				below = path.Dir(below)
			}
		}
	}
}

// parseLimit reads a limit in bytes; 0 is none. Version 1 says none with a number
// near the largest, rounded to pages.
func parseLimit(text []byte) (int64, error) {
	word := string(bytes.TrimSpace(text))
	if word == "max" {
		return 0, nil
	}
	n, err := strconv.ParseInt(word, 10, 64)
	switch {
	case err != nil || n < 0:
		return 0, fmt.Errorf("limit %q: want bytes, or max", word)
	case n > math.MaxInt64/2:
		return 0, nil
	}
	return n, nil
}

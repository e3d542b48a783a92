package main

import (
	"math"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	mountsV2 = "24 1 0:22 / /proc rw - proc proc rw\n30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsV1 = "32 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n33 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
)

func TestCgroupMemory(t *testing.T) {
	for _, test := range []struct {
		name           string
		cgroup, mounts string
		files          map[string]string
		limit          int64
		file           string
		fault          string
	}{
		{
			name: "version 2", cgroup: "0::/system.slice/sallyport.service\n", mounts: mountsV2,
			files: map[string]string{"sys/fs/cgroup/system.slice/sallyport.service/memory.max": "1073741824\n"},
			limit: 1 << 30, file: "sys/fs/cgroup/system.slice/sallyport.service/memory.max",
		},
		{
			name: "a lower limit above", cgroup: "0::/a/b\n", mounts: mountsV2,
			files: map[string]string{"sys/fs/cgroup/a/b/memory.max": "2000\n", "sys/fs/cgroup/a/memory.max": "1000\n"},
			limit: 1000, file: "sys/fs/cgroup/a/memory.max",
		},
		{
			name: "a limit only above", cgroup: "0::/a/b\n", mounts: mountsV2,
			files: map[string]string{"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1000\n"},
			limit: 1000, file: "sys/fs/cgroup/a/memory.max",
		},
		{
			name: "none", cgroup: "0::/a\n", mounts: mountsV2,
			files: map[string]string{"sys/fs/cgroup/a/memory.max": "max\n"},
		},
		{
			name: "the root", cgroup: "0::/\n", mounts: mountsV2,
		},
		{
			name: "a namespace of its own", cgroup: "0::/\n", mounts: mountsV2,
			files: map[string]string{"sys/fs/cgroup/memory.max": "4096\n"},
			limit: 4096, file: "sys/fs/cgroup/memory.max",
		},
		{
			name:   "mounted from its own cgroup down",
			cgroup: "0::/docker/abc/inner\n", mounts: "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			files: map[string]string{"sys/fs/cgroup/inner/memory.max": "4096\n"},
			limit: 4096, file: "sys/fs/cgroup/inner/memory.max",
		},
		{
			name:   "mounted from one whose name begins alike",
			cgroup: "0::/docker/abcd/inner\n", mounts: "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			files: map[string]string{"sys/fs/cgroup/d/inner/memory.max": "4096\n", "sys/fs/cgroup/memory.max": "8192\n"},
			limit: 8192, file: "sys/fs/cgroup/memory.max",
		},
		{
			name:   "mounted from elsewhere",
			cgroup: "0::/../other\n", mounts: "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			files: map[string]string{"sys/fs/cgroup/memory.max": "4096\n"},
			limit: 4096, file: "sys/fs/cgroup/memory.max",
		},
		{
			name: "version 1", cgroup: "9:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n", mounts: mountsV1,
			files: map[string]string{"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "536870912\n"},
			limit: 512 << 20, file: "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
		},
		{
			name: "version 1, none", cgroup: "4:memory:/docker/abc\n", mounts: mountsV1,
			files: map[string]string{"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n"},
		},
		{
			name: "both, and the lower counts", cgroup: "4:memory:/a\n0::/b\n", mounts: mountsV1 + mountsV2,
			files: map[string]string{"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000\n", "sys/fs/cgroup/b/memory.max": "2000\n"},
			limit: 1000, file: "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
		},
		{
			name: "a broken file", cgroup: "0::/a\n", mounts: mountsV2,
			files: map[string]string{"sys/fs/cgroup/a/memory.max": "much\n"},
			fault: `read /sys/fs/cgroup/a/memory.max: limit "much": want bytes, or max`,
		},
		{
			name: "a negative one", cgroup: "0::/a\n", mounts: mountsV2,
			files: map[string]string{"sys/fs/cgroup/a/memory.max": "-1\n"},
			fault: `limit "-1"`,
		},
		{name: "broken lines", cgroup: "0:\n\nx\n", mounts: " - \n - cgroup2\n1 2 3 - cgroup2 a b\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := fstest.MapFS{
				"proc/self/cgroup":    {Data: []byte(test.cgroup)},
				"proc/self/mountinfo": {Data: []byte(test.mounts)},
			}
			for name, text := range test.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			limit, file, err := cgroupMemory(root)
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Errorf("error %v, want %q", err, test.fault)
				}
				return
			}
			if err != nil || limit != test.limit || file != test.file {
				t.Errorf("limit %d of %q, %v; want %d of %q", limit, file, err, test.limit, test.file)
			}
		})
	}
	if _, _, err := cgroupMemory(fstest.MapFS{}); err == nil {
		t.Error("no error without /proc")
	}
}

// FuzzCgroupMemory reads what /proc may say: whatever it is, no folder but those
// of the mount is looked into.
func FuzzCgroupMemory(f *testing.F) {
	f.Add("0::/a/b\n", mountsV2)
	f.Add("4:memory:/docker/abc\n", mountsV1)
	f.Add("0::/../..\n", "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n")
	f.Fuzz(func(t *testing.T, cgroup, mounts string) {
		for _, h := range hierarchies {
			group, _ := h.group(cgroup)
			for dir := range h.folders(mounts, group) {
				if strings.Contains("/"+dir+"/", "/../") {
					t.Fatalf("folder %q", dir)
				}
			}
		}
	})
}

// TestLimitMemory runs itself once more, since a limit is the whole process's.
func TestLimitMemory(t *testing.T) {
	if want := os.Getenv("TEST_MEMORY_LIMIT"); want != "" {
		limit, err := limitMemory()
		if err != nil || limit.Source != want && want != "none" {
			t.Errorf("limit %+v, %v; want it of %s", limit, err, want)
		}
		if force := debug.SetMemoryLimit(-1); limit.Source != "" && limit.Bytes != force || limit.Source == "" && force != math.MaxInt64 {
			t.Errorf("%d in force, %+v told", force, limit)
		}
		return
	}
	for limit, want := range map[string]string{"GOMEMLIMIT=100MiB": "GOMEMLIMIT", "GOMEMLIMIT=off": "none"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLimitMemory$", "-test.v")
		cmd.Env = append(os.Environ(), limit, "TEST_MEMORY_LIMIT="+want)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestLimitMemory") {
			t.Errorf("%s: %v\n%s", limit, err, out)
		}
	}
}

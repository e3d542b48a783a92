package edge

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// TestWithoutXDP: who names interfaces and gets no XDP on them is told of it, and
// nobody else is.
func TestWithoutXDP(t *testing.T) {
	b := &bans{datapath: &datapath{why: "the hook is taken"}}
	for _, test := range []struct {
		name string
		cfg  config.Ban
		told bool
	}{
		{"named", config.Ban{Mode: config.BanEnforce, Datapath: config.DatapathAuto, Interfaces: []string{"eth0"}}, true},
		{"dry run", config.Ban{Mode: config.BanDryRun, Datapath: config.DatapathAuto, Interfaces: []string{"eth0"}}, true},
		{"none named", config.Ban{Mode: config.BanEnforce, Datapath: config.DatapathAuto}, false},
		{"user space", config.Ban{Mode: config.BanEnforce, Datapath: config.DatapathUserspace, Interfaces: []string{"eth0"}}, false},
		{"off", config.Ban{Mode: config.BanOff, Datapath: config.DatapathAuto, Interfaces: []string{"eth0"}}, false},
	} {
		list := b.toLookAt(&test.cfg)
		if told := len(list) == 1 && strings.Contains(list[0], "eth0") && strings.Contains(list[0], "the hook is taken"); told != test.told || !told && len(list) > 0 {
			t.Errorf("%s: got %q", test.name, list)
		}
	}
}

package pluginhost

import (
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// TestContested finds what two plugins of templates own, in any spelling.
func TestContested(t *testing.T) {
	errs := Contested(map[string]config.Plugin{
		"a": templates(map[string]string{"X-Unit": "a", "X-A": "a"}),
		"b": templates(map[string]string{"X-B": "b"}),
		"c": templates(map[string]string{"x_unit": "c"}),
		"d": changes(config.PluginHeaders{Add: map[string]string{"X-B": "d"}, Remove: []string{"X-A"}}),
		"e": pluginConfig(nil),
	})
	if len(errs) != 1 || errs[0].Error() != "plugins a and c both own the header x_unit" || errs[0].(*Error).Plugin != "c" {
		t.Errorf("got %v", errs)
	}
}

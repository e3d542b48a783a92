package docs_test

import (
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// TestConfigurationOfStatusPage wants the operators' example to be one.
func TestConfigurationOfStatusPage(t *testing.T) {
	for _, text := range blocks(t, "status-page.md", "yaml") {
		if _, problems := config.Parse("status-page.yaml", []byte(text), "/etc"); len(problems) > 0 {
			t.Error(problems)
		}
	}
}

package docs_test

import (
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// TestConfigurationOfTracing wants the operators' example to be one.
func TestConfigurationOfTracing(t *testing.T) {
	for _, text := range blocks(t, "tracing.md", "yaml") {
		if _, problems := config.Parse("tracing.yaml", []byte(text), "/etc"); len(problems) > 0 {
			t.Error(problems)
		}
	}
}

package docs_test

import (
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// TestConfigurationOfHealthChecks reads the example as the edge does, with listeners,
// which it does not show.
func TestConfigurationOfHealthChecks(t *testing.T) {
	text := blocks(t, "health-checks.md", "yaml")[0] + `
certificates: [{name: edge, file: {cert: edge.pem, key: edge.key}}]
listeners:
  app: {address: ":444", default_action: {forward: app}}
  calls: {address: ":443", default_action: {forward: calls}}
`
	cfg, problems := config.Parse("health-checks.yaml", []byte(text), "/etc")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	app := cfg.TargetGroups["app"].HealthCheck
	if !app.Enabled || app.AllUnhealthy != config.FailOpen || app.Passive.Failures != 5 {
		t.Errorf("%+v", app)
	}
}

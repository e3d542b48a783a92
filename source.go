// Package sallyport holds what the program carries of its own source, so that it
// can write plugins that build where there is no network: the SDK, and the examples
// that new plugins are made of.
package sallyport

import "embed"

// Source has sdk and plugins/examples, tests included.
//
//go:embed sdk/*.go sdk/frame/*.go sdk/sdktest/*.go sdk/FRAMES.md
//go:embed plugins/examples/go/*.go plugins/examples/python/*.py plugins/examples/node/*.js plugins/examples/cases.yaml
var Source embed.FS

// Package pluginhost asks plugins about connections and requests, and keeps them
// running. A plugin is a process of its own that speaks frames (package sdk/frame)
// on a socket; how it is started is somebody else's.
//
// A [Host] has the plugins of the configuration in force. Prepare starts those
// that a configuration adds or changes, beside the ones that serve; Commit puts
// them in force, and lets the old ones finish what they are asked. A [Chain] is
// the plugins of one listener in their order.
//
//	Chain.Connection, Request, Response   chain.go: who is asked, and in which order
//	  ▼
//	Plugin.ask                            ask.go: fields → cache → breaker → call
//	  ▼
//	instance.call                         instance.go: one process: ids, deadline, frames
//
// # Never open by accident
//
// The zero Decision refuses. A plugin that is late, gone or overloaded gives no
// verdict, and without one nothing is admitted, unless its configuration says
// on_error: allow; that is counted. An answer that is none, or changes what it must
// not, refuses whatever is configured, as does a question that is longer than the
// plugin takes. What a plugin was told is exactly what its verdicts are kept under.
package pluginhost

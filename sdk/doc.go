// Package sdk is for programs that decide, for a Sallyport edge, who may come in
// and what the targets are told of them. Such a plugin is an ordinary program:
// the edge starts it, in a sandbox, and asks it over a socket.
//
//	type policy struct {
//		Allow []string `json:"allow"`
//	}
//
//	func (*policy) Manifest() sdk.Manifest {
//		return sdk.Manifest{Name: "ou-policy", Needs: []sdk.Field{sdk.CertOrganizationalUnits}}
//	}
//
//	func (p *policy) Configure(c sdk.Config) error { return c.Decode(p) }
//
//	func (p *policy) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
//		for _, unit := range r.Peer().OrganizationalUnits() {
//			if slices.Contains(p.Allow, unit) {
//				return sdk.Allow().SetHeader("X-Unit", unit).For(time.Minute)
//			}
//		}
//		return sdk.Deny(403, "no unit that is allowed")
//	}
//
//	func main() { sdk.Serve(&policy{}) }
//
// # Capabilities
//
// What a plugin can be asked is what it implements: [ConnectionAuthorizer],
// [RequestAuthorizer], [RequestShaper], [ResponseShaper], [Observer]. It may be a
// [Configurer] and a [Runner] besides. Its configuration in the edge says which of
// its hooks are used, in which order with other plugins, and for which listeners.
//
// # Declared fields
//
// A plugin sees the fields that its [Manifest] declares, and nothing else. They
// are what it costs to ask it, and they are the key under which the edge keeps
// its verdicts: so that a verdict cannot be used for somebody about whom the
// plugin would have decided otherwise. To ask a [Request] for a field that was not
// declared is a mistake in the program; it panics, and so denies.
//
// # What denies
//
// Every way but one. The zero [Verdict] denies. A hook that panics denies with
// status 500, is logged with its stack, and the plugin goes on. A verdict that
// cannot be sent as it is (a header with a line feed in its value, a dependency
// that was not declared) denies with status 500. What the plugin does not answer
// in time, or cannot answer because it is gone, the edge refuses with 503.
//
// The fields of a certificate are empty, and Verified is false, unless the edge
// has verified the client's chain and the handshake has proved that the client
// holds its key. In mode passthrough they are always empty.
//
// # Calls
//
// With Manifest.Concurrency 0 or 1 the hooks are called one after the other, in
// the order in which the edge asked. That is the cheapest way by far, and right
// for hooks that only compute. Hooks that wait for something (a database, another
// service) want a Concurrency of as many as may wait at once, and must be safe for
// concurrent use.
//
// A call's context ends when the edge does not wait for its verdict any more, or
// is gone. It does not know its deadline beforehand: that is the edge's.
//
// Connection, Request, Response and Peer are good until the hook returns. What
// their methods gave is the caller's to keep; certificates are shared and must not
// be changed.
package sdk

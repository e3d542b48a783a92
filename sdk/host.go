package sdk

import (
	"github.com/sallyport/sallyport/sdk/frame"
)

// Host is the edge, for what a plugin says unasked. Its methods may be called at
// any time, from any goroutine.
type Host struct{ out *writer }

// Invalidate makes the edge forget the verdicts on one certificate, which is named
// by the SHA-256 of its DER. Change first what the hooks decide by, then call it: a
// verdict of a hook that began before is not kept by the edge.
func (h *Host) Invalidate(certificate [32]byte) {
	h.out.invalidate(&frame.InvalidateBody{One: true, Leaf: certificate})
}

// InvalidateAll makes the edge forget all verdicts of the plugin.
func (h *Host) InvalidateAll() { h.out.invalidate(&frame.InvalidateBody{}) }

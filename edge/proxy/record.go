package proxy

import "github.com/sallyport/sallyport/edge/accesslog"

// Record is one request's line in the access log.
type Record = accesslog.Record

// The values of ErrorReason.
const (
	ReasonMalformedRequest   = "MalformedRequest"
	ReasonMethodNotAllowed   = "MethodNotAllowed"
	ReasonMisdirected        = "MisdirectedRequest"
	ReasonTooManyForwarded   = "TooManyForwardedFor"
	ReasonClientClosed       = "ClientClosed"
	ReasonClientFlood        = "ClientFlood" // cut off by the edge
	ReasonClientIdle         = "ClientIdle"
	ReasonNoTarget           = "NoTarget"
	ReasonNoHealthyTarget    = "NoHealthyTarget"
	ReasonIncompatible       = "IncompatibleProtocol" // not what the target group speaks
	ReasonTargetConnect      = "TargetConnectError"
	ReasonTargetConnectSlow  = "TargetConnectTimeout"
	ReasonTargetResponse     = "TargetResponseError"
	ReasonTargetResponseSlow = "TargetResponseTimeout"
	ReasonTargetClosed       = "TargetClosed" // in the middle of a response
	ReasonTargetIdle         = "TargetIdle"   // in the middle of a response
	ReasonIdle               = "Idle"         // a tunnel in which nothing moved
	ReasonPluginDenied       = "PluginDenied"
	ReasonPluginUnavailable  = "PluginUnavailable"
	ReasonInternal           = "InternalError"
)

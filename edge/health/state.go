package health

import (
	"fmt"

	"github.com/sallyport/sallyport/edge/accesslog"
)

// State is a target's, as ALB calls it.
type State string

const (
	Initial     State = "initial"     // no check has shown yet whether it works
	Healthy     State = "healthy"     //
	Unhealthy   State = "unhealthy"   //
	Unused      State = "unused"      // nothing forwards to its group
	Draining    State = "draining"    // it was taken out, and still has requests
	Unavailable State = "unavailable" // it is not checked
)

// States are all there are, in the order of a target's life.
func States() []State {
	return []State{Initial, Healthy, Unhealthy, Unused, Draining, Unavailable}
}

// Reason is why a target is in its state, as ALB calls it; a healthy target has
// none.
type Reason string

const (
	RegistrationInProgress   Reason = "Elb.RegistrationInProgress"
	InitialHealthChecking    Reason = "Elb.InitialHealthChecking"
	ResponseCodeMismatch     Reason = "Target.ResponseCodeMismatch"
	Timeout                  Reason = "Target.Timeout"
	FailedHealthChecks       Reason = "Target.FailedHealthChecks"
	NotInUse                 Reason = "Target.NotInUse"
	DeregistrationInProgress Reason = "Target.DeregistrationInProgress"
	HealthCheckDisabled      Reason = "Target.HealthCheckDisabled"
)

// Description returns what ALB says of a reason; of ResponseCodeMismatch, with the
// codes that did not match.
func (r Reason) Description(codes ...int) string {
	switch r {
	case RegistrationInProgress:
		return "Target registration is in progress"
	case InitialHealthChecking:
		return "Initial health checks in progress"
	case ResponseCodeMismatch:
		return fmt.Sprintf("Health checks failed with these codes: %v", codes)
	case Timeout:
		return "Request timed out"
	case FailedHealthChecks:
		return "Health checks failed"
	case NotInUse:
		return "Target group is not configured to receive traffic from the load balancer"
	case DeregistrationInProgress:
		return "Target deregistration is in progress"
	case HealthCheckDisabled:
		return "Health checks are disabled"
	}
	return ""
}

// passed is the result of a check that found the target in order; the others are
// the reasons of the health-check log.
const passed = "pass"

// Results are those that checks are counted by.
func Results() []string {
	return []string{
		passed, accesslog.CheckTimedOut, accesslog.CheckConnectionReset, accesslog.CheckResponseCodeMismatch,
		accesslog.CheckTargetError, accesslog.CheckGRPCStatusHeaderEmpty, accesslog.CheckGRPCUnexpectedStatus, accesslog.CheckInternalError,
	}
}

// reasonOf is the state's reason for the log's.
func reasonOf(check string) Reason {
	switch check {
	case accesslog.CheckTimedOut:
		return Timeout
	case accesslog.CheckResponseCodeMismatch, accesslog.CheckTargetError, accesslog.CheckGRPCUnexpectedStatus:
		return ResponseCodeMismatch
	}
	return FailedHealthChecks
}

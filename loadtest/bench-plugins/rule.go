package main

// The rule that every side decides by: a client is admitted for one of its
// organizational units, which the target is told.
const (
	allowedUnit = "payments"
	otherUnit   = "marketing" // of a client that is to be refused
	unitHeader  = "X-Unit"
	refusal     = "no unit that is allowed"
)

// admittedFor is the first unit that is admitted.
func admittedFor(units []string) (unit string, ok bool) {
	for _, unit := range units {
		if unit == allowedUnit {
			return unit, true
		}
	}
	return "", false
}

package config

import "strings"

// builtinPrefix begins the names of the policies that are built in.
const builtinPrefix = "ELBSecurityPolicy-"

func isBuiltinPolicy(name string) bool {
	return len(name) >= len(builtinPrefix) && strings.EqualFold(name[:len(builtinPrefix)], builtinPrefix)
}

func (v *validator) securityPolicies() {
	for _, name := range sorted(v.c.SecurityPolicies) {
		path := v.name("security_policies", name)
		if isBuiltinPolicy(name) {
			v.errorf(path, "name %s: want one that does not begin with %s, as only those do that are built in", quote(name), builtinPrefix)
		}
	}
}

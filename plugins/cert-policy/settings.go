package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sallyport/sallyport/sdk"
)

// settings is the plugin's section of the configuration.
type settings struct {
	Rules []ruleSettings `json:"rules"`
	// Default is what becomes of a request for which no rule is true: deny, unless
	// it says allow.
	Default string `json:"default"`
}

// ruleSettings is a rule as the operator writes it.
type ruleSettings struct {
	Name string `json:"name"`
	When string `json:"when"` // in CEL
	Then string `json:"then"` // allow or deny
	// Of a denial: its status, 403 if it is 0, what the log says, the rule's name if
	// it is empty, and as how many failures of the client's address it counts.
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Ban    int    `json:"ban"`
}

// The most that a configuration may have.
const (
	maxRules  = 256
	maxWhen   = 8 << 10
	maxNeeded = 64 // fields, which is what the edge takes
)

// compile makes the policy, or says everything that is wrong with it.
func (s *settings) compile() (*policy, error) {
	if len(s.Rules) == 0 || len(s.Rules) > maxRules {
		return nil, fmt.Errorf("rules: %d of them: want 1 to %d", len(s.Rules), maxRules)
	}
	env, err := newEnv()
	if err != nil {
		return nil, err
	}
	p := &policy{}
	var errs []error
	names := map[string]bool{}
	for i, rs := range s.Rules {
		r, err := rs.compile(env)
		if err == nil && names[rs.Name] {
			err = errors.New("another rule has that name")
		}
		names[rs.Name] = true
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %d %q: %w", i+1, rs.Name, err))
			continue
		}
		// The rules before it were false, by what they name.
		for _, f := range r.fields {
			if !slices.Contains(p.needs, f) {
				p.needs = append(p.needs, f)
			}
		}
		r.depends = slices.Clone(p.needs)
		r.verdict = r.verdict.For(forever).DependsOn(r.depends...)
		p.rules = append(p.rules, r)
	}
	switch s.Default {
	case "", "deny":
		p.fallback = sdk.Deny(http.StatusForbidden, "no rule allows it")
	case "allow":
		p.fallback = sdk.Allow()
	default:
		errs = append(errs, fmt.Errorf("default: %q: want allow or deny", s.Default))
	}
	p.fallback = p.fallback.For(forever)
	if len(p.needs) > maxNeeded-1 { // cert.verified may come on top
		errs = append(errs, fmt.Errorf("rules: they name %d fields: want at most %d", len(p.needs), maxNeeded-1))
	}
	if len(errs) > 0 {
		return nil, oneLine(errs)
	}
	return p, nil
}

// compile makes a rule.
func (rs *ruleSettings) compile(env *environment) (*rule, error) {
	r := &rule{name: rs.Name}
	switch {
	case rs.Name == "":
		return nil, errors.New("want a name")
	case len(rs.When) > maxWhen:
		return nil, fmt.Errorf("when: %d bytes: want at most %d", len(rs.When), maxWhen)
	case rs.Then != "allow" && rs.Then != "deny":
		return nil, fmt.Errorf("then: %q: want allow or deny", rs.Then)
	case rs.Then == "allow" && (rs.Status != 0 || rs.Reason != "" || rs.Ban != 0):
		return nil, errors.New("status, reason and ban are for rules that deny")
	case rs.Status != 0 && (rs.Status < 400 || rs.Status > 599):
		return nil, fmt.Errorf("status: %d: want 400 to 599", rs.Status)
	case rs.Ban < 0 || rs.Ban > 100:
		return nil, fmt.Errorf("ban: %d: want 0 to 100", rs.Ban)
	}
	r.verdict = sdk.Allow()
	if rs.Then == "deny" {
		reason := rs.Reason
		if reason == "" {
			reason = "rule " + rs.Name
		}
		r.verdict = sdk.Deny(rs.Status, reason)
	}
	if rs.Ban > 0 {
		r.verdict = r.verdict.Ban(rs.Ban)
	}
	if err := r.compile(env, rs.When); err != nil {
		return nil, fmt.Errorf("when: %w", err)
	}
	return r, nil
}

// oneLine joins errors so that they can stand in one line of a log.
func oneLine(errs []error) error {
	err := errs[0]
	for _, e := range errs[1:] {
		err = fmt.Errorf("%w; %w", err, e)
	}
	return err
}

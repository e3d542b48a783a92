package config

import "regexp"

var (
	loadBalancerID = regexp.MustCompile(`^[0-9a-fA-F]{16}$`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

func (v *validator) loadBalancer() {
	lb := v.c.LoadBalancer
	if !isName(lb.Name) {
		v.errorf("load_balancer.name", "%s: want %s", quote(lb.Name), nameForm)
	}
	if !loadBalancerID.MatchString(lb.ID) {
		v.errorf("load_balancer.id", "%s: want 16 hex digits", quote(lb.ID))
	}
	if !accountID.MatchString(lb.Account) {
		v.errorf("load_balancer.account", "%s: want 12 digits", quote(lb.Account))
	}
	if len(lb.Region) > 32 || !regionPattern.MatchString(lb.Region) {
		v.errorf("load_balancer.region", "%s: want lower-case letters and digits with single hyphens between them, such as eu-central-1", quote(lb.Region))
	}
}

func (v *validator) logs() {
	l := v.c.Logs
	if v.c.source.wrote("logs.connection") {
		v.needed("logs.connection.file", l.Connection.File != "", "a file name")
	}
	if v.c.source.wrote("logs.access") {
		v.needed("logs.access.file", l.Access.File != "", "a file name")
	}
	// Every format of the one but json is undefined for the other.
	if f := l.Access.Format; f != LogJSON && (f != "" || l.Access.File != "") {
		v.errorf("logs.access.format", "%s: want json", quote(string(f)))
	}
	connection, access := v.c.ResolvePath(l.Connection.File), v.c.ResolvePath(l.Access.File)
	if connection != "" && connection == access {
		v.errorf("logs.access.file", "%s: is the file of logs.connection already", quote(l.Access.File))
	}
}

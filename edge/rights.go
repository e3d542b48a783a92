package edge

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/privilege"
)

// Needs are the capabilities that an edge under cfg has a use for: no others are
// ever asked for. Without one, what it is for is refused, or done otherwise where
// the configuration allows that.
func Needs(cfg *config.Config) privilege.Set {
	needs := privilege.NetBindService
	b := cfg.Ban
	bans := b.Mode != config.BanOff && b.Datapath != config.DatapathUserspace && len(b.Interfaces) > 0
	if bans || steers(cfg) {
		needs |= privilege.BPF | privilege.NetAdmin
	}
	return needs
}

// steers says whether a listener has a prefix or a range of ports.
func steers(cfg *config.Config) bool {
	for _, listener := range cfg.Listeners {
		for _, text := range listener.Address {
			if a, err := config.ParseAddress(text); err == nil && !a.IsSocket() {
				return true
			}
		}
	}
	return false
}

// checkUser refuses a user that does not exist or, unless only the configuration is
// asked about, that this process is not: whoever starts an edge makes it that
// user.
func checkUser(name string, anybody bool) error {
	if name == "" {
		return nil
	}
	account, err := privilege.Lookup(name)
	if err == nil && !anybody && account.UID != os.Geteuid() {
		err = fmt.Errorf("%q: the process is user %d, and cannot become user %d: want it started as root, or as that user", name, os.Geteuid(), account.UID)
	}
	return err
}

// rights are those that the process has.
func rights(cfg *config.Config) admin.Rights {
	r := admin.Rights{UID: os.Geteuid(), User: strconv.Itoa(os.Geteuid())}
	if u, err := user.LookupId(r.User); err == nil {
		r.User = u.Username
	}
	held, err := privilege.Held()
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	r.Capabilities = held.Names()
	r.Beyond = (held &^ Needs(cfg)).Names()
	return r
}

package ban

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

func (f *fixture) wantMode(mode config.BanMode) {
	f.t.Helper()
	if f.kernel.mode != mode || len(f.kernel.wrong) > 0 {
		f.t.Errorf("the kernel is in mode %s, want %s; dropped in a dry run: %v", f.kernel.mode, mode, f.kernel.wrong)
	}
}

// TestNoDryRunIsEnforced: between the modes, whatever fails, the kernel never drops
// for a ban of a dry run.
func TestNoDryRunIsEnforced(t *testing.T) {
	f := newKernelFixture(t, 100, func(b *config.Ban) { b.Mode = config.BanDryRun })
	f.wantMode(config.BanDryRun)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.wantKernel("192.0.2.1/32")
	f.wantMode(config.BanDryRun)

	f.cfg.Mode = config.BanEnforce
	f.Reconfigure(f.cfg, nil)
	f.kernel.failing = errors.New("no memory")
	f.syncKernel()
	f.syncKernel() // what is stuck is in the kernel still
	f.wantMode(config.BanDryRun)
	f.kernel.failing = nil
	f.retryKernel()
	f.wantKernel()
	f.wantMode(config.BanEnforce)

	f.byHand("192.0.2.2/32", 0)
	f.cfg.Mode = config.BanDryRun
	f.kernel.modeFailing = errors.New("no memory")
	f.Reconfigure(f.cfg, nil)
	f.fail("192.0.2.3", reason.ProtocolError, 10)
	f.wantKernel("192.0.2.2/32") // the dry run's waits
	f.kernel.modeFailing = nil
	f.wantKernel("192.0.2.2/32", "192.0.2.3/32")
	f.wantMode(config.BanDryRun)
	if s := f.Stats(); s.KernelErrors < 3 {
		t.Errorf("%d errors counted", s.KernelErrors)
	}
}

// TestAdoptOfADryRun is about a process that was killed: what it would have banned
// and had not saved yet must not be enforced by the next.
func TestAdoptOfADryRun(t *testing.T) {
	for _, mode := range []config.BanMode{config.BanEnforce, config.BanDryRun, config.BanOff} {
		f := newKernelFixture(t, 100, func(b *config.Ban) { b.Mode = config.BanDryRun })
		f.fail("192.0.2.1", reason.ProtocolError, 10)
		saveNow(t, f)
		f.fail("192.0.2.2", reason.ProtocolError, 10)
		f.byHand("192.0.2.3/32", 0)
		f.wantKernel("192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32")
		f.cfg.Mode = mode
		f.open()
		f.adopt(t.Context())
		switch mode {
		case config.BanEnforce:
			f.wantKernel("192.0.2.3/32")
			f.want("192.0.2.3", true)
			if s := f.Stats(); s.InForce != (BySource{Hand: 1}) {
				t.Errorf("%+v, want the one by hand", s.InForce)
			}
		case config.BanDryRun:
			f.wantKernel("192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32")
			if s := f.Stats(); s.InForce.DryRun != 2 || s.InForce.Hand != 1 {
				t.Errorf("%+v", s.InForce)
			}
		case config.BanOff:
			f.wantKernel()
		}
		f.wantMode(mode)
		f.want("192.0.2.2", false)
	}
}

// TestByHandReachesTheKernel before it is answered, without Run.
func TestByHandReachesTheKernel(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	p := netip.MustParsePrefix("192.0.2.1/32")
	f.byHand(p.String(), 0)
	if !f.kernel.has(p.String()) {
		t.Error("not in the kernel when the answer is given")
	}
	if n, err := f.Unban(p); n != 1 || err != nil {
		t.Errorf("lifted %d: %v", n, err)
	}
	if f.kernel.has(p.String()) {
		t.Error("still in the kernel when the answer is given")
	}
	f.byHand(p.String(), 0)
	f.kernel.failing = errors.New("no memory")
	if n, err := f.Unban(p); n != 1 || !errors.Is(err, ErrStillDropped) {
		t.Errorf("lifted %d: %v, want %v", n, err, ErrStillDropped)
	}
	if _, err := f.Unban(netip.MustParsePrefix("192.0.2.2/32")); err != nil {
		t.Errorf("of another: %v", err)
	}
	f.kernel.failing = nil
	f.retryKernel()
	f.wantKernel()
	for _, want := range []int{1, 0} { // asked again, it is answered for once
		if n, err := f.Unban(p); n != want || err != nil {
			t.Errorf("lifted %d, want %d: %v", n, want, err)
		}
	}
}

// TestFullKernelSaysWhatIsFull: the operator must know which key to change.
func TestFullKernelSaysWhatIsFull(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	p := netip.MustParsePrefix("198.51.100.0/24")
	f.kernel.refused[p] = errors.Join(ErrKernelFull, errors.New("16384 networks"))
	f.byHand(p.String(), 0)
	f.byHand("192.0.2.1/32", 0)
	if log := f.log.String(); !strings.Contains(log, "16384 networks") || strings.Count(log, "kernel does not have all bans") != 1 {
		t.Errorf("log: %s", log)
	}
	if s := f.Stats(); s.KernelFull == 0 || s.Pending != 1 {
		t.Errorf("%+v", s)
	}
	if !slices.ContainsFunc(collect(f.Keeper), func(b Ban) bool { return b.Prefix == p }) || !f.isBanned("198.51.100.7") {
		t.Error("not in force in user space")
	}
}

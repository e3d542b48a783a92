package ban

import (
	"fmt"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// TestEveryCodeIsWeighed is for the day when a code is added: what it counts must
// be somebody's decision.
func TestEveryCodeIsWeighed(t *testing.T) {
	for _, code := range reason.All() {
		w, ok := weighings[code]
		if !ok {
			t.Errorf("%s is not classified", code)
		}
		if w.verified > w.plain || (w.verified == 0) != (w.plain == 0) {
			t.Errorf("%s weighs %v with a verified path and %v without", code, w.verified, w.plain)
		}
	}
	if len(weighings) != len(reason.All()) {
		t.Errorf("%d codes are classified, and there are %d", len(weighings), len(reason.All()))
	}
}

// TestOwnFailuresWeighNothing names them once more, since a slip here bans a
// whole clientele when something of ours is down.
func TestOwnFailuresWeighNothing(t *testing.T) {
	s := newSettings(configured(t, nil), nil)
	for _, code := range []reason.Code{
		reason.UnmappedConnectionError, reason.Success, reason.LimitExceeded, reason.Banned, reason.TrustStoreUnavailable,
		reason.AcmeChallenge, reason.ServerCertUnavailable,
		reason.InternalError, reason.ClientCertCrlProcessingError, reason.ClientCertOcspProcessingError, reason.PluginUnavailable,
		reason.Code(200),
	} {
		if s.weightOf(Observation{Code: code, Verified: false}) != 0 || s.weightOf(Observation{Code: code, Verified: true}) != 0 {
			t.Errorf("%d, %s, weighs something", code, code)
		}
	}
	for _, code := range []reason.Code{reason.ProtocolError, reason.ClientCertMissing, reason.ClientCertUntrusted, reason.ClientCertIntentInvalid, reason.HandshakeTimeout} {
		if s.weightOf(Observation{Code: code, Verified: false}) != ordinary {
			t.Errorf("%s is no ordinary failure", code)
		}
	}
	for _, code := range []reason.Code{reason.ClientCertExpired, reason.ClientCertNotYetValid, reason.ClientCertCrlHit, reason.ClientCertOcspDenied} {
		if s.weightOf(Observation{Code: code, Verified: false}) != ordinary || s.weightOf(Observation{Code: code, Verified: true}) != little {
			t.Errorf("%s weighs %v, and %v with a verified path", code, s.weightOf(Observation{Code: code, Verified: false}), s.weightOf(Observation{Code: code, Verified: true}))
		}
	}
}

// TestConfigurableWeights holds the configuration's idea of whose fault a code is
// against the built-in weights.
func TestConfigurableWeights(t *testing.T) {
	for _, code := range reason.All() {
		text := fmt.Sprintf("{listeners: {a: {address: ':80', protocol: http, default_action: {fixed_response: {status_code: 200}}}}, ban: {mode: enforce, weights: {%s: 0.5}}}", code)
		_, problems := config.Parse("test.yaml", []byte(text), "")
		if accepted, weighs := problems.Err() == nil, weighings[code].plain > 0; accepted != weighs {
			t.Errorf("%s: a weight is accepted: %t; built in is %v: %v", code, accepted, weighings[code].plain, problems)
		}
	}
}

func TestConfiguredWeights(t *testing.T) {
	s := newSettings(configured(t, func(b *config.Ban) {
		b.Weights = map[config.ReasonCode]config.Weight{
			"ClientCertExpired": 50, "ClientCertCrlHit": 5000, "ClientClosed": 2000, "InternalError": 0,
		}
	}), nil)
	for _, test := range []struct {
		code     reason.Code
		verified bool
		want     config.Weight
	}{
		{reason.ClientCertExpired, true, 50},
		{reason.ClientCertExpired, false, ordinary},
		{reason.ClientCertCrlHit, true, 5000},
		{reason.ClientCertCrlHit, false, 5000},
		{reason.ClientClosed, false, 2000},
		{reason.ProtocolError, false, ordinary},
		{reason.InternalError, false, 0},
	} {
		if got := s.weightOf(Observation{Code: test.code, Verified: test.verified}); got != test.want {
			t.Errorf("%s, verified %t: %v, want %v", test.code, test.verified, got, test.want)
		}
	}
}

// TestHangingUpOnASignature: what has cost a signature is no small failure.
func TestHangingUpOnASignature(t *testing.T) {
	s := newSettings(configured(t, nil), nil)
	for code, want := range map[reason.Code]config.Weight{reason.ClientClosed: ordinary, reason.ClientAlert: 2 * little} {
		if before, behind := s.weightOf(Observation{Code: code}), s.weightOf(Observation{Code: code, Greeted: true}); before != little || behind != want {
			t.Errorf("%s weighs %v before a hello and %v behind one", code, before, behind)
		}
	}
	s = newSettings(configured(t, func(b *config.Ban) { b.Weights = map[config.ReasonCode]config.Weight{"ClientAlert": 50} }), nil)
	if w := s.weightOf(Observation{Code: reason.ClientAlert, Greeted: true}); w != 50 {
		t.Errorf("configured, it weighs %v", w)
	}
}

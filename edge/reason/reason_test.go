package reason

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

func TestCodesAreTheirNames(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range All() {
		name := code.String()
		if name == "" || seen[name] {
			t.Errorf("code %d: name %q is empty or taken", code, name)
		}
		seen[name] = true
		text, err := json.Marshal(code)
		if err != nil {
			t.Fatal(err)
		}
		var back Code
		if err := json.Unmarshal(text, &back); err != nil || back != code {
			t.Errorf("%s comes back as %s: %v", code, back, err)
		}
	}
	var code Code
	if err := code.UnmarshalText([]byte("Succes")); err == nil {
		t.Error("an unknown name was taken")
	}
}

func TestZeroAndUnknownAreRefusals(t *testing.T) {
	for _, code := range []Code{Code(0), Code(200)} {
		if code == Success || code.String() != "UnmappedConnectionError" {
			t.Errorf("code %d is %s", code, code)
		}
	}
	if code, ok := Of(nil); ok || code == Success {
		t.Errorf("no error is %s, %v", code, ok)
	}
}

func TestOfFindsTheCode(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", &Error{ClientCertExpired, cause})
	if code, ok := Of(err); !ok || code != ClientCertExpired {
		t.Errorf("got %s, %v", code, ok)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
}

package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

type renewer struct{ err error }

func (r renewer) Renew(context.Context) error { return r.err }

func TestCertificates(t *testing.T) {
	edge := &fakeEdge{}
	client := serve(t, edge)
	var list []struct{ Certificate string }
	if err := client.Get(t.Context(), "/certificates", &list); err != nil || len(list) != 1 || list[0].Certificate != "" {
		t.Errorf("all: %v, %v", list, err)
	}
	if err := client.Do(t.Context(), http.MethodPost, "/certificates/shop/renew", nil, &list); err != nil || len(list) != 1 || list[0].Certificate != "shop" {
		t.Errorf("renewed: %v, %v", list, err)
	}
	if err := client.Post(t.Context(), "/certificates/nobody/renew"); err == nil || !strings.Contains(err.Error(), `no certificate has the name "nobody"`) {
		t.Errorf("an unknown name: %v", err)
	}
	edge.reload = errors.New("the CA is down")
	if err := client.Post(t.Context(), "/certificates/shop/renew"); err == nil || err.Error() != "the CA is down" {
		t.Errorf("a renewal that fails: %v", err)
	}
}

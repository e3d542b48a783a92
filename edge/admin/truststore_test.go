package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/config"
)

// shelf keeps what it is given, and tells what it was asked for.
type shelf struct {
	asked string
	data  []byte
	err   error
}

func (s *shelf) took(format string, args ...any) (TrustStoreVersion, error) {
	s.asked = fmt.Sprintf(format, args...)
	return TrustStoreVersion{Version: 7, Action: "put", CRLs: []TrustStoreCRL{}, Warnings: []string{"careful"}}, s.err
}

func (s *shelf) Put(_ context.Context, bundle []byte, _ time.Time) (TrustStoreVersion, error) {
	s.data = bundle
	return s.took("put")
}

func (s *shelf) AddCRL(_ context.Context, data io.Reader, _ time.Time) (TrustStoreVersion, error) {
	s.data, _ = io.ReadAll(data)
	return s.took("add")
}
func (s *shelf) RemoveCRL(_ context.Context, id int64, _ time.Time) (TrustStoreVersion, error) {
	return s.took("remove %d", id)
}
func (s *shelf) Rollback(_ context.Context, version uint64, _ time.Time) (TrustStoreVersion, error) {
	return s.took("rollback %d", version)
}
func (s *shelf) History() ([]TrustStoreVersion, error) {
	v, err := s.took("history")
	return []TrustStoreVersion{v}, err
}
func (s *shelf) Bundle(version uint64) ([]byte, error) {
	_, err := s.took("bundle %d", version)
	return s.data, err
}
func (s *shelf) CRL(id int64) (io.ReadCloser, int64, error) {
	_, err := s.took("crl %d", id)
	return io.NopCloser(bytes.NewReader(s.data)), int64(len(s.data)), err
}

func TestTrustStoreCalls(t *testing.T) {
	store := &shelf{}
	client := serve(t, &fakeEdge{store: store})
	every := make([]byte, 256*17)
	for i := range every {
		every[i] = byte(i)
	}
	for _, c := range []struct{ method, path, asked string }{
		{http.MethodPut, "/truststores/devices/ca-bundle", "put"},
		{http.MethodPost, "/truststores/devices/crls", "add"},
		{http.MethodDelete, "/truststores/devices/crls/3", "remove 3"},
		{http.MethodPost, "/truststores/devices/rollback?version=5", "rollback 5"},
	} {
		var v TrustStoreVersion
		store.data = nil
		if err := client.Do(t.Context(), c.method, c.path, bytes.NewReader(every), &v); err != nil || store.asked != c.asked {
			t.Errorf("%s %s asked for %q, want %q (%v)", c.method, c.path, store.asked, c.asked, err)
		}
		if v.Version != 7 || len(v.Warnings) != 1 {
			t.Errorf("%s %s: %+v", c.method, c.path, v)
		}
		if store.data != nil && !bytes.Equal(store.data, every) {
			t.Errorf("%s %s: the upload is not what came", c.method, c.path)
		}
	}
	var history []TrustStoreVersion
	if err := client.Get(t.Context(), "/truststores/devices/history", &history); err != nil || len(history) != 1 {
		t.Errorf("history: %+v, %v", history, err)
	}
	store.data = every
	for path, asked := range map[string]string{
		"/truststores/devices/ca-bundle": "bundle 0", "/truststores/devices/ca-bundle?version=2": "bundle 2", "/truststores/devices/crls/4": "crl 4",
	} {
		var got bytes.Buffer
		if err := client.Download(t.Context(), path, &got); err != nil || store.asked != asked {
			t.Errorf("%s asked for %q, want %q (%v)", path, store.asked, asked, err)
		}
		if diff := cmp.Diff(every, got.Bytes()); diff != "" {
			t.Errorf("%s is not what was kept:\n%s", path, diff)
		}
	}
}

func TestTrustStoreRefusals(t *testing.T) {
	store := &shelf{}
	edge := &fakeEdge{store: store}
	client := serve(t, edge)
	for _, c := range []struct {
		method, path string
		err          error
		status       int
		say          string
	}{
		{http.MethodPut, "/truststores/other/ca-bundle", nil, http.StatusNotFound, `no trust store has the name "other"`},
		{http.MethodPut, "/truststores/devices/ca-bundle", errors.New("line 1: no"), http.StatusUnprocessableEntity, "line 1: no"},
		{http.MethodDelete, "/truststores/devices/crls/3", &NotFoundError{errors.New("CRL 3: not found")}, http.StatusNotFound, "CRL 3: not found"},
		{http.MethodDelete, "/truststores/devices/crls/0", nil, http.StatusBadRequest, `id "0": want a number from 1`},
		{http.MethodDelete, "/truststores/devices/crls/x", nil, http.StatusBadRequest, `id "x"`},
		{http.MethodPost, "/truststores/devices/rollback", nil, http.StatusBadRequest, `version ""`},
		{http.MethodPost, "/truststores/devices/rollback?version=-1", nil, http.StatusBadRequest, `version "-1"`},
		{http.MethodGet, "/truststores/devices/ca-bundle?version=0", nil, http.StatusBadRequest, `version "0"`},
		{http.MethodGet, "/truststores/devices/ca-bundle?version=99999999999999999999", nil, http.StatusBadRequest, "want a number"},
		{http.MethodGet, "/truststores/devices/crls/9", errors.New("gone"), http.StatusUnprocessableEntity, "gone"},
		{http.MethodGet, "/truststores/devices/rollback?version=1", nil, http.StatusMethodNotAllowed, "Method Not Allowed"},
	} {
		store.asked, store.err = "", c.err
		response := call(t, client, c.method, c.path, strings.NewReader("x"))
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != c.status || !strings.Contains(string(text), c.say) {
			t.Errorf("%s %s: %d %s, want %d and %q", c.method, c.path, response.StatusCode, text, c.status, c.say)
		}
		if c.err == nil && store.asked != "" {
			t.Errorf("%s %s was passed on as %q", c.method, c.path, store.asked)
		}
	}
	store.err = errors.New("no such thing")
	if err := client.Download(t.Context(), "/truststores/devices/crls/9", io.Discard); err == nil || err.Error() != "no such thing" {
		t.Errorf("download: %v, want the edge's own words", err)
	}
}

// A client still at writing when the refusal comes is told why all the same: 8
// MiB are more than any socket buffer takes in.
func TestRefusalsAreHeardWhileUploading(t *testing.T) {
	client := serve(t, &fakeEdge{store: &shelf{}})
	err := client.Do(t.Context(), http.MethodDelete, "/truststores/devices/crls/0", bytes.NewReader(make([]byte, 8<<20)), nil)
	if err == nil || !strings.Contains(err.Error(), `id "0": want a number from 1`) {
		t.Errorf("got %v, want the edge's own words", err)
	}
}

func call(t *testing.T, c *Client, method, path string, body io.Reader) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://sallyport"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestUploadsAreBounded(t *testing.T) {
	store := &shelf{}
	s := New("", &fakeEdge{store: store}, nil, slog.New(slog.DiscardHandler))
	handler := http.NewServeMux()
	handler.HandleFunc("PUT /truststores/{name}/ca-bundle", s.uploadBundle(10*config.Size(1)))
	server := &http.Server{Handler: readWhole(handler)}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	defer server.Close()
	for n, want := range map[int]int{0: http.StatusOK, 10: http.StatusOK, 11: http.StatusRequestEntityTooLarge, 8 << 20: http.StatusRequestEntityTooLarge} {
		store.asked = ""
		// Without a length, as a stream comes.
		response := call(t, NewClient(socket), http.MethodPut, "/truststores/devices/ca-bundle", io.MultiReader(bytes.NewReader(make([]byte, n))))
		response.Body.Close()
		if response.StatusCode != want || (want == http.StatusOK) != (store.asked == "put") {
			t.Errorf("%d bytes: %s, want %d; asked for %q", n, response.Status, want, store.asked)
		}
	}
}

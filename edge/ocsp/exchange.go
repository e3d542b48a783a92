package ocsp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// maxGET is the length of the encoded request up to which it is sent by GET, so
// that caches on the way can answer (RFC 5019 section 5).
const maxGET = 255

// olderError is an answer from before the one that is known.
type olderError struct{ got, known time.Time }

func (e *olderError) Error() string {
	return fmt.Sprintf("OCSP response of %s is older than the one of %s that is known",
		e.got.Format(time.RFC3339), e.known.Format(time.RFC3339))
}

// exchange asks a responder; response is what it answered, in DER. reached says that its host did its part: what it sent
// may still not count, which says nothing about its other answers.
func (s *settings) exchange(ctx context.Context, q *ocsp.Question, responder string) (a ocsp.Answer, response []byte, reached bool, err error) {
	request, nonce, err := q.Request(ocsp.RequestOptions{Hash: s.Hash, Nonce: s.Nonce})
	if err != nil {
		return a, nil, true, err
	}
	response, err = s.query(ctx, responder, request, nonce != nil)
	var refused *statusError
	reached = err == nil || errors.As(err, &refused) && refused.code < 500 && refused.code != http.StatusTooManyRequests
	if err == nil {
		a, err = q.Validate(response, ocsp.Check{Now: time.Now(), Nonce: nonce,
			RequireNonce: nonce != nil, MaxAge: s.MaxAge, Delegate: s.Delegate})
	}
	if err != nil {
		return ocsp.Answer{}, nil, reached, fmt.Errorf("ask %s: %w", responder, err)
	}
	return a, response, true, nil
}

// query sends a request by GET where that can be, and by POST where it cannot or
// where the responder does not like it.
func (s *settings) query(ctx context.Context, responder string, request []byte, fresh bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	// QueryEscape, because base64 has "/" and "+" in it and neither is to be
	// taken for anything else.
	encoded := url.QueryEscape(base64.StdEncoding.EncodeToString(request))
	if !fresh && len(encoded) <= maxGET && !strings.ContainsAny(responder, "?#") {
		get, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(responder, "/")+"/"+encoded, nil)
		if err != nil {
			return nil, err
		}
		response, err := s.do(get)
		var refused *statusError
		if !errors.As(err, &refused) {
			return response, err
		}
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, responder, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	post.Header.Set("Content-Type", "application/ocsp-request")
	return s.do(post)
}

// statusError is an HTTP status other than 200.
type statusError struct {
	code   int
	status string
}

func (e *statusError) Error() string { return "responder answers " + e.status }

func (s *settings) do(request *http.Request) ([]byte, error) {
	request.Header.Set("User-Agent", "sallyport")
	request.Header.Set("Accept", "application/ocsp-response")
	request.Header.Set("Accept-Encoding", "identity")
	response, err := s.http.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest is the URL
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{response.StatusCode, response.Status}
	}
	// One byte more than is taken: the validator tells of it.
	return io.ReadAll(io.LimitReader(response.Body, ocsp.MaxResponse+1))
}

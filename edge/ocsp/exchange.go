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

// exchange asks the entry's responders until one gives an answer that counts.
func (c *Client) exchange(ctx context.Context, e *entry) (answer ocsp.Answer, err error) {
	request, nonce, err := e.question.Request(ocsp.RequestOptions{Hash: c.options.Hash, Nonce: c.options.Nonce})
	if err != nil {
		return answer, err
	}
	var failures []error
	for _, responder := range e.urls {
		response, err := c.query(ctx, responder, request, nonce != nil)
		if err == nil {
			answer, err = e.question.Validate(response, ocsp.Check{Now: time.Now(), Nonce: nonce,
				RequireNonce: nonce != nil, MaxAge: c.options.MaxAge, Delegate: c.options.Delegate})
		}
		if err == nil {
			return answer, nil
		}
		failures = append(failures, fmt.Errorf("ask %s: %w", responder, err))
	}
	return ocsp.Answer{}, errors.Join(failures...)
}

// query sends a request by GET where that can be, and by POST where it cannot or
// where the responder does not like it.
func (c *Client) query(ctx context.Context, responder string, request []byte, fresh bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	// QueryEscape, because base64 has "/" and "+" in it and neither is to be
	// taken for anything else.
	encoded := url.QueryEscape(base64.StdEncoding.EncodeToString(request))
	if !fresh && len(encoded) <= maxGET && !strings.ContainsAny(responder, "?#") {
		get, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(responder, "/")+"/"+encoded, nil)
		if err != nil {
			return nil, err
		}
		response, err := c.do(get)
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
	return c.do(post)
}

// statusError is an HTTP status other than 200.
type statusError struct{ status string }

func (e *statusError) Error() string { return "responder answers " + e.status }

func (c *Client) do(request *http.Request) ([]byte, error) {
	request.Header.Set("User-Agent", "sallyport")
	request.Header.Set("Accept", "application/ocsp-response")
	request.Header.Set("Accept-Encoding", "identity")
	response, err := c.http.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest is the URL
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{response.Status}
	}
	// One byte more than is taken: the validator tells of it.
	return io.ReadAll(io.LimitReader(response.Body, ocsp.MaxResponse+1))
}

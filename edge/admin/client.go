package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// ErrUnreachable is wrapped by errors of a Client that found no edge behind its
// socket.
var ErrUnreachable = errors.New("no edge answers on the admin socket")

// clientHost is the host name that a Client calls the edge by.
const clientHost = "sallyport"

// Client speaks to a running edge. Any number of goroutines may use it.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client of the edge behind the unix socket of that name. It
// connects at the first call.
func NewClient(socket string) *Client {
	c := &Client{socket: socket}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}
	return c
}

// Get fills v with what the edge answers under path.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	return c.Do(ctx, http.MethodGet, path, nil, v)
}

// Post asks the edge to do what path says; an answer of any but 200 is an error
// with the edge's own words.
func (c *Client) Post(ctx context.Context, path string) error {
	return c.Do(ctx, http.MethodPost, path, nil, nil)
}

// Download writes to w what the edge answers under path, byte for byte.
func (c *Client) Download(ctx context.Context, path string, w io.Writer) error {
	response, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("download %s: %w", path, err)
	}
	return nil
}

// send returns an answer of 200; any other is an error with the edge's own
// words.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+clientHost+path, body)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			return nil, fmt.Errorf("%w %s: %s", ErrUnreachable, c.socket, op.Err)
		}
		return nil, fmt.Errorf("call %s on %s: %w", path, c.socket, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", path, err)
	}
	return nil, &AnswerError{strings.TrimSpace(string(text))}
}

// AnswerError is what an edge has answered, in its own words. Any other error of a
// Client leaves open what the edge has done.
type AnswerError struct{ Text string }

func (e *AnswerError) Error() string { return e.Text }

// maxAnswer bounds an answer that is not a download.
const maxAnswer = 64 << 20

// Do is Get and Post for any method, with a body, which may be nil, and an
// answer, which v is filled with unless it is nil.
func (c *Client) Do(ctx context.Context, method, path string, body io.Reader, v any) error {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", path, err)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("decode answer of %s: %w", path, err)
	}
	return nil
}

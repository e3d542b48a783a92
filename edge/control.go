package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/handoff"
	"github.com/sallyport/sallyport/edge/page"
)

// control is the admin socket and the metrics address.
type control struct {
	admin                        *admin.Server
	adminAddress, metricsAddress string
	socket                       net.Listener
	metrics                      *http.Server
	tcp                          net.Listener
	cancel                       context.CancelFunc
	served                       sync.WaitGroup
	log                          *slog.Logger
}

func (s *Server) openControl(cfg *config.Config) (*control, error) {
	c := &control{adminAddress: cfg.ResolvePath(cfg.Admin.Socket), metricsAddress: cfg.Admin.Metrics, log: s.log}
	c.admin = admin.New(c.adminAddress, adminView{s}, asCaller(s.page.Handler(page.Access{Actions: true})), s.log)
	var err error
	if c.socket, err = s.given.claim(handoff.Admin, c.adminAddress, "admin"); err != nil {
		return nil, err
	}
	if c.socket == nil {
		if c.socket, err = c.admin.Listen(); err != nil {
			return nil, err
		}
	}
	if c.metricsAddress == "" {
		return c, nil
	}
	if c.tcp, err = s.given.claim(handoff.Metrics, c.metricsAddress, "metrics"); err == nil && c.tcp == nil {
		c.tcp, err = net.Listen("tcp", c.metricsAddress)
	}
	if err != nil {
		c.socket.Close()
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	c.metrics = &http.Server{Handler: s.metrics.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	return c, nil
}

// asCaller serves the page to whoever asks through the admin socket.
func asCaller(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(page.Visitor(admin.Caller(r.Context())).Context(r.Context())))
	})
}

func (c *control) start() {
	keepName(c.socket, false) // it is this process's now
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.served.Go(func() {
		if err := c.admin.Serve(ctx, c.socket); err != nil {
			c.log.Error("admin socket ended", "cause", err)
		}
	})
	if c.metrics != nil {
		c.served.Go(func() {
			if err := c.metrics.Serve(c.tcp); !errors.Is(err, http.ErrServerClosed) {
				c.log.Error("metrics address ended", "cause", err)
			}
		})
	}
}

// keepName says that a unix socket's name stays when it is closed here.
func keepName(l net.Listener, stays bool) {
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(!stays)
	}
}

// retire ends the servers when their calls under way are answered, and returns at
// once. The name of the admin socket stays if a successor has it.
func (c *control) retire(handedOver bool) {
	keepName(c.socket, handedOver)
	c.cancel()
	c.socket.Close()
	if c.metrics != nil {
		c.served.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), answerTime)
			defer cancel()
			c.metrics.Shutdown(ctx) // what it does not wait for, stop ends
		})
	}
}

// stop ends the servers, then closes what a start that failed has left open.
func (c *control) stop() {
	if c.cancel != nil {
		c.cancel()
	}
	if c.metrics != nil {
		c.metrics.Close()
	}
	c.served.Wait()
	c.socket.Close()
	if c.tcp != nil {
		c.tcp.Close()
	}
}

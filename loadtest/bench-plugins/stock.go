package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// stockPlugin is the rule as a plugin of go-plugin is usually written: one unary
// call of gRPC for each decision, over the unix socket that go-plugin makes, with
// its defaults.
type stockPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
}

const (
	stockName   = "policy"
	stockMethod = "/sallyport.bench.Policy/Authorize"
)

var stockHandshake = goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BENCH_PLUGINS", MagicCookieValue: "grpc-plugin"}

// authorizer is the service.
type authorizer interface {
	Authorize(context.Context, *AuthorizeRequest) (*AuthorizeResponse, error)
}

type stockPolicy struct{}

func (stockPolicy) Authorize(_ context.Context, r *AuthorizeRequest) (*AuthorizeResponse, error) {
	if unit, ok := admittedFor(r.GetOrganizationalUnits()); ok {
		return &AuthorizeResponse{Allowed: true, SetHeaders: []*SetHeader{{Name: unitHeader, Value: []byte(unit)}}}, nil
	}
	return &AuthorizeResponse{Status: 403, Reason: refusal}, nil
}

// stockService is what protoc's plugin for gRPC would have written.
var stockService = grpc.ServiceDesc{
	ServiceName: "sallyport.bench.Policy",
	HandlerType: (*authorizer)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Authorize",
		Handler: func(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(AuthorizeRequest)
			if err := decode(in); err != nil {
				return nil, err
			}
			return server.(authorizer).Authorize(ctx, in)
		},
	}},
}

func (stockPlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&stockService, stockPolicy{})
	return nil
}

func (stockPlugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return stockClient{c}, nil
}

type stockClient struct{ conn *grpc.ClientConn }

func (c stockClient) Authorize(ctx context.Context, in *AuthorizeRequest) (*AuthorizeResponse, error) {
	out := new(AuthorizeResponse)
	return out, c.conn.Invoke(ctx, stockMethod, in, out)
}

func stockPlugins() goplugin.PluginSet { return goplugin.PluginSet{stockName: stockPlugin{}} }

// serveStock is the plugin's process.
func serveStock(name string) error {
	if name != stockName {
		return fmt.Errorf("plugin %q: want %s", name, stockName)
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: stockHandshake,
		Plugins:         stockPlugins(),
		GRPCServer:      goplugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
	return nil
}

// startStock starts the plugin as a child of this process. stop ends it.
func startStock() (policy authorizer, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  stockHandshake,
		Plugins:          stockPlugins(),
		Cmd:              exec.Command(self, benchmark.AsChild, roleStock, stockName),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	protocol, err := client.Client()
	if err == nil {
		var raw any
		if raw, err = protocol.Dispense(stockName); err == nil {
			var ok bool
			if policy, ok = raw.(authorizer); ok {
				return policy, client.Kill, nil
			}
			err = errors.New("go-plugin gives something else")
		}
	}
	client.Kill()
	return nil, nil, fmt.Errorf("start go-plugin's plugin: %w", err)
}

package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// grpcService is a service of gRPC that tells what it was asked.
type grpcService struct {
	testpb.UnimplementedTestServiceServer
	asked chan metadata.MD
	gone  chan error // why a call that waits for its end has ended
}

func (s *grpcService) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.asked <- md
	switch want := in.GetResponseStatus(); {
	case want.GetCode() == int32(codes.Unknown): // to wait
		<-ctx.Done()
		s.gone <- ctx.Err()
		return nil, ctx.Err()
	case want.GetCode() != 0:
		return nil, status.Error(codes.Code(want.GetCode()), want.GetMessage())
	}
	grpc.SetHeader(ctx, metadata.Pairs("x-initial", "first", "x-bytes-bin", "\x00\xff"))
	grpc.SetTrailer(ctx, metadata.Pairs("x-trailing", "last"))
	return &testpb.SimpleResponse{Payload: in.GetPayload()}, nil
}

func (s *grpcService) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	for _, p := range in.GetResponseParameters() {
		if err := out.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *grpcService) StreamingInputCall(in grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	size := 0
	for {
		m, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)})
		}
		if err != nil {
			return err
		}
		size += len(m.GetPayload().GetBody())
	}
}

func (s *grpcService) FullDuplexCall(both grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	if _, ok := both.Context().Deadline(); !ok {
		return status.Error(codes.InvalidArgument, "the client's deadline has not come")
	}
	for n := 0; ; n++ {
		m, err := both.Recv()
		if err == io.EOF {
			both.SetTrailer(metadata.Pairs("x-count", strconv.Itoa(n)))
			return nil
		}
		if err != nil {
			s.gone <- err
			return err
		}
		if err := both.Send(&testpb.StreamingOutputCallResponse{Payload: m.GetPayload()}); err != nil {
			s.gone <- err
			return err
		}
	}
}

// startGRPC starts the service, over TLS with a certificate of the rig's if secure,
// and returns its URL.
func (r *rig) startGRPC(secure bool) (*grpcService, string) {
	r.t.Helper()
	s := &grpcService{asked: make(chan metadata.MD, 64), gone: make(chan error, 64)}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(64 << 20)}
	scheme := "http://"
	if secure {
		pair, err := tls.LoadX509KeyPair(filepath.Join(r.dir, "server.crt"), filepath.Join(r.dir, "server.key"))
		if err != nil {
			r.t.Fatal(err)
		}
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
		scheme = "https://"
	}
	server := grpc.NewServer(options...)
	testpb.RegisterTestServiceServer(server, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	r.t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			r.t.Errorf("gRPC server: %v", err)
		}
	})
	return s, scheme + l.Addr().String()
}

// grpcRig is an edge that lets gRPC through to a service, and a client of it.
func grpcRig(t *testing.T, secure bool) (*rig, *grpcService, testpb.TestServiceClient) {
	t.Helper()
	r := newRig(t)
	r.write("server-ca.pem", r.serverCA.CertPEM())
	service, url := r.startGRPC(secure)
	https := ""
	if secure {
		https = ", https: {ca: server-ca.pem, server_name: localhost}"
	}
	r.write("sallyport.yaml", []byte(`
state_dir: state
admin: {socket: run/admin.sock}
logs: {access: {file: access.log}, connection: {file: connection.log, format: json}}
certificates: [{name: localhost, file: {cert: server.crt, key: server.key}}]
target_groups: {app: {targets: ["`+url+`"], protocol_version: grpc`+https+`}}
`+verifying()))
	r.run()
	pair := pki.Must(r.ca.Issue(pki.CommonName("alice"))).TLSCertificate()
	conn, err := grpc.NewClient(r.address("verify"), grpc.WithTransportCredentials(credentials.NewTLS(r.client(&pair))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return r, service, testpb.NewTestServiceClient(conn)
}

// Each kind of call, through mutual TLS, to a real server of gRPC.
func TestGRPC(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "h2c", true: "TLS"}[secure]
		t.Run(name, func(t *testing.T) {
			r, service, client := grpcRig(t, secure)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			t.Run("unary", func(t *testing.T) { grpcUnary(ctx, t, service, client) })
			t.Run("errors", func(t *testing.T) { grpcErrors(ctx, t, service, client) })
			t.Run("streams", func(t *testing.T) { grpcStreams(ctx, t, client) })
			t.Run("ends", func(t *testing.T) { grpcEnds(ctx, t, service, client) })
			t.Run("many", func(t *testing.T) { grpcMany(ctx, t, client) })
			t.Run("messages", func(t *testing.T) { grpcMessages(ctx, t, service, client) })
			r.await("in the access log", func() bool {
				log, _ := os.ReadFile(filepath.Join(r.dir, "access.log"))
				return bytes.Contains(log, []byte(`"type":"grpcs"`)) && bytes.Contains(log, []byte("/grpc.testing.TestService/UnaryCall"))
			})
			if resp, err := r.request2("localhost", "localhost", nil); err == nil && resp.StatusCode < 400 {
				t.Errorf("without a certificate: %v", resp.Status)
			}
		})
	}
}

// grpcUnary is about calls with one message each way, and what comes with them.
func grpcUnary(ctx context.Context, t *testing.T, service *grpcService, client testpb.TestServiceClient) {
	var header, trailer metadata.MD
	asked := metadata.AppendToOutgoingContext(ctx, "x-custom", "kept", "x-custom", "twice", "x-data-bin", "\x01\xfe",
		"x-amzn-mtls-clientcert-subject", "CN=forged", "x-amzn-mtls-clientcert", "forged")
	out, err := client.UnaryCall(asked, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("hello")}}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil || string(out.GetPayload().GetBody()) != "hello" {
		t.Fatalf("got %v, %v", out, err)
	}
	if header.Get("x-initial")[0] != "first" || header.Get("x-bytes-bin")[0] != "\x00\xff" || len(trailer.Get("x-trailing")) != 1 || trailer.Get("x-trailing")[0] != "last" {
		t.Errorf("header %v, trailer %v", header, trailer)
	}
	got := <-service.asked
	for name, want := range map[string]string{
		"x-custom": "kept twice", "x-data-bin": "\x01\xfe", "x-amzn-mtls-clientcert-subject": "CN=alice",
		"x-amzn-mtls-clientcert": "", "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https", "content-type": "application/grpc",
	} {
		if strings.Join(got.Get(name), " ") != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	if len(got.Get("x-amzn-mtls-clientcert-serial-number")) != 1 || len(got.Get("x-amzn-mtls-clientcert-leaf")) != 1 {
		t.Errorf("the service is not told who asks: %v", got)
	}

	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	out, err = client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: large}})
	if err != nil || !bytes.Equal(out.GetPayload().GetBody(), large) {
		t.Errorf("a message of %d bytes: %d came back, %v", len(large), len(out.GetPayload().GetBody()), err)
	}
	<-service.asked
}

// grpcErrors is about answers that are all trailers.
func grpcErrors(ctx context.Context, t *testing.T, service *grpcService, client testpb.TestServiceClient) {
	_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: int32(codes.FailedPrecondition), Message: "not so: 50% \u00fc"}})
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "not so: 50% \u00fc" {
		t.Errorf("got %v", err)
	}
	<-service.asked
	if _, err = client.UnimplementedCall(ctx, &testpb.Empty{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, want unimplemented", err)
	}
}

// grpcStreams is about calls with many messages, one way or both.
func grpcStreams(ctx context.Context, t *testing.T, client testpb.TestServiceClient) {
	sizes := []int32{31415, 0, 1, 1 << 20, 2653}
	want := &testpb.StreamingOutputCallRequest{}
	for _, size := range sizes {
		want.ResponseParameters = append(want.ResponseParameters, &testpb.ResponseParameters{Size: size})
	}
	out, err := client.StreamingOutputCall(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		if m, err := out.Recv(); err != nil || len(m.GetPayload().GetBody()) != int(size) {
			t.Fatalf("from the server: %d bytes, want %d, %v", len(m.GetPayload().GetBody()), size, err)
		}
	}
	if _, err := out.Recv(); err != io.EOF {
		t.Errorf("from the server: %v, want the end", err)
	}

	in, err := client.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, size := range sizes {
		sum += int(size)
		if err := in.Send(&testpb.StreamingInputCallRequest{Payload: &testpb.Payload{Body: make([]byte, size)}}); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := in.CloseAndRecv(); err != nil || m.GetAggregatedPayloadSize() != int32(sum) {
		t.Errorf("to the server: %v, %v, want %d", m, err, sum)
	}

	both, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		ping := []byte{byte(i)}
		if err := both.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: ping}}); err != nil {
			t.Fatal(err)
		}
		if m, err := both.Recv(); err != nil || !bytes.Equal(m.GetPayload().GetBody(), ping) {
			t.Fatalf("message %d: %v, %v", i, m, err)
		}
	}
	both.CloseSend()
	if _, err := both.Recv(); err != io.EOF {
		t.Errorf("both ways: %v, want the end", err)
	}
}

// grpcEnds is about calls that their client ends.
func grpcEnds(ctx context.Context, t *testing.T, service *grpcService, client testpb.TestServiceClient) {
	wait := &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: int32(codes.Unknown)}}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := client.UnaryCall(short, wait); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("deadline: %v", err)
	}
	<-service.asked
	// Of the deadline the service knows by grpc-timeout, of its client's end by the
	// stream's.
	if err := <-service.gone; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("the service ended with %v", err)
	}

	cancelled, cancel := context.WithCancel(ctx)
	go func() { <-service.asked; cancel() }()
	if _, err := client.UnaryCall(cancelled, wait); status.Code(err) != codes.Canceled {
		t.Errorf("cancel: %v", err)
	}
	if err := <-service.gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the service ended with %v", err)
	}

	streaming, cancel := context.WithCancel(ctx)
	both, err := client.FullDuplexCall(streaming)
	if err != nil {
		t.Fatal(err)
	}
	both.Send(&testpb.StreamingOutputCallRequest{})
	if _, err := both.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-service.gone; status.Code(err) != codes.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
}

// grpcMany has many calls at once on one connection each side.
func grpcMany(ctx context.Context, t *testing.T, client testpb.TestServiceClient) {
	errs := make(chan error)
	const calls = 50
	for range calls {
		go func() {
			out, err := client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 300 << 10}, {Size: 5}}})
			for n := 0; err == nil; n++ {
				if _, err = out.Recv(); err == io.EOF && n == 2 {
					err = nil
					break
				}
			}
			errs <- err
		}()
	}
	for range calls {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A stream outlives a reload that takes its target group away, and a drain.
func TestGRPCStreamsAtReloadAndDrain(t *testing.T) {
	r, _, client := grpcRig(t, false)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	both, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ping := func() {
		t.Helper()
		if err := both.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte("ping")}}); err != nil {
			t.Fatal(err)
		}
		if m, err := both.Recv(); err != nil || string(m.GetPayload().GetBody()) != "ping" {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	ping()
	r.configure(verifying())
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	ping()
	go r.server.Drain()
	ping()
	ping()
	both.CloseSend()
	if _, err := both.Recv(); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
}

// What is no gRPC is told so, in HTTP.
func TestGRPCOnly(t *testing.T) {
	r, _, _ := grpcRig(t, false)
	pair := pki.Must(r.ca.Issue(pki.CommonName("alice"))).TLSCertificate()
	transport := &http.Transport{TLSClientConfig: r.client(&pair)}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + r.address("verify") + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 464 {
		t.Errorf("got %s, want 464", resp.Status)
	}
}

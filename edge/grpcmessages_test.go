package edge

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// grpcMessages has small messages on several streams at once, both ways and no faster
// than windows and PINGs let them: each comes back, in order, and then the trailers.
func grpcMessages(ctx context.Context, t *testing.T, service *grpcService, client testpb.TestServiceClient) {
	const streams, messages = 8, 500
	errs := make(chan error)
	for range streams {
		go func() { errs <- grpcConversation(ctx, client, messages) }()
	}
	for range streams {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}

	// A deadline in the middle of it ends the stream for both.
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := grpcConversation(short, client, 1<<30); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("deadline: %v", err)
	}
	if err := <-service.gone; status.Code(err) != codes.DeadlineExceeded && status.Code(err) != codes.Canceled {
		t.Errorf("the service ended with %v", err)
	}
}

// grpcConversation sends numbers on a stream, wants them back, and the count of them
// in a trailer.
func grpcConversation(ctx context.Context, client testpb.TestServiceClient, messages int) error {
	both, err := client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	go func() {
		for i := range messages {
			number := binary.BigEndian.AppendUint32(nil, uint32(i))
			if both.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: number}}) != nil {
				return // Recv says why
			}
		}
		both.CloseSend()
	}()
	for i := range messages {
		m, err := both.Recv()
		if err != nil {
			return err
		}
		if body := m.GetPayload().GetBody(); len(body) != 4 || binary.BigEndian.Uint32(body) != uint32(i) {
			return fmt.Errorf("message %d came back as %x", i, body)
		}
	}
	if _, err := both.Recv(); err != io.EOF {
		return fmt.Errorf("after the last message: %v, want the end", err)
	}
	if got := both.Trailer().Get("x-count"); len(got) != 1 || got[0] != strconv.Itoa(messages) {
		return fmt.Errorf("trailer %q, want %d messages", got, messages)
	}
	return nil
}

package servercert

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
)

// dnsTime bounds one run of the command.
const dnsTime = time.Minute

// dnsCommand makes DNS records by a program of the operator's own.
type dnsCommand struct{ command []string }

var _ certmagic.DNSProvider = dnsCommand{}

// AppendRecords implements libdns.RecordAppender.
func (d dnsCommand) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return d.each(ctx, "present", zone, records)
}

// DeleteRecords implements libdns.RecordDeleter.
func (d dnsCommand) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return d.each(ctx, "cleanup", zone, records)
}

func (d dnsCommand) each(ctx context.Context, verb, zone string, records []libdns.Record) ([]libdns.Record, error) {
	for i, record := range records {
		rr := record.RR()
		if err := d.run(ctx, verb, libdns.AbsoluteName(rr.Name, zone), rr.Data); err != nil {
			return records[:i], err
		}
	}
	return records, nil
}

// maxSaid bounds what is kept of what the command says, in bytes.
const maxSaid = 64 << 10

// bounded keeps the beginning of what is written to it.
type bounded []byte

func (b *bounded) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxSaid-len(*b))]...)
	return len(p), nil
}

// run runs the command without a shell, in a group of processes of its own, which
// is killed when its time is over.
func (d dnsCommand) run(ctx context.Context, verb, name, value string) error {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.command[0], append(append([]string{}, d.command[1:]...), verb, name, value)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var said bounded
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(string(said))
		return fmt.Errorf("%s DNS record %s by %s: %w: %s", verb, name, d.command[0], err, text[:min(len(text), 500)])
	}
	return nil
}

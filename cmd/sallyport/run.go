package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
)

// defaultConfig is where a package would put it.
const defaultConfig = "/etc/sallyport/sallyport.yaml"

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", defaultConfig, "configuration `file`")
}

func runCommand() *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:   "run -c sallyport.yaml",
		Short: "Run the edge in the foreground",
		Long: "Run the edge in the foreground. SIGHUP reads the configuration again and opens the log files anew;\n" +
			"SIGUSR2 hands over to a new process, as \"sallyport upgrade\" does; SIGTERM and SIGINT let connections\n" +
			"finish and end it, a second one ends it at once.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLogger(cmd.ErrOrStderr(), format)
			if err != nil {
				return err
			}
			return runEdge(cmd.Context(), file, log, cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&format, "log-format", "text", "form of the log on standard error: text or json")
	return cmd
}

func newLogger(w io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format %q: want text or json", format)}
}

// runEdge runs the edge under file's configuration until a signal ends it.
func runEdge(ctx context.Context, file string, log *slog.Logger, stderr io.Writer) error {
	if ctx == nil {
		ctx = context.Background()
	}
	load := func() (*config.Config, config.Problems) { return config.Load(file) }
	cfg, problems := load()
	if problems.Err() == nil {
		if err := dropRights(cfg, log); err != nil {
			return err
		}
	}
	manager := &systemd{log: log}
	sockets := activation.Files(true)
	predecessor, err := edge.TakeOver(ctx, version(), manager)
	if err != nil {
		return err
	}
	refuse := func(problems config.Problems) error {
		printProblems(stderr, problems)
		predecessor.Refuse(problems.Err())
		return errRefused
	}
	if problems.Err() != nil {
		if cfg != nil { // all at once, those of the files that it names too
			problems = problems.With(edge.Check(cfg))
		}
		return refuse(problems)
	}
	limit, err := limitMemory()
	switch {
	case err != nil:
		log.Warn("no memory limit", "cause", err)
	case limit.Bytes > 0:
		log.Info("memory limit", "bytes", limit.Bytes, "source", limit.Source)
	}
	again, err := successor()
	if err != nil {
		log.Warn("no upgrades", "cause", err)
	}
	server, found := edge.New(cfg, edge.Options{
		Log: log, Load: load, Version: version(), MemoryLimit: limit,
		Successor: again, Predecessor: predecessor, Sockets: sockets, Manager: manager,
	})
	if found.Err() != nil {
		return refuse(append(problems, found...))
	}
	printProblems(stderr, append(problems, found...))
	watched, stop := context.WithCancel(ctx)
	defer stop()
	go manager.watchdog(watched, server.Alive)
	return serve(ctx, server, log)
}

// serve runs server and passes signals on to it.
func serve(ctx context.Context, server *edge.Server, log *slog.Logger) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	draining := false
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP:
				go server.Reload() // says itself what came of it
			case sig == syscall.SIGUSR2:
				go server.Upgrade(ctx, admin.UpgradeRequest{}) // as well
			case draining:
				log.Warn("ended by a second signal; connections are cut", "signal", sig.String())
				return errRefused
			default:
				draining = true
				server.Drain()
			}
		}
	}
}

func printProblems(w io.Writer, problems config.Problems) {
	problems.Sort()
	for _, p := range problems {
		fmt.Fprintln(w, p)
	}
}

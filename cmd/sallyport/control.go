package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/admin"
)

func reloadCommand() *cobra.Command {
	var edge remote
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the edge read its configuration again",
		Long:  "Make the edge read its configuration again and open its log files anew. A configuration with an\nerror is refused, and the old one stays.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			if err := client.Post(ctx, "/reload"); errors.Is(err, admin.ErrUnreachable) {
				return err
			} else if err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "reload refused; the old configuration stays:\n%s\n", strings.TrimSpace(err.Error()))
				return errRefused
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	edge.flags(cmd)
	return cmd
}

func drainCommand() *cobra.Command {
	var edge remote
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Make the edge finish its connections and end",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := client.Post(ctx, "/drain"); err != nil {
				return err
			}
			if wait == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "draining")
				return nil
			}
			return awaitGone(client, wait)
		},
	}
	edge.flags(cmd)
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for the edge to have ended")
	return cmd
}

// awaitGone waits until nobody answers on the admin socket any more.
func awaitGone(client *admin.Client, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		var status admin.Status
		if err := client.Get(ctx, "/status", &status); errors.Is(err, admin.ErrUnreachable) && ctx.Err() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the edge has not ended within %s", wait)
		case <-again.C:
		}
	}
}

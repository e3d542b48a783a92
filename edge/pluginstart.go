package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/pluginhost/launch"
)

// newPlugins returns the host of plugins, which starts none yet.
func (s *Server) newPlugins(cfg *config.Config) *pluginhost.Host {
	options := launch.Options{RunDir: runDir(cfg), Log: s.log}
	return pluginhost.New(pluginhost.Options{Log: s.log, Start: PluginStarter(options), Prepare: PluginPreparer(options)})
}

// runPlugins keeps the plugins running, and clears up before and after.
func (s *Server) runPlugins(ctx context.Context, cfg *config.Config) {
	s.removeRunDirs(staleRunDirs())
	s.plugins.Run(ctx)
	s.removeRunDirs([]string{runDir(cfg)})
}

// PluginStarter starts plugins' processes in their sandboxes, as the edge does and
// as who tries one out wants it too.
func PluginStarter(options launch.Options) pluginhost.Starter {
	return func(ctx context.Context, spec pluginhost.Spec) (pluginhost.Process, error) {
		p, err := launch.Start(ctx, launchSpec(&spec), options)
		if err != nil {
			return nil, causeOf(err)
		}
		return launched{p}, nil
	}
}

// PluginPreparer prepares what PluginStarter starts.
func PluginPreparer(options launch.Options) pluginhost.Preparer {
	return func(spec pluginhost.Spec) (pluginhost.Prepared, error) {
		p, err := launch.Prepare(launchSpec(&spec), options)
		if err != nil {
			return nil, causeOf(err)
		}
		return prepared{p}, nil
	}
}

// prepared is the start of a plugin's process as its host sees it.
type prepared struct{ *launch.Prepared }

func (p prepared) Start(ctx context.Context) (pluginhost.Process, error) {
	process, err := p.Prepared.Start(ctx)
	if err != nil {
		return nil, causeOf(err)
	}
	return launched{process}, nil
}

// causeOf leaves out which plugin it is: the host says that itself.
func causeOf(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}

func launchSpec(spec *pluginhost.Spec) launch.Spec {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		env = append(env, name+"="+spec.Env[name])
	}
	return launch.Spec{
		Name:         spec.Name,
		Command:      spec.Command,
		Dir:          spec.Dir,
		SHA256:       spec.SHA256,
		Pinned:       spec.Pinned,
		Env:          env,
		Sandbox:      sandboxOf(spec),
		StartTimeout: spec.StartTimeout,
	}
}

func sandboxOf(spec *pluginhost.Spec) launch.Sandbox {
	s := launch.Sandbox{
		Read: spec.Files, Write: spec.Write, Network: spec.Network, User: spec.User,
		Memory: spec.Memory, CPU: spec.CPU, Tasks: spec.Tasks,
	}
	if s.Tasks == 0 {
		s.Tasks = -1 // no bound
	}
	if !spec.Require {
		return s
	}
	// What is promised: by the kernel's part in it, always; and by what was asked for.
	s.Require = []string{launch.MeasureCapabilities, launch.MeasureNoNewPrivs, launch.MeasureLimits, launch.MeasureLandlock, launch.MeasureSeccomp}
	if !s.Network {
		s.Require = append(s.Require, launch.MeasureNetwork)
	}
	if s.User != "" {
		s.Require = append(s.Require, launch.MeasureUser)
	}
	if s.Memory > 0 || s.CPU > 0 {
		s.Require = append(s.Require, launch.MeasureCgroup)
	}
	return s
}

// launched is a plugin's process as its host sees it.
type launched struct{ *launch.Process }

func (l launched) Report() []pluginhost.Protection {
	var list []pluginhost.Protection
	for _, m := range l.Process.Report() {
		list = append(list, pluginhost.Protection(m))
	}
	return list
}

// Plugins describes the plugins in force.
func (v adminView) Plugins() []json.RawMessage {
	list := []json.RawMessage{}
	for _, status := range v.s.plugins.Status() {
		if text, err := json.Marshal(status); err == nil {
			list = append(list, text)
		}
	}
	return list
}

// pluginsToLookAt lists what an operator should know of them.
func (s *Server) pluginsToLookAt() []string {
	var list []string
	for _, p := range s.plugins.Status() {
		if p.State != pluginhost.Serving {
			list = append(list, fmt.Sprintf("plugin %s: %s: %s", p.Name, p.State, p.Trouble))
		}
		for _, hook := range slices.Sorted(maps.Keys(p.Stats)) {
			if n := p.Stats[hook].AllowedOnError; n > 0 {
				list = append(list, fmt.Sprintf("plugin %s: let in without a verdict, as on_error is allow: %d at hook %s", p.Name, n, hook))
			}
		}
	}
	return list
}

var (
	pluginCalls   = describe("sallyport_plugin_call_duration_seconds", "Calls that a plugin has answered, by hook.", "plugin", "hook")
	pluginCached  = describe("sallyport_plugin_cached_verdicts_total", "Questions that a kept verdict has answered, by hook.", "plugin", "hook")
	pluginDenied  = describe("sallyport_plugin_denials_total", "Denials, by hook.", "plugin", "hook")
	pluginFailed  = describe("sallyport_plugin_failures_total", "Questions without a verdict, by hook and failure.", "plugin", "hook", "failure")
	pluginOpen    = describe("sallyport_plugin_failed_open_total", "What was let in without a verdict because the configuration says allow, by hook.", "plugin", "hook")
	pluginRestart = describe("sallyport_plugin_restarts_total", "Times that a plugin's process had to be started again.", "plugin")
	pluginUp      = describe("sallyport_plugin_up", "Whether the plugin is asked: 1, or 0 while it is not there or its breaker is open.", "plugin")
	pluginFlight  = describe("sallyport_plugin_calls_in_flight", "Calls that wait for an answer.", "plugin")
	pluginUnseen  = describe("sallyport_plugin_observations_dropped_total", "Observations that a plugin was not told of, as it did not keep up.", "plugin")
)

// collectPlugins reads the counters for a scrape.
func (s *Server) collectPlugins(ch chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, float64(n), labels...)
	}
	for _, p := range s.plugins.Status() {
		up := uint64(0)
		if p.State == pluginhost.Serving {
			up = 1
		}
		send(pluginUp, prometheus.GaugeValue, up, p.Name)
		send(pluginRestart, prometheus.CounterValue, p.Restarts, p.Name)
		send(pluginFlight, prometheus.GaugeValue, uint64(p.InFlight), p.Name)
		send(pluginUnseen, prometheus.CounterValue, p.NotObserved, p.Name)
		for hook, h := range p.Stats {
			send(pluginCached, prometheus.CounterValue, h.Cached, p.Name, hook)
			send(pluginDenied, prometheus.CounterValue, h.Denied, p.Name, hook)
			send(pluginOpen, prometheus.CounterValue, h.AllowedOnError, p.Name, hook)
			for _, f := range pluginhost.Failures() {
				send(pluginFailed, prometheus.CounterValue, h.Failed[f.String()], p.Name, hook, f.String())
			}
			buckets, sum := map[float64]uint64{}, uint64(0)
			for i, bound := range pluginhost.Buckets {
				sum += h.Histogram[i]
				buckets[bound] = sum
			}
			ch <- prometheus.MustNewConstHistogram(pluginCalls, h.Calls, h.Sum.Seconds(), buckets, p.Name, hook)
		}
	}
}

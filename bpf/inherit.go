package bpf

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// inherit copies what maps of other layouts hold into ours, where it is not
// there yet. It changes nothing in the old ones, which stay in force until the
// program is replaced.
func (f *Filter) inherit() error {
	others, err := f.pins.otherLayouts()
	if err != nil {
		return err
	}
	for _, dir := range others {
		if err := f.inheritFrom(dir); err != nil {
			return fmt.Errorf("take over %s: %w", dir, err)
		}
	}
	return nil
}

func (f *Filter) inheritFrom(dir string) error {
	l, err := parseLayout(filepath.Base(dir))
	if err != nil {
		return fmt.Errorf("read its name: %w", err)
	}
	if l.version != layoutVersion {
		return fmt.Errorf("it is of layout %d, want %d: close the filter with the version that made it, or remove the directory", l.version, layoutVersion)
	}
	old := &Filter{hosts: hosts(l.ipv6Prefix)}
	defer old.maps.Close()
	for name, m := range map[string]**ebpf.Map{
		xdpMapHosts:    &old.maps.Hosts,
		xdpMapNetworks: &old.maps.Networks,
		xdpMapExempt:   &old.maps.Exempt,
		xdpMapScope:    &old.maps.Scope,
		xdpMapSettings: &old.maps.Settings,
		xdpMapCounts:   &old.maps.Counts,
	} {
		if *m, err = ebpf.LoadPinnedMap(filepath.Join(dir, name), nil); err != nil {
			if os.IsNotExist(err) { // whoever made it did not come far enough to use it
				return nil
			}
			return err
		}
	}
	if err := f.copyBans(old); err != nil {
		return err
	}
	if err := copyKeys[xdpNetwork](f.maps.Exempt, old.maps.Exempt); err != nil {
		return fmt.Errorf("copy exemptions: %w", err)
	}
	if err := copyKeys[xdpEndpoint](f.maps.Scope, old.maps.Scope); err != nil {
		return fmt.Errorf("copy scope: %w", err)
	}
	if !f.pins.created {
		return nil // ours have been in force, and have their own
	}
	if err := copyValue[xdpSetting](f.maps.Settings, old.maps.Settings, 0); err != nil {
		return fmt.Errorf("copy mode: %w", err)
	}
	for v := range Verdicts() {
		if err := copyValue[[]xdpCount](f.maps.Counts, old.maps.Counts, uint32(v)); err != nil {
			return fmt.Errorf("copy counters: %w", err)
		}
	}
	return nil
}

func (f *Filter) copyBans(old *Filter) error {
	entries := make([]entry, 0, batch)
	put := func() error {
		defer func() { entries = entries[:0] }()
		if !f.pins.created {
			return f.putMissing(entries)
		}
		_, err := f.put(entries)
		return err
	}
	for e, err := range old.entries() {
		if err != nil {
			return fmt.Errorf("copy bans: %w", err)
		}
		e.value.Bits = 0 // of the key it had; put knows the one that it will have
		if entries = append(entries, e); len(entries) == batch {
			if err := put(); err != nil {
				return fmt.Errorf("copy bans: %w", err)
			}
		}
	}
	if err := put(); err != nil {
		return fmt.Errorf("copy bans: %w", err)
	}
	return nil
}

func copyKeys[K comparable](to, from *ebpf.Map) error {
	keys, err := keysOf[K](from)
	if err != nil {
		return err
	}
	for k := range keys {
		if err := to.Put(k, uint32(1)); err != nil {
			return full(err)
		}
	}
	return nil
}

func copyValue[V any](to, from *ebpf.Map, key uint32) error {
	var v V
	if err := from.Lookup(key, &v); err != nil {
		return err
	}
	return to.Put(key, v)
}

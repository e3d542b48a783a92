package plugintest

import "context"

// Description is what a plugin says of itself.
type Description struct {
	Name        string   `json:"name"`
	Version     string   `json:"version,omitempty"`
	Protocols   []uint32 `json:"protocols"`
	Hooks       []string `json:"hooks"`
	Needs       []string `json:"needs"` // at most: a configuration may make them fewer
	Owns        []string `json:"owns"`
	Concurrency int      `json:"concurrency"`
	MaxFrame    int      `json:"max_frame"`
}

// Describe starts the plugin, without a configuration, and reads its HELLO.
func (p *Program) Describe(ctx context.Context) (*Description, error) {
	w, err := p.open(ctx, &File{})
	if err != nil {
		return nil, err
	}
	defer w.close()
	h := w.hello
	return &Description{
		Name: h.Name, Version: h.Version, Protocols: h.Protocols, Hooks: h.Hooks.Names(),
		Needs: append([]string{}, h.Needs...), Owns: append([]string{}, h.Owns...),
		Concurrency: h.Concurrency, MaxFrame: h.MaxFrame,
	}, nil
}

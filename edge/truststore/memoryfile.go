package truststore

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport/sallyport/revocation"
)

func parseNameKey(text string) (key revocation.NameKey, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(key) {
		return key, fmt.Errorf("key %q: want %d hex digits", text, 2*len(key))
	}
	copy(key[:], raw)
	return key, nil
}

func writeMemory(path string, sources map[string]issuers) error {
	content := memoryJSON{Version: 1, Sources: make(map[string][]issuerJSON, len(sources))}
	for source, set := range sources {
		list := make([]issuerJSON, 0, len(set))
		for key, name := range set {
			list = append(list, issuerJSON{Key: key.String(), Name: name})
		}
		slices.SortFunc(list, func(a, b issuerJSON) int { return cmp.Compare(a.Key, b.Key) })
		content.Sources[source] = list
	}
	data, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		return err
	}
	return replaceFile(path, append(data, '\n'))
}

// replaceFile puts a whole new file of mode 0600 in path's place, so that after
// a crash at any moment there is the old one or the new one.
func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

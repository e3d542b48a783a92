package http1

// Edit is one change of a header.
type Edit struct {
	Op    EditOp
	Name  string
	Value string
}

// EditOp is what an Edit does. The zero EditOp does nothing.
type EditOp uint8

const (
	SetField    EditOp = iota + 1 // one line in the place of all of that name
	AddField                      // one line more
	RemoveField                   // no line of that name
)

// Edits are lists of changes, done one after the other. Names are the same where
// a target could take them for the same: ASCII letters in any case, and any byte
// that is neither letter nor digit for a hyphen.
type Edits [][]Edit

// Drops says whether the lines of that name that a message came with are gone
// after all changes.
func (e Edits) Drops(name string) bool {
	for _, list := range e {
		if drops(list, name) {
			return true
		}
	}
	return false
}

func drops(list []Edit, name string) bool {
	for i := range list {
		if list[i].Op != AddField && SameName(list[i].Name, name) {
			return true
		}
	}
	return false
}

// Lines calls visit for each line that the changes make and that none of them
// takes back, in order, until it says no.
func (e Edits) Lines(visit func(name, value string) bool) {
	for i, list := range e {
		for j := range list {
			edit := &list[j]
			if edit.Op == RemoveField || edit.Op == 0 || drops(list[j+1:], edit.Name) || e[i+1:].Drops(edit.Name) {
				continue
			}
			if !visit(edit.Name, edit.Value) {
				return
			}
		}
	}
}

// Apply makes the changes in fields, which it uses again.
func (e Edits) Apply(fields []Field) []Field {
	if len(e) == 0 {
		return fields
	}
	kept := fields[:0]
	for _, f := range fields {
		if !e.Drops(f.Name) {
			kept = append(kept, f)
		}
	}
	e.Lines(func(name, value string) bool {
		kept = append(kept, Field{Name: name, Value: value, Kind: KindOf(name)})
		return true
	})
	return kept
}

// SameName says whether a target could take two names for the same, as CGI-style
// targets do, which know one form of upper and lower case and of all bytes that
// are neither letter nor digit.
func SameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && foldName(a[i]) != foldName(b[i]) {
			return false
		}
	}
	return true
}

func foldName(b byte) byte {
	switch {
	case 'A' <= b && b <= 'Z':
		return b | 0x20
	case 'a' <= b && b <= 'z', '0' <= b && b <= '9':
		return b
	}
	return '-'
}

package connlog

import "unicode/utf8"

// maxText bounds a string in the log, in bytes before escaping. A client that
// nobody trusts can present a subject as large as the certificate message may
// be, as often as it likes; the disk is not to pay for that.
const maxText = 4096

// cut returns what is printed of value, and a mark if that is not all of it. It
// does not cut through a character.
func cut(value string) (kept, mark string) {
	if len(value) <= maxText {
		return value, ""
	}
	const dots = "..."
	end := maxText - len(dots) // so that cutting again changes nothing
	for back := 1; back < utf8.UTFMax && !utf8.RuneStart(value[end]); back++ {
		end--
	}
	return value[:end], dots
}

// short is what is printed of value, as a string.
func short(value string) string {
	kept, mark := cut(value)
	if mark == "" {
		return value
	}
	return kept + mark
}

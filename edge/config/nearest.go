package config

import "strings"

// nearest returns the key that was most likely meant by one that is not known,
// or "" if none is near: two edits in all, and one for short keys.
func nearest(key string, fields []field) string {
	folded := fold(key)
	best, least := "", 3
	if len(folded) < 5 {
		least = 2
	}
	if len(folded) > 64 {
		return ""
	}
	for _, f := range fields {
		if n := edits(folded, fold(f.key)); n < least {
			best, least = f.key, n
		}
	}
	return best
}

// fold makes cipherSuites, cipher-suites and Cipher_Suites the same.
func fold(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(key))
}

// edits is the number of bytes to insert, delete, replace or swap with the next
// one that lead from a to b.
func edits(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

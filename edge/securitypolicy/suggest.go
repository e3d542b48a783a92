package securitypolicy

import (
	"cmp"
	"slices"
	"strings"
)

// suggest returns the three of ALB's policies whose names are nearest to name,
// the nearest first, of those that Lookup returns.
func suggest(name string) []string {
	wanted := strings.ToLower(name)
	// The prefix alone must not decide, when it is forgotten or misspelt.
	short := strings.TrimPrefix(wanted, strings.ToLower(Prefix))
	type candidate struct {
		name     string
		distance int
	}
	var candidates []candidate
	for _, row := range albPolicies {
		if row.nearest != "" {
			continue
		}
		full := strings.ToLower(Prefix + row.name)
		candidates = append(candidates, candidate{
			name:     Prefix + row.name,
			distance: min(editDistance(wanted, full), editDistance(short, strings.ToLower(row.name))),
		})
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	names := make([]string, 3)
	for i := range names {
		names[i] = candidates[i].name
	}
	return names
}

// editDistance is Levenshtein's, in bytes. Of a longer a, which is no name at
// all, it compares the beginning.
func editDistance(a, b string) int {
	a = a[:min(len(a), 100)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

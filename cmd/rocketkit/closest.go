package main

import (
	"cmp"
	"slices"
	"strings"
)

// didYouMean names those of the names that are closest to one that isn't among them, for the end of an error; all of them
// where none is close. what is what they are the names of.
func didYouMean(what, name string, names []string) string {
	const most = 10
	near := closest(name, names)
	switch {
	case len(near) > 0:
		return "did you mean " + strings.Join(near, " or ") + "?"
	case len(names) == 0:
		return "there are no " + what + "s"
	case len(names) > most:
		return "known " + what + "s: " + strings.Join(names[:most], ", ") + " and others"
	}
	return "known " + what + "s: " + strings.Join(names, ", ")
}

// closest gives up to three names that differ from name in few letters, the closest first.
func closest(name string, names []string) []string {
	const most = 3
	type candidate struct {
		name string
		far  int
	}
	var near []candidate
	for _, other := range names {
		far := distance(strings.ToLower(name), strings.ToLower(other))
		if far <= max(2, len(name)/3) {
			near = append(near, candidate{other, far})
		}
	}
	slices.SortFunc(near, func(x, y candidate) int { return cmp.Or(cmp.Compare(x.far, y.far), cmp.Compare(x.name, y.name)) })
	var found []string
	for _, c := range near[:min(len(near), most)] {
		found = append(found, c.name)
	}
	return found
}

// distance is how many letters must be added, taken away, replaced or swapped with the next to make one word of the other.
func distance(a, b string) int {
	beforeLast, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], beforeLast[j-1]+1)
			}
		}
		beforeLast, last = last, row
	}
	return last[len(b)]
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// shares measures where the time of one issue goes within the plugin, with the Go benchmark that
// looks at it from inside.
func shares(ctx context.Context) (Share, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$",
		"-bench", "^BenchmarkShareOfAnIssue$", "-benchtime", "3s", "./stories").Output()
	if err != nil {
		return Share{}, fmt.Errorf("the benchmark of an issue's shares: %w: %.300s", err, out)
	}
	return readShares(string(out))
}

// readShares reads the benchmark's line.
func readShares(out string) (Share, error) {
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "BenchmarkShareOfAnIssue") {
			continue
		}
		var s Share
		fields := strings.Fields(line)
		for unit, into := range map[string]*float64{
			"ns/op": &s.Wall, "ca-ns/op": &s.CA, "storage-ns/op": &s.Storage,
			"key-ns/op": &s.Key, "own-ns/op": &s.Own,
		} {
			n, err := before(fields, unit)
			if err != nil {
				return s, fmt.Errorf("%s of %q: %w", unit, line, err)
			}
			*into = n
		}
		return s, nil
	}
	return Share{}, fmt.Errorf("no figures in %.300q", out)
}

// before returns the number before a word.
func before(fields []string, word string) (float64, error) {
	for i, f := range fields {
		if f == word && i > 0 {
			return strconv.ParseFloat(fields[i-1], 64)
		}
	}
	return 0, fmt.Errorf("no %s", word)
}

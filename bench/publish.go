// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// The lines of the page between which the figures stand.
const (
	pageBegin = "<!-- measured: written by make bench -->"
	pageEnd   = "<!-- end of what was measured -->"
)

// publish writes the figures into the page, and the chart beside it.
func (r run) publish(ctx context.Context, result *Result) error {
	file := filepath.Join(r.out, "performance.md")
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	figures := fmt.Sprintf("%s\n\n%s", r.setting(ctx, result),
		tables(result, targets(result, r.clients, r.latency)))
	written, err := replaced(string(page), figures)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(written), 0o600); err != nil { //nolint:gosec // whoever runs this names the folder
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "performance.svg"), []byte(chart(result)), 0o600)
}

// replaced puts figures where the page has them.
func replaced(page, figures string) (string, error) {
	before, rest, ok := strings.Cut(page, pageBegin)
	_, after, ok2 := strings.Cut(rest, pageEnd)
	if !ok || !ok2 {
		return "", fmt.Errorf("there is no %q or no %q", pageBegin, pageEnd)
	}
	return before + pageBegin + "\n\n" + strings.TrimSpace(figures) + "\n\n" + pageEnd + after, nil
}

// setting says on what, when and of what was measured.
func (r run) setting(ctx context.Context, result *Result) string {
	return fmt.Sprintf("Measured on %s: %d processors (%s), %s, %s, commit %s. %d certificates "+
		"were stored at the end. Each case was measured for %s, in %d turns.",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), processorName(), runtime.Version(),
		said(ctx, r.programs.Vault, "version"), said(ctx, "git", "describe", "--always", "--dirty"),
		result.Stored, phrase.Duration(time.Duration(r.turns)*r.block), r.turns)
}

// said is the first line that a program prints.
func said(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || first == "" {
		return "unknown"
	}
	first, _, _ = strings.Cut(first, ", built") // Vault says when
	return first
}

// processorName is what Linux calls the processor.
func processorName() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

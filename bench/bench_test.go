// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The whole of it, with blocks that are too short for figures: every case is carried out by a real Vault, the page is written, and nothing
// stays behind.
func TestEveryCaseIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a Vault server")
	}
	if runtime.GOOS != "linux" {
		t.Skip("reads what processes spend from /proc, which is Linux's")
	}
	t.Chdir("..")
	dir := t.TempDir()
	said := func(program string, args ...string) string {
		out, err := exec.CommandContext(t.Context(), program, args...).Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	r := run{
		programs: Programs{
			Vault: said("scripts/vault-binary.sh"), Plugin: filepath.Join(dir, pluginName), Sandbox: filepath.Join(dir, "certinext-sandbox"),
		},
		clients: []int{1, 3}, latency: 5 * time.Millisecond, block: 50 * time.Millisecond, turns: 2, fill: 3,
	}
	for _, program := range []string{r.programs.Plugin, r.programs.Sandbox} {
		said("go", "build", "-buildvcs=false", "-o", program, "./cmd/"+filepath.Base(program))
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var told bytes.Buffer
	result, err := r.measure(t.Context(), &told)
	require.NoError(t, err)
	require.Len(t, result.Measures, 3*2*2*3)
	require.Equal(t, len(result.Measures), strings.Count(told.String(), "\n"))
	for _, m := range result.Measures {
		require.NotEmpty(t, m.Took, m.Case.Name())
		require.Greater(t, m.Each(m.Spent.Reads), 0.5, m.Case.Name())
		if m.Case.Engine == PKI {
			require.Less(t, m.Each(m.Spent.CACalls), 0.5, m.Case.Name())
			continue
		}
		require.InDelta(t, 2, m.Each(m.Spent.CACalls), 1, "%s: create and download", m.Case.Name())
		require.Greater(t, m.RSS, int64(1<<20), m.Case.Name())
		require.GreaterOrEqual(t, m.Percentile(1), 2*m.Case.Latency, "%s: the CA was slow", m.Case.Name())
	}
	require.Positive(t, result.Start)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)

	page, err := os.ReadFile("docs/performance.md")
	require.NoError(t, err)
	r.out = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(r.out, "performance.md"), page, 0o600))
	require.NoError(t, r.publish(t.Context(), result))
	written, err := os.ReadFile(filepath.Join(r.out, "performance.md"))
	require.NoError(t, err)
	require.Equal(t, len(result.Measures), strings.Count(string(written), "| certinext |")+strings.Count(string(written), "| pki |"))
	require.FileExists(t, filepath.Join(r.out, "performance.svg"))
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnotherProcessGoesOn: what one process held at its end, the next one holds.
func TestAnotherProcessGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.snapshot")
	first := start(t, "-foreign-orders=3", "-issue-delay=20s", "-snapshot-on-exit", file)
	roots := textOf(t, first.url+"/_sandbox/roots.pem")
	orders := textOf(t, first.url+"/_sandbox/orders")
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, first.cmd.Wait())
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds private keys")

	second := start(t, "-restore", file)
	again := textOf(t, second.url+"/_sandbox/roots.pem")
	require.Equal(t, roots, again)
	again = textOf(t, second.url+"/_sandbox/orders")
	require.Equal(t, orders, again)
	_, knobs := second.call("GET", "/_sandbox/knobs", "", nil)
	require.Equal(t, "20s", knobs["issueDelay"])
}

func textOf(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(text)
}

// TestASnapshotHasSettingsOfItsOwn, which a flag would seem to change.
func TestASnapshotHasSettingsOfItsOwn(t *testing.T) {
	out, err := refused(t, "-restore", "sandbox.snapshot", "-dialect=v1", "-listen=127.0.0.1:0")
	require.Error(t, err)
	require.Contains(t, string(out), "-dialect does not go with -restore")
}

func TestABadSnapshotIsRefusedAtTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.snapshot")
	require.NoError(t, os.WriteFile(file, []byte(`{"version":99}`), 0o600))
	for flag, reason := range map[string]string{file: "has version 99", file + ".gone": "no such file"} {
		out, err := exec.Command(binary, "-restore", flag).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "-restore")
		require.Contains(t, string(out), reason)
	}
}

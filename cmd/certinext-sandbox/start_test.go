// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// refused runs the program, which is not to start, and ends it if it does.
func refused(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, binary, args...).CombinedOutput()
}

// TestWhatKeepsItFromStartingIsAFlag: each error names the flag that it comes from, and what to do.
func TestWhatKeepsItFromStartingIsAFlag(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = busy.Close() })
	taken := busy.Addr().String()
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
	const free = "-listen=127.0.0.1:0"
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a port in use": {
			[]string{"-listen", taken}, []string{"-listen " + taken + ": address already in use", "127.0.0.1:0 for a free port"},
		},
		"a port in use with TLS": {
			[]string{free, "-tls-listen", taken}, []string{"-tls-listen " + taken + ": address already in use", "for a free port"},
		},
		"an address without a port": {
			[]string{"-listen", "127.0.0.1"}, []string{"-listen 127.0.0.1: must be an address with a port, such as 127.0.0.1:8093"},
		},
		"an address that is none": {[]string{free, "-tls-listen", "nowhere"}, []string{"-tls-listen nowhere: must be an address with a port"}},
		"a port that is none":     {[]string{"-listen", "127.0.0.1:99999"}, []string{"-listen 127.0.0.1:99999: must be an address with a port"}},
		"an address of others":    {[]string{"-listen", "192.0.2.1:0"}, []string{"-listen 192.0.2.1:0: cannot assign requested address: this machine"}},
		"an address of everybody": {[]string{"-listen", "0.0.0.0:0"}, []string{"-listen 0.0.0.0:0: ", "is not a loopback address; set -allow-remote"}},
		"TLS for everybody":       {[]string{free, "-tls-listen", "[::]:0"}, []string{"-tls-listen [::]:0: ", "set -allow-remote"}},
		"a root in no folder": {
			[]string{free, "-tls-listen=127.0.0.1:0", "-tls-root-file", folder + "/no/root.pem"},
			[]string{"-tls-root-file " + folder + "/no/root.pem: no such file or directory: name a file in a folder that there is"},
		},
		"a root that is a folder": {
			[]string{free, "-tls-listen=127.0.0.1:0", "-tls-root-file", folder}, []string{"-tls-root-file " + folder + ": is a directory: name a file"},
		},
		"a snapshot in no folder": {
			[]string{free, "-snapshot-on-exit", folder + "/no/x"},
			[]string{"-snapshot-on-exit " + folder + "/no/x: no such file or directory: name a file in a folder that there is"},
		},
		"a snapshot below a file": {[]string{free, "-snapshot-on-exit", file + "/x"}, []string{"-snapshot-on-exit " + file + "/x: not a directory"}},
		"a snapshot that is a folder": {
			[]string{free, "-snapshot-on-exit", folder}, []string{"-snapshot-on-exit " + folder + ": is no file; name one"},
		},
		"a snapshot that is a device": {[]string{free, "-snapshot-on-exit", os.DevNull}, []string{"-snapshot-on-exit /dev/null: is no file"}},
		"a snapshot over the configuration": {
			[]string{free, "-config", file, "-snapshot-on-exit", folder + "/../" + filepath.Base(folder) + "/file"},
			[]string{"is the file of -config; name another"},
		},
		"a snapshot over the root": {
			[]string{free, "-tls-listen=127.0.0.1:0", "-tls-root-file", folder + "/new", "-snapshot-on-exit", folder + "/new"},
			[]string{"-snapshot-on-exit " + folder + "/new: is the file of -tls-root-file; name another"},
		},
		"an empty element": {[]string{free, "-admin-hosts", "a,,b"}, []string{"-admin-hosts a,,b: must have no empty element: leave it out"}},
		"a URL for a host": {[]string{free, "-admin-hosts", "http://a"}, []string{`-admin-hosts http://a: "http://a" must be a name or an address alone`}},
		"a URL for an issuer": {
			[]string{free, "-caa-issuers", "ca.example,https://ca.example"},
			[]string{`-caa-issuers ca.example,https://ca.example: "https://ca.example" must be a domain`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := refused(t, c.args...)
			require.Error(t, err)
			for _, want := range c.want {
				require.Contains(t, string(out), want)
			}
		})
	}
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing is left of a look whether a file can be written")
}

// TestAFolderThatMayNotBeWrittenTo is refused at the start, not when there is something to lose.
func TestAFolderThatMayNotBeWrittenTo(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	folder := t.TempDir()
	require.NoError(t, os.Chmod(folder, 0o500))
	out, err := refused(t, "-listen=127.0.0.1:0", "-snapshot-on-exit", folder+"/x")
	require.Error(t, err)
	require.Contains(t, string(out), "-snapshot-on-exit "+folder+"/x: permission denied: name a file")
}

// TestASignalEndsWhatIsStillStarting: here it waits for a snapshot whose end never comes.
func TestASignalEndsWhatIsStillStarting(t *testing.T) {
	for name, flags := range map[string][]string{
		"the configuration": {"-config"}, "the snapshot": {"-restore"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			pipe, last := filepath.Join(folder, "pipe"), filepath.Join(folder, "last")
			require.NoError(t, syscall.Mkfifo(pipe, 0o600))
			cmd := exec.Command(binary, append(flags, pipe, "-listen=127.0.0.1:0", "-snapshot-on-exit", last)...)
			var output bytes.Buffer
			cmd.Stderr, cmd.Stdout = &output, &output
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the program reads
			require.NoError(t, err)
			t.Cleanup(func() { _ = writer.Close() })
			_, err = writer.WriteString(`{"version":1,`)
			require.NoError(t, err)

			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			select {
			case err := <-done:
				var exit *exec.ExitError
				require.ErrorAs(t, err, &exit)
				require.Equal(t, 1, exit.ExitCode())
			case <-time.After(10 * time.Second):
				t.Fatal("still starting")
			}
			require.Contains(t, output.String(), "ended by a signal before it was ready")
			require.NotContains(t, output.String(), "listening on")
			require.NoFileExists(t, last)
		})
	}
}

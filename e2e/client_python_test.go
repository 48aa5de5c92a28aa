// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// script is the script of docs/guides/python.md, run by a Python that has hvac.
type script struct {
	*stand
	python, path     string
	roleID, secretID string
	file             *pkiCertFile
}

// pythonWithHVAC returns a Python that has hvac: the first one on the PATH, or the system's.
func pythonWithHVAC(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import hvac").Run() == nil {
			return python
		}
	}
	t.Skip("no Python with hvac (Debian: apt-get install python3-hvac)")
	return ""
}

// startScript sets up what docs/guides/python.md shows.
func startScript(t *testing.T, v *server, mount, timeout string, replace ...string) *script {
	t.Helper()
	s := &script{stand: v.stand(t, mount, nil), python: pythonWithHVAC(t), file: newPKICertFile(t, v, mount)}
	v.run(t, guide(t, "python", "shell", "certinext/", mount+"/", "issue_timeout=45s", "issue_timeout="+timeout,
		"policy write scripts", "policy write "+mount, "vault auth enable approle", "true",
		"role/scripts token_policies=scripts", "role/"+mount+" token_policies="+mount))
	s.path = v.file(t, mount+"/certificate.py", guide(t, "python", "python", append([]string{
		`mount_point="certinext"`, `mount_point="` + mount + `"`, "pause=5", "pause=1",
	}, replace...)...))
	s.roleID, s.secretID = s.credentials()
	return s
}

// run has the script write its certificate to a path.
func (s *script) run(t *testing.T, path string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.python, s.path, "www.example.com", path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "VAULT_ADDR=" + s.server.address, "ROLE_ID=" + s.roleID, "SECRET_ID=" + s.secretID}
	out, err := cmd.CombinedOutput()
	s.file.look(s.server)
	return string(out), err
}

// succeeds requires that the script writes the file.
func (s *script) succeeds(t *testing.T) {
	t.Helper()
	output, err := s.run(t, s.file.path)
	require.NoError(t, err, output)
	require.Empty(t, output)
}

func TestPythonRunsTheGuidesScript(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once, and a renewal", func(t *testing.T) {
		t.Parallel()
		s := startScript(t, v, "python-fast", "45s")
		output, err := s.run(t, filepath.Join(v.dir, "not there", "www.pem"))
		require.Error(t, err, "there is no such folder")
		require.Contains(t, output, "FileNotFoundError")
		require.Len(t, s.ca.Orders(), 1, "it is paid for")
		s.succeeds(t)
		s.file.requireChain(t, s.ca)
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, s.file.serials)

		s.patch(t, "roles/scripts", map[string]any{"reuse_window": 0}) // it is over by the time of a renewal
		s.succeeds(t)
		s.paidEach(t, "www.example.com", s.file.serials, 2)
	})
	t.Run("a CA that takes longer than the script", func(t *testing.T) {
		t.Parallel()
		s := startScript(t, v, "python-slow", "1s", "attempts=10", "attempts=2")
		s.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = time.Hour })
		output, err := s.run(t, s.file.path)
		require.Error(t, err)
		require.Contains(t, output, "is not finished")
		require.Contains(t, s.list(s.mount+"/orders/scripts"), orderID.FindString(output))
		s.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 0 })
		s.succeeds(t) // it logs in anew
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, s.file.serials)
	})
	t.Run("a CA that takes longer than hvac waits", func(t *testing.T) {
		t.Parallel()
		s := startScript(t, v, "python-hasty", "6s", "timeout=60", "timeout=2")
		s.slow()
		s.succeeds(t)
		require.Greater(t, v.asked(s.mount+"/issue/scripts"), 1)
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, s.file.serials)
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		s := startScript(t, v, "python-failing", "1s", "attempts=10", "attempts=2")
		mend := s.refuse()
		output, err := s.run(t, s.file.path)
		require.Error(t, err)
		require.Contains(t, output, "EMS-915")
		require.Empty(t, s.ca.Orders())
		s.nothingIsOpen(t, "scripts")
		mend()
		s.succeeds(t)
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, s.file.serials)
	})
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// ansible is ansible-playbook with the play of docs/guides/ansible.md, on a host of its own.
type ansible struct {
	*stand
	dir  string
	play string // the playbook
	file *pkiCertFile
}

var pythonOfAnsible = regexp.MustCompile(`python version = .*\((/\S+)\)`)

// findAnsible returns the Python that Ansible runs with, or why the play cannot be run here.
var findAnsible = sync.OnceValues(func() (python, missing string) {
	version, err := exec.Command("ansible-playbook", "--version").Output()
	if err != nil {
		return "", "ansible-playbook is not installed (Debian: apt-get install --no-install-recommends ansible python3-hvac)"
	}
	found := pythonOfAnsible.FindSubmatch(version)
	if found == nil {
		return "", "ansible-playbook --version does not say which Python it has, where its modules need hvac"
	}
	python = string(found[1])
	if exec.Command(python, "-c", "import hvac").Run() != nil {
		return "", "the Python of ansible-playbook has no hvac (Debian: apt-get install python3-hvac)"
	}
	if exec.Command("ansible-doc", "community.hashi_vault.vault_pki_generate_certificate").Run() != nil {
		return "", "the collection community.hashi_vault is not installed (ansible-galaxy collection install community.hashi_vault)"
	}
	return python, ""
})

// startAnsible sets up what docs/guides/ansible.md shows.
func startAnsible(t *testing.T, v *server, mount, timeout string, replace ...string) *ansible {
	t.Helper()
	python, missing := findAnsible()
	if missing != "" {
		t.Skip(missing)
	}
	a := &ansible{stand: v.stand(t, mount, nil), dir: filepath.Join(v.dir, mount), file: newPKICertFile(t, v, mount)}
	v.run(t, guide(t, "ansible", "shell", "certinext/", mount+"/", "issue_timeout=55s", "issue_timeout="+timeout,
		"policy write ansible", "policy write "+mount, "vault auth enable approle", "true",
		"role/ansible token_policies=ansible", "role/"+mount+" token_policies="+mount))
	a.play = v.file(t, mount+"/play.yml", guide(t, "ansible", "yaml", append([]string{
		"https://vault.example.com:8200", v.address, "engine_mount_point: certinext", "engine_mount_point: " + mount,
		"/etc/ssl/web/web.pem", a.file.path, "delay: 5", "delay: 1",
	}, replace...)...))
	v.file(t, mount+"/hosts", "web ansible_connection=local ansible_python_interpreter="+python+"\n")
	roleID, secretID := a.credentials()
	logins, err := json.Marshal(map[string]string{"vault_role_id": roleID, "vault_secret_id": secretID})
	require.NoError(t, err)
	v.file(t, mount+"/logins.json", string(logins))
	return a
}

// credentials make a secret id of the login that the guide has made, whose name is the mount's.
func (s *stand) credentials() (roleID, secretID string) {
	s.t.Helper()
	role := "auth/approle/role/" + s.mount
	secretID = text(s.t, s.write(role+"/secret-id", nil).Data["secret_id"])
	s.server.keep("a secret id", secretID)
	return text(s.t, s.read(role + "/role-id")["role_id"]), secretID
}

// command is ansible-playbook, which has nothing of the developer's own settings.
func (a *ansible) command() (name string, args []string) {
	return "env", []string{
		"-i", "PATH=" + os.Getenv("PATH"), "HOME=" + a.dir, "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1",
		"ansible-playbook", "-i", filepath.Join(a.dir, "hosts"), "-e", "@" + filepath.Join(a.dir, "logins.json"), a.play,
	}
}

// run plays the play to its end, and looks at the file that it installs. What it prints must not hold a key.
func (a *ansible) run(t *testing.T) (output string, err error) {
	t.Helper()
	name, args := a.command()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NotContains(t, string(out), "PRIVATE KEY")
	a.file.look(a.server)
	return string(out), err
}

// plays requires that the play ends well.
func (a *ansible) plays(t *testing.T) (output string) {
	t.Helper()
	output, err := a.run(t)
	require.NoError(t, err, output)
	require.Contains(t, output, "failed=0")
	return output
}

// why is what the play's last task prints, which is there for that.
func why(t *testing.T, output string) string {
	t.Helper()
	_, said, found := strings.Cut(output, "Say why there is none")
	require.True(t, found, output)
	return said
}

// retried is what Ansible prints when it has run the task again.
const retried = "FAILED - RETRYING"

func TestAnsiblePlaysTheGuide(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once, and a renewal", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-fast", "55s")
		week := 7 * 24 * time.Hour
		a.ca.Configure(func(ca *certinexttest.Server) { ca.CertificateLifetime = week - time.Hour })
		require.NotContains(t, a.plays(t), retried)
		a.file.requireChain(t, a.ca)
		a.plays(t) // it does not last, and within the reuse window it is the same one again
		require.Equal(t, []string{a.paidOnce(t, "www.example.com")}, a.file.serials)

		a.ca.Configure(func(ca *certinexttest.Server) { ca.CertificateLifetime = 0 })
		a.patch(t, "roles/hosts", map[string]any{"reuse_window": 0}) // it is over by then
		a.plays(t)
		require.Contains(t, a.plays(t), "skipped=2", "the second certificate lasts")
		a.paidEach(t, "www.example.com", a.file.serials, 2)
	})
	t.Run("a CA that takes longer than hvac waits by itself", func(t *testing.T) {
		t.Parallel()
		// In the guide the order takes 31 to 55 s, and hvac 30 s. Here it takes 4 s, and hvac 2.
		a := startAnsible(t, v, "ansible-patient", "20s", "timeout: 60", "timeout: 25")
		a.slow()
		require.NotContains(t, a.plays(t), retried)
		require.Equal(t, []string{a.paidOnce(t, "www.example.com")}, a.file.serials)

		a = startAnsible(t, v, "ansible-hasty", "20s", "timeout: 60", "timeout: 2")
		a.slow()
		require.Contains(t, a.plays(t), retried)
		require.Equal(t, []string{a.paidOnce(t, "www.example.com")}, a.file.serials)
	})
	t.Run("a CA that takes longer than the play", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-slow", "1s", "retries: 10", "retries: 1")
		a.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = time.Hour })
		output, err := a.run(t)
		require.Error(t, err)
		require.Contains(t, why(t, output), "is not finished")
		require.Contains(t, a.list(a.mount+"/orders/hosts"), orderID.FindString(why(t, output)), "the play says which order it waits for")

		name, args := a.command() // somebody stops the next one amid its request
		before := v.asked(a.mount + "/issue/hosts")
		again := spawn(t, filepath.Join(a.dir, "stopped.log"), name, args...)
		waitUntil(t, 20*time.Second, "the play asks", func() bool { return v.asked(a.mount+"/issue/hosts") > before })
		again.stop()
		a.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 0 })
		a.plays(t)
		require.Equal(t, []string{a.paidOnce(t, "www.example.com")}, a.file.serials)
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-failing", "1s", "retries: 10", "retries: 1")
		mend := a.refuse()
		output, err := a.run(t)
		require.Error(t, err)
		require.Contains(t, why(t, output), "EMS-915")
		require.Empty(t, a.ca.Orders())
		require.False(t, a.file.there(v))
		a.nothingIsOpen(t, "hosts")
		mend()
		a.plays(t)
		require.Equal(t, []string{a.paidOnce(t, "www.example.com")}, a.file.serials)
	})
	t.Run("a play that fails after the answer", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-mistaken", "55s", "in result.data.data.ca_chain", "in result.data.data.chain")
		output, err := a.run(t)
		require.Error(t, err)
		require.Contains(t, why(t, output), "no attribute 'chain'")
		require.False(t, a.file.there(v))
		mistaken, err := os.ReadFile(a.play)
		require.NoError(t, err)
		right := strings.ReplaceAll(string(mistaken), "in result.data.data.chain", "in result.data.data.ca_chain")
		require.NoError(t, os.WriteFile(a.play, []byte(right), 0o600))
		a.plays(t)
		require.Equal(t, []string{a.paidOnce(t, "www.example.com")}, a.file.serials)
	})
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// realTerraform is the program with the provider hashicorp/vault, and the module of docs/guides/terraform.md in a folder of its own.
type realTerraform struct {
	*stand
	program, provider string // paths
	dir               string
	token             string
}

// startRealTerraform sets up what docs/guides/terraform.md shows.
func startRealTerraform(t *testing.T, v *server, mount string) *realTerraform {
	t.Helper()
	tf := &realTerraform{program: os.Getenv("TERRAFORM_BIN"), provider: os.Getenv("TERRAFORM_PROVIDER_VAULT"), dir: filepath.Join(v.dir, mount)}
	double := startTerraform(t, v, mount)
	tf.stand, tf.token = double.stand, double.who.api.Token()
	v.file(t, mount+"/main.tf", "terraform {\n  required_providers {\n    vault = { source = \"hashicorp/vault\" }\n  }\n}\n\n"+tf.module(t))
	require.NoError(t, os.Mkdir(filepath.Join(tf.dir, "provider"), 0o700))
	require.NoError(t, os.Symlink(tf.provider, filepath.Join(tf.dir, "provider", "terraform-provider-vault")))
	v.file(t, mount+"/terraformrc", "provider_installation {\n  dev_overrides {\n    \"hashicorp/vault\" = \""+
		filepath.Join(tf.dir, "provider")+"\"\n  }\n  direct {}\n}\n")
	return tf
}

func (tf *realTerraform) module(t *testing.T, replace ...string) string {
	t.Helper()
	return guide(t, "terraform", "terraform", append([]string{`"certinext"`, `"` + tf.mount + `"`}, replace...)...)
}

func (tf *realTerraform) run(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tf.program, args...)
	cmd.Dir = tf.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tf.dir, "VAULT_ADDR=" + tf.server.address, "VAULT_TOKEN=" + tf.token,
		"TF_CLI_CONFIG_FILE=" + filepath.Join(tf.dir, "terraformrc"), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (tf *realTerraform) apply(t *testing.T) (output string, err error) {
	t.Helper()
	return tf.run(t, "apply", "-auto-approve", "-input=false", "-no-color")
}

func (tf *realTerraform) applies(t *testing.T) (serial string) {
	t.Helper()
	output, err := tf.apply(t)
	require.NoError(t, err, output)
	var state struct {
		Resources []struct {
			Instances []struct {
				Attributes struct {
					SerialNumber string `json:"serial_number"`
					PrivateKey   string `json:"private_key"`
				} `json:"attributes"`
			} `json:"instances"`
		} `json:"resources"`
	}
	b, err := os.ReadFile(filepath.Join(tf.dir, "terraform.tfstate"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &state))
	require.Len(t, state.Resources, 1)
	require.Len(t, state.Resources[0].Instances, 1)
	made := state.Resources[0].Instances[0].Attributes
	tf.server.keep("a private key", made.PrivateKey)
	return made.SerialNumber
}

// changes reports whether a plan would change anything.
func (tf *realTerraform) changes(t *testing.T) bool {
	t.Helper()
	output, err := tf.run(t, "plan", "-detailed-exitcode", "-input=false", "-no-color")
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 2 {
		return true
	}
	require.NoError(t, err, output)
	return false
}

func TestTerraformItselfAppliesTheGuidesModule(t *testing.T) {
	t.Parallel()
	if os.Getenv("TERRAFORM_BIN") == "" || os.Getenv("TERRAFORM_PROVIDER_VAULT") == "" {
		t.Skip("TERRAFORM_BIN and TERRAFORM_PROVIDER_VAULT do not name a terraform and a terraform-provider-vault, which Debian does not " +
			"have: TestTerraformAppliesUntilItHasItsCertificate sends what the provider sends")
	}
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once, a renewal, and the end", func(t *testing.T) {
		t.Parallel()
		tf := startRealTerraform(t, v, "real-fast")
		tf.ca.Configure(func(ca *certinexttest.Server) { ca.CertificateLifetime = 6 * 24 * time.Hour })
		first := tf.applies(t)
		tf.paidOnce(t, "www.example.com")
		require.True(t, tf.changes(t), "its last seven days have begun")
		tf.ca.Configure(func(ca *certinexttest.Server) { ca.CertificateLifetime = 0 })
		second := tf.applies(t)
		require.NotEqual(t, first, second)
		require.Equal(t, []string{first}, tf.list(tf.mount+"/certs/revoked"), "the successor is there, and the one before is revoked")
		require.False(t, tf.changes(t))
		require.Equal(t, second, tf.applies(t))
		require.Len(t, tf.ca.ordersFor("www.example.com"), 2)
		output, err := tf.run(t, "destroy", "-auto-approve", "-input=false", "-no-color")
		require.NoError(t, err, output)
		require.Len(t, tf.list(tf.mount+"/certs/revoked"), 2)
		t.Logf("%s: 2 orders paid for 2 certificates of www.example.com", tf.mount)
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		tf := startRealTerraform(t, v, "real-slow")
		tf.patch(t, "roles/web", map[string]any{"issue_timeout": "1s"})
		tf.slow()
		output, err := tf.apply(t)
		require.Error(t, err)
		require.Contains(t, strings.Join(strings.Fields(output), " "), "not finished")
		waitUntil(t, 60*time.Second, "an apply succeeds", func() bool {
			_, err := tf.apply(t)
			return err == nil
		})
		require.Equal(t, tf.paidOnce(t, "www.example.com"), strings.ReplaceAll(tf.applies(t), ":", ""))
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		tf := startRealTerraform(t, v, "real-failing")
		mend := tf.refuse()
		output, err := tf.apply(t)
		require.Error(t, err)
		require.Contains(t, output, "EMS-915")
		require.Empty(t, tf.ca.Orders())
		tf.nothingIsOpen(t, "web")
		mend()
		tf.applies(t)
		tf.paidOnce(t, "www.example.com")
	})
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cli runs vault as a person at a shell who has that token.
func (c *caller) cli(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs.vault, args...)
	cmd.Env = []string{"VAULT_ADDR=" + c.server.address, "VAULT_TOKEN=" + c.api.Token(), "HOME=" + c.server.dir}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A person repeats the command until it prints a certificate.
func TestTheCommandLineGetsOneCertificate(t *testing.T) {
	t.Parallel()
	v := startVault(t)
	s := v.stand(t, "cli", nil)
	_, err := s.cli(t, "write", "cli/roles/web", "product_code=842", "allowed_domains=example.com", "allow_subdomains=true",
		"generate_lease=false", "issue_timeout=1s")
	require.NoError(t, err)

	mend := s.refuse()
	out, err := s.cli(t, "write", "cli/issue/web", "common_name=www.example.com")
	require.Error(t, err)
	require.Contains(t, out, "Code: 400")
	require.Contains(t, out, "EMS-915")
	require.Empty(t, s.ca.Orders())
	mend()

	s.slow()
	issue := []string{"write", "-field=certificate", "cli/issue/web", "common_name=www.example.com", "format=pem_bundle"}
	out, err = s.cli(t, issue...)
	require.Error(t, err)
	require.Contains(t, out, "is not finished")
	orders, err := s.cli(t, "list", "cli/orders/web")
	require.NoError(t, err)
	require.Contains(t, orders, orderID.FindString(out))
	waitUntil(t, 30*time.Second, "the command prints a certificate", func() bool {
		out, err = s.cli(t, issue...)
		return err == nil
	})
	pems := splitPEM(out)
	require.Len(t, pems, 4)
	v.keep("a private key", pems[0])
	requireKeyOf(t, parseCertificate(t, pems[1]), parseKey(t, pems[0]))
	serial := s.paidOnce(t, "www.example.com")

	out, err = s.cli(t, "list", "-format=json", "cli/certs")
	require.NoError(t, err)
	require.Contains(t, strings.ReplaceAll(out, ":", ""), parseCertificate(t, pems[1]).SerialNumber.Text(16))
	for path, count := range map[string]int{"cli/cert/ca_chain": 2, "cli/cert/ca": 2, "cli/cert/" + serial: 2} {
		out, err = s.cli(t, "read", "-field=ca_chain", path)
		require.NoError(t, err)
		chain := splitPEM(out)
		require.Len(t, chain, count, path)
		for _, c := range chain {
			require.True(t, parseCertificate(t, c).IsCA, "%s: the chain can be given to OpenSSL as it is", path)
		}
	}
	// The commands of docs/api.md for files
	for _, path := range []string{"cli/cert/" + serial + "/download/bundle", "cli/cert/" + serial + "/raw/pem", "cli/ca_chain"} {
		out, err = s.cli(t, "read", "-format=raw", path)
		require.NoError(t, err, out)
		require.NotEmpty(t, splitPEM(out), path)
	}
	out, err = s.cli(t, "write", "cli/revoke", "serial_number="+serial)
	require.NoError(t, err, out)
	require.Equal(t, "revoked", s.ca.onlyOrder(t).Status)
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// agentTemplates are what people write. A pkiCert template looks into its own destination for the certificate that it has.
const (
	pkiCertTemplate = `{{ with pkiCert "certinext/issue/agent" "common_name=agent.example.com" }}{{ .Cert }}{{ range .CAChain }}{{ . }}{{ end }}{{ .CA }}{{ .Key }}{{ end }}`
	secretTemplate  = `{{ with secret "certinext/issue/leased" "common_name=leased.example.com" }}{{ .Data.certificate }}
{{ .Data.issuing_ca }}
{{ .Data.private_key }}
{{ end }}`
)

// agentConfig configures an agent that logs in with AppRole and renders both templates.
func (v *server) agentConfig() (config, pkiCert, secret string) {
	v.t.Helper()
	require.NoError(v.t, v.api.Sys().PutPolicyWithContext(v.t.Context(), "agent", `
path "certinext/issue/agent"  { capabilities = ["update"] }
path "certinext/issue/leased" { capabilities = ["update"] }
`))
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	v.write("auth/approle/role/agent", map[string]any{"token_policies": "agent", "token_ttl": "1h"})
	dir := filepath.Join(v.dir, "agent")
	require.NoError(v.t, os.Mkdir(dir, 0o700))
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(v.t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	secretID := text(v.t, v.write("auth/approle/role/agent/secret-id", nil).Data["secret_id"])
	v.keep("the agent's secret id", secretID)
	roleID := file("role-id", text(v.t, v.read("auth/approle/role/agent/role-id")["role_id"]))
	pkiCert, secret = filepath.Join(dir, "pki-cert.pem"), filepath.Join(dir, "secret.pem")
	config = file("agent.hcl", fmt.Sprintf(`
vault { address = %q }
auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = %q
      secret_id_file_path                 = %q
      remove_secret_id_file_after_reading = false
    }
  }
}
template {
  source      = %q
  destination = %q
}
template {
  source      = %q
  destination = %q
}
`, v.address, roleID, file("secret-id", secretID), file("pki-cert.tpl", asServed(pkiCertTemplate)), pkiCert, file("secret.tpl", secretTemplate), secret))
	return config, pkiCert, secret
}

// A rendering collects what a template has rendered over time.
type rendering struct {
	path    string
	serials []string // in the order in which they were seen
}

// look takes in what is there now. Certificate and key must belong together at every moment.
func (r *rendering) look(v *server) {
	v.t.Helper()
	b, err := os.ReadFile(r.path)
	if err != nil {
		require.ErrorIs(v.t, err, os.ErrNotExist)
		return
	}
	rendered := string(b)
	certificate, rest, _ := strings.Cut(rendered, "-----END CERTIFICATE-----")
	leaf := parseCertificate(v.t, certificate+"-----END CERTIFICATE-----\n")
	serial := leaf.SerialNumber.Text(16)
	if len(r.serials) > 0 && r.serials[len(r.serials)-1] == serial {
		return
	}
	r.serials = append(r.serials, serial)
	at := strings.Index(rest, "-----BEGIN EC PRIVATE KEY-----")
	require.GreaterOrEqual(v.t, at, 0, "no key was rendered")
	v.keep("a rendered key", rest[at:])
	requireKeyOf(v.t, leaf, parseKey(v.t, rest[at:]))
	require.NoError(v.t, leaf.CheckSignatureFrom(parseCertificate(v.t, rest)), "the rendered CA is not the issuer")
	require.True(v.t, time.Now().Before(leaf.NotAfter), "what was rendered has expired")
}

// paid returns the serial numbers that the CA has issued for a domain.
func (ca *authority) paid(domain string) []string {
	var out []string
	for _, o := range ca.ordersFor(domain) {
		out = append(out, o.Serials...)
	}
	return out
}

func TestVaultAgentRendersAgainBeforeExpiryAndPaysForNothingElse(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, CertificateLifetime: 20 * time.Second})
	v := startVault(t)
	v.configure(ca)
	// The agent rotates when most of a certificate's life is over: the window has to be shorter than that, which for lives of days it is.
	v.role("agent", map[string]any{"generate_lease": false, "reuse_window": "5s"})
	v.role("leased", map[string]any{"reuse_window": "5s"})
	config, pkiCertFile, secretFile := v.agentConfig()
	agent := spawn(t, filepath.Join(v.dir, "agent", "agent.log"), programs.vault, "agent", "-config="+config)
	pkiCert, secret := &rendering{path: pkiCertFile}, &rendering{path: secretFile}
	waitUntil(t, 90*time.Second, "each template has rendered three certificates", func() bool {
		require.False(t, agent.ended(), "the agent ended")
		pkiCert.look(v)
		secret.look(v)
		return len(pkiCert.serials) >= 3 && len(secret.serials) >= 3
	})
	// An order may be under way at this moment; what it yields is rendered soon.
	waitUntil(t, 10*time.Second, "as many renderings as orders", func() bool {
		pkiCert.look(v)
		secret.look(v)
		return len(ca.paid("agent.example.com")) == len(pkiCert.serials) && len(ca.paid("leased.example.com")) == len(secret.serials)
	})
	agent.stop()
	require.Equal(t, pkiCert.serials, ca.paid("agent.example.com"))
	require.Equal(t, secret.serials, ca.paid("leased.example.com"))
	require.Len(t, ca.Orders(), len(pkiCert.serials)+len(secret.serials))
	t.Logf("%d orders paid for %d and %d certificates", len(ca.Orders()), len(pkiCert.serials), len(secret.serials))
}

func TestVaultAgentStartsAgainAndKeepsTheCertificatesItHas(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("agent", map[string]any{"generate_lease": false})
	v.role("leased", nil)
	config, pkiCertFile, secretFile := v.agentConfig()
	pkiCert, secret := &rendering{path: pkiCertFile}, &rendering{path: secretFile}
	for start := range 2 {
		agent := spawn(t, filepath.Join(v.dir, "agent", "agent.log"), programs.vault, "agent", "-config="+config)
		waitUntil(t, 30*time.Second, "the agent renders", func() bool {
			require.False(t, agent.ended(), "the agent ended")
			pkiCert.look(v)
			secret.look(v)
			// Without a lease of its own to show, a secret template asks again at every start, and gets what it has.
			return len(pkiCert.serials) == 1 && len(secret.serials) == 1 && len(v.list("sys/leases/lookup/certinext/issue/leased/")) == start+1
		})
		agent.stop()
	}
	require.Equal(t, pkiCert.serials, ca.paid("agent.example.com"), "a fresh certificate in the destination was bought again")
	require.Equal(t, secret.serials, ca.paid("leased.example.com"), "a certificate that had been answered was bought again")
}

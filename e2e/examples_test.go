// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// example returns a file of the folder examples.
func example(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "examples", path))
	require.NoError(t, err)
	return string(b)
}

func TestTheExamplesPoliciesGrantWhatTheySay(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("other", nil)
	v.enableLogins()
	people := map[string]*caller{}
	for _, name := range []string{"team", "operator", "auditor"} {
		people[name] = v.person(name, nil, example(t, "policies/"+name+".hcl"))
	}
	issued := v.write("certinext/issue/other", map[string]any{"common_name": "other.example.com"})
	serial := text(t, issued.Data["serial_number"])
	order := text(t, issued.Data["order_id"])

	// Each line: what is done, and who may do it.
	for _, c := range []struct {
		op, path string
		data     map[string]any
		may      string
	}{
		{"write", "issue/web", map[string]any{"common_name": "www.example.com"}, "team"},
		{"write", "issue/other", map[string]any{"common_name": "www.example.com"}, ""},
		{"list", "orders/web", nil, "team operator auditor"},
		{"list", "orders/other", nil, "operator auditor"},
		{"read", "orders/other/" + order, nil, "operator auditor"},
		{"write", "orders/other/" + order + "/collect", nil, ""},
		{"read", "config", nil, "operator auditor"},
		{"write", "config", map[string]any{"requests_per_second": 50}, "operator"},
		{"read", "catalog/products", nil, "operator"},
		{"list", "roles", nil, "operator auditor"},
		{"read", "roles/web", nil, "operator auditor"},
		{"write", "roles/next", map[string]any{"product_code": "842", "allowed_domains": "example.com"}, "operator"},
		{"list", "certs", nil, "operator auditor"},
		{"read", "cert/" + serial, nil, "operator auditor"},
		{"write", "config", map[string]any{"ordering": "on"}, "operator"},
		{"read", "account", nil, "operator auditor"},
		{"read", "reports/orders", nil, "operator auditor"},
		{"read", "reports/ledger", nil, "operator auditor"},
		{"read", "groups", nil, "operator"},
		{"read", "organizations", nil, "operator"},
		{"read", "organizations/4000001", nil, "operator"},
		{"read", "domains", nil, "operator"},
		{"list", "domains", nil, "operator"},
		{"write", "revoke/other", map[string]any{"serial_number": serial}, ""},
		{"write", "revoke", map[string]any{"serial_number": serial}, "operator"},
	} {
		for name, who := range people {
			path := "certinext/" + c.path
			var err error
			switch c.op {
			case "write":
				_, err = who.send(path, c.data)
			case "read":
				_, err = who.api.Logical().ReadWithContext(t.Context(), path)
			case "list":
				_, err = who.api.Logical().ListWithContext(t.Context(), path)
			}
			if strings.Contains(c.may, name) {
				require.NoError(t, err, "%s may not %s %s", name, c.op, c.path)
			} else {
				who.forbidden(name+" may "+c.op+" "+c.path, err)
			}
		}
	}
}

// A team that declares its own paid order never placed would buy it again, and the message that it reads when an order is in doubt names the field.
func TestTheExamplesTeamDoesNotSettleItsOwnOrders(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.enableLogins()
	team := v.person("team", nil, example(t, "policies/team.hcl"))
	operator := v.person("operator", nil, example(t, "policies/operator.hcl"))
	draft := team.write("certinext/orders/web", map[string]any{"common_name": "www.example.com", "save_as_draft": true})
	path := "certinext/orders/web/" + text(t, draft.Data["order_id"])
	operators := strings.Replace(path, "certinext/", "certinext/operator/", 1)
	for _, acts := range []map[string]any{{"never_placed": true}, {"ca_order_id": "1"}, {"release": true}, {"end": true}, {"entity_id": "e"}} {
		_, err := team.send(operators, acts)
		team.forbidden("doing what is for operators", err)
	}
	team.write(path, map[string]any{"promote": true})
	require.Len(t, ca.Orders(), 1)
	require.Contains(t, operator.refused(operators, map[string]any{"never_placed": true}), "nothing to resolve", "the operator's word is heard")
}

// Where a guide shows the same, an example is the guide's, which is tested.
func TestTheExamplesAreThoseOfTheGuides(t *testing.T) {
	t.Parallel()
	require.Equal(t, guide(t, "cert-manager", "yaml"), example(t, "kubernetes/cert-manager.yaml"))
	require.Equal(t, guide(t, "vault-secrets-operator", "yaml"), example(t, "kubernetes/vault-secrets-operator.yaml"))
	require.Equal(t, guide(t, "nomad", "hcl"), example(t, "nomad/www.nomad.hcl"))

	// The Agent Injector's template is Vault Agent's.
	pod := manifests(t, example(t, "kubernetes/agent-injector.yaml"))[0]
	annotations := at(t, pod, "spec", "template", "metadata", "annotations").(map[string]any)
	template := annotations["vault.hashicorp.com/agent-inject-template-www.pem"].(string)
	require.Contains(t, guide(t, "vault-agent", "hcl"), template)
}

func TestTheExamplesAreWellFormed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		program string
		args    []string
	}{
		"the Terraform module": {"terraform", []string{"fmt", "-check", "-diff", "../examples/terraform"}},
		"the systemd unit":     {"systemd-analyze", []string{"verify", "--man=no", "../examples/systemd/vault-agent.service"}},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := exec.LookPath(c.program)
			if err != nil {
				t.Skipf("%s is not installed here: nothing else knows this syntax", c.program)
			}
			cmd := exec.CommandContext(t.Context(), program, c.args...)
			cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1") // Terraform looks for its newest version otherwise
			out, err := cmd.CombinedOutput()
			if c.program == "systemd-analyze" {
				// It speaks of the machine's own units, too, and misses /usr/bin/vault, which is no matter of syntax.
				for line := range strings.Lines(string(out)) {
					if strings.Contains(line, "vault-agent.service") {
						require.Contains(t, line, "/usr/bin/vault is not executable")
					}
				}
				return
			}
			require.NoError(t, err, "%s", out)
		})
	}
}

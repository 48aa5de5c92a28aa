// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
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

// A team that declares its own paid order never placed would buy it again. It may not, and nothing that it reads of an order in doubt says how.
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
	settling := []map[string]any{{"never_placed": true}, {"ca_order_id": "1"}, {"release": true}, {"end": true}, {"entity_id": "e"}}
	for _, acts := range settling {
		_, err := team.send(operators(path), acts)
		team.forbidden("doing what is for operators", err)
	}
	team.write(path, map[string]any{"promote": true})
	require.Len(t, ca.Orders(), 1)
	require.Contains(t, operator.refused(operators(path), map[string]any{"never_placed": true}), "nothing to resolve", "the operator's word is heard")

	// Nobody knows whether CERTInext took this one.
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerError})
	ca.ResetCalls()
	wanted := map[string]any{"common_name": "doubtful.example.com"}
	told := []string{team.refused("certinext/issue/web", wanted)}
	path = "certinext/orders/web/" + orderID.FindString(told[0])
	order := team.read(path)
	require.Equal(t, "unresolved", order["state"])
	require.Contains(t, fmt.Sprint(order["needs"]), "an operator of Vault can settle it")
	told = append(told, fmt.Sprint(order), team.refused("certinext/issue/web", wanted), team.refused(path+"/collect", nil),
		team.refused(path+"/dcv", nil), team.refused("certinext/revoke/web", map[string]any{"order_id": orderID.FindString(told[0])}))
	for _, acts := range settling {
		told = append(told, team.refused(path, acts))
	}
	_, err := team.api.Logical().DeleteWithContext(t.Context(), path)
	told = append(told, team.reason(400, err))
	_, err = team.api.Logical().ReadWithContext(t.Context(), path+"/dcv")
	told = append(told, team.reason(400, err))
	for _, message := range told {
		require.NotContains(t, message, "never_placed=", "it says how to buy again")
		require.NotContains(t, message, "operator/orders", "it says where")
	}
	require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL], "sent again")
}

// operators is where operators do to an order what its requester does elsewhere.
func operators(path string) string {
	return strings.Replace(path, "certinext/", "certinext/operator/", 1)
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

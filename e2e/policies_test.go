// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

const (
	anybody   = everybody + " approver planner scraper" // without a policy, too: Vault asks for no token
	everybody = "team operator auditor"
	lookers   = "operator auditor"
)

// whoMay has each operation of each path of Vault's OpenAPI document, and whom the policies of examples/policies let do it. A path with a
// role is a team's for its own role only. A path that is new has to be entered here.
var whoMay = map[string]string{
	"read account":                               lookers,
	"list approvals/":                            lookers + " approver",
	"list approvals/{role}/":                     lookers + " approver",
	"read approvals/{role}/{id}":                 lookers + " approver",
	"write approvals/{role}/{id}":                "approver",
	"list budgets/":                              lookers,
	"read budgets/{name}":                        lookers,
	"write budgets/{name}":                       "operator",
	"delete budgets/{name}":                      "operator",
	"read ca":                                    anybody,
	"read ca/pem":                                anybody,
	"read ca_chain":                              anybody,
	"read catalog/products":                      lookers,
	"read catalog/products/{code}":               lookers,
	"read catalog/products/{code}/custom-fields": lookers,
	"read cert/ca":                               anybody,
	"read cert/ca/raw":                           anybody,
	"read cert/ca/raw/pem":                       anybody,
	"read cert/ca_chain":                         anybody,
	"read cert/{serial}":                         lookers,
	"read cert/{serial}/download/{form}":         lookers,
	"read cert/{serial}/raw":                     lookers,
	"read cert/{serial}/raw/pem":                 lookers,
	"list certs/":                                lookers,
	"list certs/revocation-queue/":               lookers,
	"list certs/revoked/":                        lookers,
	"read config":                                lookers,
	"write config":                               "operator",
	"delete config":                              "operator",
	"read config/acme":                           lookers,
	"read config/auto-tidy":                      lookers,
	"write config/auto-tidy":                     "operator",
	"read config/check":                          lookers,
	"read config/cluster":                        lookers,
	"read config/trust":                          lookers,
	"write config/trust":                         "operator",
	"list config/trust/":                         lookers,
	"read config/trust/{family}":                 lookers,
	"write config/trust/{family}":                "operator",
	"delete config/trust/{family}":               "operator",
	"list dcv/solvers/":                          lookers,
	"read dcv/solvers/{name}":                    lookers,
	"write dcv/solvers/{name}":                   "operator",
	"patch dcv/solvers/{name}":                   "operator",
	"delete dcv/solvers/{name}":                  "operator",
	"write dcv/solvers/{name}/check":             "operator",
	"read domains":                               lookers,
	"list domains/":                              lookers,
	"read domains/{name}":                        lookers,
	"write domains/{name}":                       "operator",
	"delete domains/{name}":                      "operator",
	"write domains/{name}/verify":                "operator",
	"read groups":                                lookers,
	"read inventory/certs":                       lookers,
	"read inventory/certs/{role}":                everybody,
	"read inventory/orders":                      lookers,
	"read inventory/orders/{role}":               everybody,
	"write issue/{role}":                         "team",
	"read issuer/{issuer_ref}":                   lookers,
	"read issuer/{issuer_ref}/der":               anybody,
	"write issuer/{issuer_ref}/issue/{role}":     "",
	"read issuer/{issuer_ref}/json":              anybody,
	"read issuer/{issuer_ref}/pem":               anybody,
	"write issuer/{issuer_ref}/sign/{role}":      "",
	"list issuers/":                              anybody,
	"write operator/adopt/{role}":                "operator",
	"delete operator/adopt/{role}/{serial}":      "operator",
	"write operator/orders/{role}/{id}":          "operator",
	"read operator/renewal/{role}":               lookers,
	"write operator/renewal/{role}":              "operator",
	"read operator/revocations/{serial}":         lookers,
	"write operator/revocations/{serial}":        "operator",
	"list orders/":                               lookers,
	"list orders/{role}/":                        everybody,
	"write orders/{role}":                        "team",
	"read orders/{role}/request/{request_id}":    "team",
	"read orders/{role}/{id}":                    everybody,
	"write orders/{role}/{id}":                   "team",
	"delete orders/{role}/{id}":                  "team",
	"write orders/{role}/{id}/collect":           "team",
	"read orders/{role}/{id}/dcv":                "team operator",
	"write orders/{role}/{id}/dcv":               "team operator",
	"write orders/{role}/{id}/documents":         "team",
	"read orders/{role}/{id}/download/{form}":    everybody,
	"write orders/{role}/{id}/reissue":           "team",
	"read organizations":                         lookers,
	"read organizations/{number}":                lookers,
	"write renew/{role}/{serial}":                "team",
	"read reports/ledger":                        lookers,
	"read reports/orders":                        lookers,
	"read reports/spend":                         lookers,
	"write reports/spend":                        "operator",
	"write revoke":                               "operator",
	"write revoke-with-key":                      "operator",
	"write revoke/{role}":                        "team",
	"list roles/":                                lookers,
	"read roles/{name}":                          lookers,
	"write roles/{name}":                         "operator",
	"patch roles/{name}":                         "operator",
	"delete roles/{name}":                        "operator",
	"write sign/{role}":                          "team",
	"read metrics":                               lookers + " scraper",
	"read status":                                lookers,
	"read sync":                                  lookers,
	"write sync":                                 "operator",
	"list replace/":                              lookers,
	"read replace/{campaign}":                    lookers,
	"write replace/{campaign}":                   "operator",
	"delete replace/{campaign}":                  "operator",
	"read replace/{campaign}/certs":              lookers,
	"write replace/{campaign}/pause":             "operator",
	"write replace/{campaign}/resume":            "operator",
	"write replace/{campaign}/abort":             "operator",
	"write tidy":                                 "operator",
	"write tidy-cancel":                          "operator",
	"read tidy-status":                           lookers,
}

// operations are those of Vault's OpenAPI document, in the words of Vault's command line.
func (v *server) operations() []string {
	v.t.Helper()
	verbs := map[string]string{"GET": "read", "POST": "write", "PATCH": "patch", "DELETE": "delete"}
	var out []string
	for path, item := range v.document().Paths.Map() {
		for method := range item.Operations() {
			verb, path := verbs[method], strings.TrimPrefix(path, "/certinext/")
			if verb == "read" && strings.HasSuffix(path, "/") {
				verb = "list"
			}
			require.NotEmpty(v.t, verb, method)
			out = append(out, verb+" "+path)
		}
	}
	return out
}

// attempt sends an operation with nothing in it, and reports whether the policy lets it through, whatever the engine then says of it.
func (c *caller) attempt(t *testing.T, operation, role string) (allowed bool) {
	t.Helper()
	verb, path, _ := strings.Cut(operation, " ")
	method := map[string]string{"read": "GET", "list": "LIST", "write": "POST", "patch": "PATCH", "delete": "DELETE"}[verb]
	path = strings.NewReplacer("{role}", role, "{id}", "00000000-0000-4000-8000-000000000001", "{serial}", "5b-a3", "{form}", "crt",
		"{name}", "nothing", "{code}", "842", "{number}", "4000001", "{issuer_ref}", "default", "{request_id}", "r-1", "{family}", "mozilla", "{campaign}", "nothing").Replace(path)
	require.NotContains(t, path, "{", "a parameter that has no value here")
	request, err := http.NewRequestWithContext(t.Context(), method, c.server.address+"/v1/certinext/"+path, strings.NewReader("{}"))
	require.NoError(t, err)
	request.Header.Set("X-Vault-Token", c.api.Token())
	if verb == "patch" {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode == http.StatusForbidden {
		require.Contains(t, string(body), "permission denied", operation)
		return false
	}
	require.NotContains(t, string(body), "unsupported", operation)
	return true
}

var readmePolicy = regexp.MustCompile("(?s)## Policies\n.*?```hcl\n(.*?)```")

// Each operation is tried by each of them.
func TestThePoliciesGrantWhatIsTheirsAndNothingElse(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("other", nil)
	v.enableLogins()
	require.ElementsMatch(t, slices.Collect(maps.Keys(whoMay)), v.operations(), "paths that are new, or no longer there")

	people := map[string]*caller{}
	for _, name := range []string{"team", "operator", "auditor", "approver", "planner", "scraper"} {
		people[name] = v.person(name, nil, example(t, "policies/"+name+".hcl"))
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	require.NoError(t, err)
	shown := readmePolicy.FindSubmatch(readme)
	require.NotNil(t, shown)
	people["team of the README"] = v.person("readme", nil, string(bytes.ReplaceAll(shown[1], []byte("team-a"), []byte("web"))))

	var wrong []string
	for _, operation := range slices.Sorted(maps.Keys(whoMay)) {
		for name, who := range people {
			kind, _, _ := strings.Cut(name, " ")
			may := strings.Contains(whoMay[operation], kind)
			for _, role := range []string{"web", "other"} {
				ofAnother := role == "other" && strings.Contains(operation, "{role}") && kind == "team"
				if want := may && !ofAnother; who.attempt(t, operation, role) != want {
					wrong = append(wrong, fmt.Sprintf("%s may %s (role %s): %t", name, operation, role, !want))
				}
			}
		}
	}
	require.Empty(t, wrong, "%s", strings.Join(wrong, "\n"))
	require.Empty(t, ca.Orders())
}

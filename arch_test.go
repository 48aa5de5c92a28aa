// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/certinext/vault-plugin-secrets-certinext"

// A goPackage is what go list says of a package.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	args = append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	require.NoError(t, err)
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p goPackage
		require.NoError(t, d.Decode(&p))
		all = append(all, p)
	}
	return all
}

// arrows are what a package may not import, by its path, and why. A path that ends with a slash
// stands for all below it.
func arrows() map[string]map[string]string {
	return map[string]map[string]string{
		module: {
			module + "/certinext": "paths know the engine, not the client",
			module + "/dcv":       "paths know the engine, not the solvers",
		},
		module + "/backend": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows orders, not FieldData",
			"github.com/hashicorp/vault/api":           "the engine is called by Vault and never calls it",
			module:                                     "the arrow points from the paths to the engine",
		},
		module + "/backend/account": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows accounts, not FieldData",
			module + "/backend":                        "an account knows neither roles nor orders",
			module + "/dcv":                            "an account knows no DNS",
		},
		module + "/backend/acceptance": {
			"context":               "judging waits for nobody",
			"net/http":              "judging asks nobody",
			"github.com/hashicorp/": "a certificate is judged without storage",
			module + "/certinext":   "a certificate is judged whoever delivered it",
		},
		module + "/backend/trust": {
			"net/http": "whether clients accept a certificate is told by what came with it",
			"github.com/hashicorp/vault/sdk/framework": "the engine knows keys, not FieldData",
			module + "/certinext":                      "a certificate is judged whoever delivered it",
			module + "/backend/certificates":           "a certificate is judged however it is stored",
			module + "/backend/orders":                 "a certificate is judged whoever ordered it",
			module + "/backend/issuing":                "what follows from a verdict is the role's to say",
		},
		module + "/backend/caa": {
			"net/http":              "records are read whoever asks for a certificate",
			"github.com/hashicorp/": "what the DNS says is not stored",
			module + "/certinext":   "whether a CA may issue is told by the DNS",
		},
		module + "/backend/preview": {
			"context":               "reckoning waits for nobody",
			"net/http":              "reckoning asks nobody",
			"github.com/hashicorp/": "what a request comes to is reckoned without storage",
			module + "/certinext":   "what a request comes to is reckoned whoever has told it",
			module + "/dcv":         "what a request comes to is reckoned whoever has told it",
		},
		module + "/backend/notices": {
			"net/http": "what has changed is told to Vault alone",
			"github.com/hashicorp/vault/sdk/framework": "a notice is told, whoever has asked",
			module + "/backend/orders":                 "a notice is about an order's id",
			module + "/backend/certificates":           "a notice is about a serial number",
			module + "/backend/account":                "a notice says what is known, and asks nobody",
			module + "/certinext":                      "CERTInext's words are not told",
		},
		module + "/backend/standing": {
			"context":                        "adding up waits for nobody",
			"net/http":                       "adding up asks nobody",
			"github.com/":                    "how a mount stands is added up without storage",
			module + "/backend/orders":       "orders are handed to it",
			module + "/backend/certificates": "certificates are handed to it",
			module + "/backend/account":      "requests are handed to it",
			module + "/certinext":            "requests are handed to it",
		},
		module + "/backend/metrics": {
			"context":                        "rendering waits for nobody",
			"net/http":                       "the text is served by Vault",
			"github.com/hashicorp/":          "a standing is rendered without storage",
			module + "/backend/orders":       "a standing is rendered, wherever it is from",
			module + "/backend/certificates": "a standing is rendered, wherever it is from",
			module + "/backend/account":      "a standing is rendered, wherever it is from",
			module + "/certinext":            "a standing is rendered, wherever it is from",
		},
		module + "/backend/subscriptions": {
			"context":               "reckoning waits for nobody",
			"net/http":              "reckoning asks nobody",
			"github.com/hashicorp/": "a term is reckoned without storage",
			module + "/certinext":   "a term is reckoned whoever has told it",
		},
		module + "/backend/ledger": {
			"context":                        "a row is read without waiting",
			"net/http":                       "a row is read, whoever has fetched it",
			"github.com/hashicorp/":          "a row is read, and nothing stored",
			module + "/backend/orders":       "a row is about an order's number, and knows no journal",
			module + "/backend/renewal":      "a row is asked by renewals, and knows none",
			module + "/backend/certificates": "a row is about money",
		},
		module + "/backend/reconciliation": {
			"context":                        "the books wait for nobody",
			"net/http":                       "the books ask nobody",
			"github.com/hashicorp/":          "the books are kept without storage",
			module + "/backend/orders":       "orders are handed to the books",
			module + "/backend/certificates": "the books are about orders",
			module + "/backend/spending":     "budgets are told what the books say, and do not keep them",
			module + "/backend/account":      "the books are told prices and accounts",
			module + "/backend/issuing":      "the books know roles by their names",
		},
		module + "/backend/renewal": {
			"net/http": "how a certificate is succeeded is decided without asking",
			"github.com/hashicorp/vault/sdk/framework": "the engine knows roles, not FieldData",
			module + "/backend/issuing":                "it knows certificates, and no requests",
			module + "/backend/orders":                 "it is asked by orders, and drives none",
			module + "/backend/certificates":           "a certificate is told when it is to be renewed",
		},
		module + "/backend/reuse": {
			"net/http": "whether a certificate is reused is decided without asking",
			"github.com/hashicorp/vault/sdk/framework": "the engine knows roles, not FieldData",
			module + "/backend/issuing":                "it knows requests by their fingerprints",
			module + "/backend/orders":                 "it is asked by orders, and opens none",
			module + "/backend/certificates":           "a certificate erases what is kept of it",
			module + "/backend/account":                "it is told the time",
			module + "/certinext":                      "it asks CERTInext nothing",
		},
		module + "/backend/ahead": {
			"net/http": "what is to be made ahead is remembered without asking",
			"github.com/hashicorp/vault/sdk/framework": "the engine knows roles, not FieldData",
			module + "/backend/orders":                 "it is asked by orders, and makes none",
			module + "/backend/certificates":           "it is told what is known of a certificate",
			module + "/backend/roles":                  "it is given the role",
			module + "/certinext":                      "what is wanted is remembered without asking",
		},
		module + "/backend/issuing": {
			"context":                          "planning waits for nobody",
			"net/http":                         "planning asks nobody",
			"github.com/hashicorp/":            "a plan is made without storage",
			module + "/backend/roles":          "a plan is given its role",
			module + "/backend/internal/store": "a plan is made without storage",
			module + "/backend/internal/host":  "a plan is made without a clock",
		},
		module + "/backend/validation": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows solvers, not FieldData",
			module + "/backend/roles":                  "a validation is told how, and knows no roles",
		},
		module + "/backend/domains": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows domains, not FieldData",
			module + "/backend/orders":                 "a domain is validated ahead of roles and orders",
			module + "/backend/roles":                  "a domain is validated ahead of roles and orders",
		},
		module + "/backend/index": {
			"net/http": "what is listed is told by what is stored",
			"github.com/hashicorp/vault/sdk/framework": "the engine knows rows, not FieldData",
			module + "/backend/certificates":           "it is told rows, and reads no entries of its own",
			module + "/backend/orders":                 "it is told rows, and reads no entries of its own",
			module + "/backend/account":                "what is listed is in storage",
			module + "/backend/issuing":                "what is listed is there",
			module + "/backend/roles":                  "a row knows roles by their names",
			module + "/certinext":                      "it asks CERTInext nothing",
		},
		module + "/backend/certificates": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows certificates, not FieldData",
			module + "/backend/validation":             "a certificate is there: its domains are validated",
			module + "/dcv":                            "a certificate is there: its domains are validated",
		},
		module + "/backend/orders": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows orders, not FieldData",
			module + "/backend/domains":                "an order does not wait for what is kept ahead of it",
			module + "/backend/inventory":              "an order does not look beyond the mount",
		},
		module + "/backend/inventory": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows certificates, not FieldData",
			module + "/backend/roles":                  "what was issued beside the mount has no role",
			module + "/dcv":                            "what was issued is validated",
		},
		module + "/backend/tidy": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows what is tidied, not FieldData",
			module + "/backend/roles":                  "what is over is over whatever its role says",
			module + "/backend/spending":               "the journal settles what budgets count",
			module + "/backend/inventory":              "what is erased is told by whoever erases it",
			module + "/certinext":                      "nothing is erased at CERTInext",
			module + "/dcv":                            "nothing is erased at DNS hosts",
		},
		module + "/backend/campaigns": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows campaigns, not FieldData",
			module + "/backend/spending":               "budgets are the orders' business",
			module + "/backend/inventory":              "what a campaign is about is stored here",
			module + "/dcv":                            "the orders of replacements are validated",
		},
		module + "/backend/readiness": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows roles, not FieldData",
			module + "/backend/orders":                 "what a single order meets is told by the order",
			module + "/dcv":                            "it asks CERTInext, and no DNS",
		},
		module + "/backend/roles": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows roles, not FieldData",
			module + "/dcv": "what a role allows is not its business",
		},
		module + "/backend/spending": {
			"github.com/hashicorp/vault/sdk/framework": "the engine knows budgets, not FieldData",
			module + "/backend/orders":                 "a budget asks what became of an order, and knows no journal",
			module + "/backend/certificates":           "a budget counts orders, not what came of them",
			module + "/backend/issuing":                "a budget knows roles by their names",
			module + "/backend/roles":                  "a budget knows roles by their names",
			module + "/backend/account":                "a budget is told prices",
			module + "/certinext":                      "a budget is told prices",
			module + "/dcv":                            "a budget knows no DNS",
		},
		module + "/backend/internal/money": {
			"github.com/hashicorp/": "sums are sums, whoever pays",
			module + "/":            "sums are sums, whatever they are for",
		},
		module + "/backend/internal/fault": {
			"github.com/hashicorp/": "errors are words, whoever reads them",
			module + "/dcv":         "a solver's fault is told by who runs it",
		},
		module + "/backend/internal/host": {
			module + "/": "what the rooms share knows none of them",
		},
		module + "/backend/internal/keyed": {
			"github.com/hashicorp/": "locks and caches know nothing of what they keep",
			module + "/":            "locks and caches know nothing of what they keep",
		},
		module + "/backend/internal/sanitize": {
			"github.com/hashicorp/": "texts are made fit whoever shows them",
			module + "/":            "texts are made fit wherever they are from",
		},
		module + "/backend/internal/sheet": {
			"github.com/hashicorp/": "tables are written whatever is in them",
			module + "/":            "tables are written whatever is in them",
		},
		module + "/backend/internal/serials": {
			"github.com/hashicorp/": "serial numbers know nothing of what is stored under them",
			module + "/certinext":   "serial numbers are the same at every CA",
		},
		module + "/backend/internal/store": {
			module + "/": "reading and writing an entry needs to know nothing of it",
		},
		module + "/internal/bundle": {
			"github.com/hashicorp/": "rendering knows certificates, not Vault",
			module + "/":            "rendering is pure: it knows neither orders nor storage",
		},
		module + "/internal/phrase": {
			"github.com/": "words are put together whatever they are about",
		},
		module + "/internal/unknowns": {
			"net/http":    "a table is read whoever plays it",
			"github.com/": "a table is read whatever it is about",
		},
		module + "/internal/openapi": {
			"github.com/hashicorp/": "a document is JSON, whoever has written it",
			module + "/":            "a document is mended whatever it describes",
		},
		module + "/dcv": {
			"github.com/hashicorp/vault/": "solvers know DNS, not Vault",
			module + "/":                  "solvers know DNS, not CERTInext",
		},
		module + "/certinext": {
			"github.com/hashicorp/vault/": "the client is usable without Vault",
			module + "/":                  "the client stands alone",
		},
		module + "/certinext/certinexttest": {
			module + "/":                   "the simulator spells the wire format by itself",
			"github.com/hashicorp/":        "the simulator is a CA, not a Vault",
			"github.com/stretchr/testify/": "the simulator is a product, not a test",
		},
		module + "/certinext/certinexttest/internal/openapi": {
			module + "/": "a document is written whatever it describes",
			"net/http":   "a document is written whoever asks for it",
		},
		module + "/certinext/certinexttest/internal/spelling": {
			module + "/": "spelling knows members by their names alone",
			"net/http":   "spelling knows no requests",
		},
		module + "/certinext/certinexttest/internal/graph": {
			module + "/": "values are written whatever they mean",
			"net/http":   "values are written whoever asks for them",
			"crypto/":    "what has a form of its own comes with a codec",
		},
		module + "/certinext/certinexttest/internal/exact": {
			module + "/certinext":          "JSON is read whatever it is about",
			"net/http":                     "JSON is read however it came",
			"github.com/hashicorp/":        "the simulator is a CA, not a Vault",
			"github.com/stretchr/testify/": "the simulator is a product, not a test",
		},
		module + "/certinext/certinexttest/internal/settings": {
			module + "/certinext": "names of fields know nothing of what the fields mean",
			"net/http":            "settings come from whoever has read them",
		},
		module + "/certinext/certinexttest/internal/money": {
			"net/http":    "books are kept whoever asks for them",
			"crypto/":     "books know no certificates",
			"github.com/": "books know nothing of what is bought",
		},
		module + "/certinext/certinexttest/internal/terms": {
			"net/http":    "a term ends whoever asks for it",
			"crypto/":     "what lasts how long is decided without certificates",
			"github.com/": "what lasts how long is decided without orders",
		},
		module + "/certinext/certinexttest/internal/hostnames": {
			"context":                      "a name is judged without waiting",
			"net/http":                     "a name is judged whoever asks for it",
			module + "/":                   "a name is judged whatever it is ordered for",
			"github.com/hashicorp/":        "the simulator is a CA, not a Vault",
			"github.com/stretchr/testify/": "the simulator is a product, not a test",
		},
		module + "/certinext/certinexttest/internal/rules": {
			"net/http":    "a code means what it means whoever answers with it",
			module + "/":  "a code means what it means whatever has broken a rule",
			"github.com/": "a code means what it means",
		},
		module + "/certinext/certinexttest/internal/keys": {
			"context":                      "a key is judged without waiting",
			module + "/":                   "a key is judged whoever sends it",
			"github.com/hashicorp/":        "the simulator is a CA, not a Vault",
			"github.com/stretchr/testify/": "the simulator is a product, not a test",
		},
		module + "/certinext/certinexttest/internal/caa": {
			"net/http":                     "records are read whoever asks for a certificate",
			"crypto/":                      "whether a CA may issue does not go by keys",
			module + "/":                   "whether a CA may issue does not go by orders",
			"github.com/hashicorp/":        "the simulator is a CA, not a Vault",
			"github.com/stretchr/testify/": "the simulator is a product, not a test",
		},
		module + "/certinext/certinexttest/internal/nonce": {
			module + "/": "a nonce is echoed whoever signs the answer",
			"net/http":   "a nonce is found however the request came",
		},
		module + "/certinext/certinexttest/internal/sure": {
			module + "/": "what cannot fail knows nothing that can",
		},
		module + "/certinext/certinexttest/internal/ctlog": {
			module + "/backend/":                                   "a log knows no orders",
			module + "/certinext":                                  "a log knows no clients",
			module + "/certinext/certinexttest":                    "a log knows no orders",
			module + "/certinext/certinexttest/internal/authority": "a log signs for any CA",
			"net/http":                     "a log signs whoever asks",
			"github.com/hashicorp/":        "the simulator is a CA, not a Vault",
			"github.com/stretchr/testify/": "the simulator is a product, not a test",
		},
		module + "/certinext/certinexttest/internal/authority": {
			module + "/backend/":                "a certificate authority knows no orders",
			module + "/certinext":               "a certificate authority knows no clients",
			module + "/certinext/certinexttest": "a certificate authority knows no orders",
			"github.com/hashicorp/":             "the simulator is a CA, not a Vault",
			"github.com/stretchr/testify/":      "the simulator is a product, not a test",
		},
	}
}

// TestArrows holds the architecture: which room may know which.
func TestArrows(t *testing.T) {
	forbidden := arrows()
	for _, p := range goList(t, "./...") {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, p.ImportPath+"/internal/") {
				continue // a package's own rooms
			}
			for bad, why := range forbidden[p.ImportPath] {
				if imported == bad || (strings.HasSuffix(bad, "/") && strings.HasPrefix(imported, bad)) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
				}
			}
		}
	}
	for _, p := range goList(t, "./cmd/vault-plugin-secrets-certinext") {
		require.NotContains(t, p.Deps, module+"/certinext/certinexttest", "the plugin links the simulator")
		require.NotContains(t, p.Deps, module+"/dcv/dcvtest", "the plugin links what starts DNS servers")
		require.NotContains(t, p.Deps, module+"/internal/unknowns", "the plugin links what is for tests")
		require.Contains(t, p.Deps, module+"/certinext")
	}
}

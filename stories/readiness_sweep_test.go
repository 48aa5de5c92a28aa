// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A workingRole is one under which an order is placed, by a request that it allows.
type workingRole struct {
	dialect certinexttest.Dialect
	role    on
}

func (w workingRole) String() string {
	return fmt.Sprintf("%s %s", w.dialect, w.role["product_variant"])
}

func workingRoles() []workingRole {
	hosts := func(code, variant string) on {
		return on{
			"product_code": code, "product_variant": variant, "allowed_domains": "example.com", "allow_subdomains": true,
			"allow_bare_domains": true, "allow_wildcard_certificates": true,
		}
	}
	var all []workingRole
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		for code, variant := range map[string]string{
			"842": "dv", "843": "dv-wildcard", "844": "dv-ucc", "846": "ov", "850": "ev", "149": "intranet-ssl",
		} {
			role := hosts(code, variant)
			switch variant {
			case "dv-wildcard":
				role["allow_subdomains"], role["allow_wildcard_certificates"] = true, true
			case "ov", "ev":
				role["organization_number"] = certinexttest.DefaultOrganization
			case "intranet-ssl":
				if dialect != certinexttest.V1 {
					role["ca_profile_id"], role["master_product_id"] = "1", "1"
				}
			}
			all = append(all, workingRole{dialect, role})
		}
	}
	slices.SortFunc(all, func(a, b workingRole) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// trials are values to try in a field of a kind.
func trials(s *framework.OASSchema) []any {
	switch s.Type {
	case "boolean":
		return []any{true, false}
	case "integer":
		return []any{0, 1, 45, 1000}
	case "string":
		return []any{"", "x", "7", "a@example.com", "10.0.0.1"}
	case "array":
		return []any{"", "x", "x:y"}
	}
	return nil
}

// notTried are fields whose change makes another account or mount of it, or stops it on purpose.
var notTried = []string{
	"base_url", "client_id", "client_secret", "access_key", "account_number", "api_version", "verify_connection", "force", "ca_cert",
	"proxy_url", "request_timeout", "create_timeout", "requests_per_second", "ttl", "max_ttl", "issue_timeout", "require_approval",
}

// everySetting has all settings tried, not one of seven.
var everySetting = flag.Bool("every-setting", false, "try all settings of config and roles")

// Every field of config and role is given values that its write takes. If no order is placed under the role any more, config/check
// says that something is wrong; if one is, config/check has no complaint of the role.
func TestConfigCheckSaysForEverySettingWhetherOrdersArePlaced(t *testing.T) {
	atSize(t)
	fields := map[string]map[string]*framework.OASSchema{}
	for _, w := range writes(t) {
		if w.path == "config" || w.path == "roles/x" {
			fields[w.path] = w.fields
		}
	}
	require.Len(t, fields, 2)
	tried, refused, turn := 0, 0, 0
	for _, w := range workingRoles() {
		t.Run(w.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSweep(t, w)
				problems, _ := s.checked()
				require.Empty(t, problems)
				require.True(t, s.orders(), "the role works")
				for _, path := range slices.Sorted(maps.Keys(fields)) {
					for _, name := range slices.Sorted(maps.Keys(fields[path])) {
						if slices.Contains(notTried, name) {
							continue
						}
						for _, value := range trials(fields[path][name]) {
							if turn++; turn%7 != 0 && !*everySetting {
								continue
							}
							if took, works := s.try(strings.Replace(path, "/x", "/web", 1), on{name: value}); took {
								tried++
								if !works {
									refused++
								}
							}
						}
					}
				}
			})
		})
	}
	t.Logf("%d settings that their write takes, %d of them without orders", tried, refused)
	require.Greater(t, tried, 400)
	require.Greater(t, refused, 40)
}

// A sweep tries settings on one mount.
type sweep struct {
	*mount
	working workingRole
	stored  []byte // the config as it works
	number  int
	refusal string // of the last order that was not placed
}

func newSweep(t *testing.T, w workingRole) *sweep {
	t.Helper()
	ca := validated(w.dialect)
	ca.Demands.LoneUCC = true // one name is ordered, of whatever product
	s := &sweep{mount: bareMount(t, ca), working: w}
	s.write("config", s.account())
	s.stored = s.storage.dump(t)["config"]
	s.reset()
	return s
}

// reset puts back the config as it works, whose write keeps what it leaves out, and writes the role anew.
func (s *sweep) reset() {
	s.t.Helper()
	require.NoError(s.t, s.storage.Put(s.t.Context(), &logical.StorageEntry{Key: "config", Value: s.stored}))
	s.write("config", s.account())
	s.write("roles/web", s.working.role)
}

// orders places an order for a name that there was none for, and reports whether CERTInext has it.
func (s *sweep) orders() bool {
	s.t.Helper()
	s.number++
	name := fmt.Sprintf("n%d.example.com", s.number)
	if s.working.role["product_variant"] == "dv-wildcard" {
		name = "*." + name
	}
	before := len(s.ca.Orders())
	resp, err := s.attempt("orders/web", on{"common_name": name})
	require.NoError(s.t, err)
	if resp.IsError() {
		s.refusal = resp.Error().Error()
	}
	return len(s.ca.Orders()) > before
}

// onlyOrdersTell reports whether CERTInext has no call that says whether a setting is right. Names are the request's.
func onlyOrdersTell(setting on) bool {
	return setting["consent_token"] != nil || (setting["ca_profile_id"] != nil && setting["ca_profile_id"] != "")
}

// try reports whether a setting is taken, and whether orders are placed with it. It fails the test when config/check has another opinion.
func (s *sweep) try(path string, setting on) (took, works bool) {
	s.t.Helper()
	op := logical.Operation(logical.PatchOperation)
	if path == "config" {
		op = logical.UpdateOperation
	}
	resp, err := s.send(call{op: op, path: path, data: setting})
	require.NoError(s.t, err)
	if resp.IsError() {
		return false, false
	}
	time.Sleep(time.Minute) // what is known of the account is asked anew
	problems, _ := s.checked()
	works = s.orders()
	switch complaint := strings.Contains("\n"+problems, "\nrole web:"); {
	case works && complaint:
		s.t.Errorf("%s %v: an order is placed, and config/check says %q", path, setting, problems)
	case !works && problems == "" && !strings.Contains(s.refusal, "common_name: ") && !onlyOrdersTell(setting):
		s.t.Errorf("%s %v: config/check says nothing, and the order is refused: %s", path, setting, s.refusal)
	}
	s.reset()
	return true, works
}

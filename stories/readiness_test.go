// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// checked is what config/check says.
func (m *mount) checked() (problems, notes string) {
	m.t.Helper()
	resp := m.read("config/check")
	said := resp.Data["problems"].([]string)
	require.Equal(m.t, len(said) == 0, resp.Data["ok"])
	for _, text := range said {
		require.Contains(m.t, resp.Warnings, text, "tables print warnings one by one")
		require.NotContains(m.t, text, "<mount>")
	}
	return strings.Join(said, "\n"), strings.Join(resp.Data["notes"].([]string), "\n")
}

// reword changes what is stored of a role, as an earlier version may have left it.
func (m *mount) reword(role, old, with string) {
	m.t.Helper()
	text := string(m.storage.dump(m.t)["role/"+role])
	require.Contains(m.t, text, old)
	text = strings.Replace(text, old, with, 1)
	require.NoError(m.t, m.storage.Put(m.t.Context(), &logical.StorageEntry{Key: "role/" + role, Value: []byte(text)}))
}

// Whatever an order is refused for, and a request has no part in, is told before.
func TestConfigCheckTellsBeforehandWhyOrdersAreRefused(t *testing.T) {
	mandatory := certinexttest.CustomField{ID: "17", Name: "Cost centre", Mandatory: true}
	for name, c := range map[string]struct {
		dialect certinexttest.Dialect
		config  map[string]any
		role    map[string]any
		spoil   func(m *mount)
		want    string // what config/check says
		order   string // what the refused order says
	}{
		"no place": {
			config: map[string]any{"signer_place": ""},
			want:   "role web: signer_place: is required", order: "signer_place: is required",
		},
		"no public address in version 1": {
			dialect: certinexttest.V1, config: map[string]any{"signer_ip": "10.0.0.1"},
			want: "vault write certinext/config signer_ip=", order: "signer_ip: must be",
		},
		"notifications in version 1": {
			dialect: certinexttest.V1, config: map[string]any{"email_notifications": "some"},
			want: "vault write certinext/config email_notifications=all", order: "it is not known yet whether CERTInext took the order",
		},
		"a tag in version 1": {
			dialect: certinexttest.V1, role: map[string]any{"tags": "nothing"},
			want: `tags: "nothing" is not name:value`, order: "EMS-1128",
		},
		"days in version 1": {
			dialect: certinexttest.V1, role: map[string]any{"renew_before_days": 45},
			want: "vault patch certinext/roles/web renew_before_days=30", order: "EMS-1218",
		},
		"a group of nobody": {
			config: map[string]any{"group_number": "1"},
			want:   "vault write certinext/config group_number=" + certinexttest.DefaultGroup, order: "Invalid Group Number",
		},
		"a role's group of nobody": {
			spoil: func(m *mount) { m.reword("web", `"defaults":{`, `"defaults":{"group_number":"1",`) },
			role:  map[string]any{"email_notifications": "0"},
			want:  "vault patch certinext/roles/web group_number=" + certinexttest.DefaultGroup, order: "Invalid Group Number",
		},
		"no organization": {
			role: map[string]any{"product_code": "846", "product_variant": "ov"},
			want: "role web: organization_number: is required", order: "organization_number: is required",
		},
		"an organization of nobody": {
			role: map[string]any{"product_code": "846", "product_variant": "ov", "organization_number": "7"},
			want: "vault patch certinext/roles/web organization_number=" + certinexttest.DefaultOrganization, order: "EMS-1073",
		},
		"the config's organization of nobody": {
			config: map[string]any{"organization_number": "7"}, role: map[string]any{"product_code": "846", "product_variant": "ov"},
			want: "config: organization_number: CERTInext knows no organization 7", order: "EMS-1073",
		},
		"a product that is gone": {
			spoil: func(m *mount) { m.reword("web", `"product_code":"842"`, `"product_code":"777"`) },
			want:  "role web: product_code: \"777\" is not in this account's catalog", order: "EMS-915",
		},
		"another kind of product": {
			spoil: func(m *mount) { m.reword("web", `"product_code":"842"`, `"product_code":"846"`) },
			want:  "role web: product_variant: product 846", order: "EMS-915",
		},
		"a field that became mandatory": {
			spoil: func(m *mount) { m.ca.Catalog[0].CustomFields = []certinexttest.CustomField{mandatory} },
			want:  "custom_fields: the product cannot be ordered without 17 (Cost centre)", order: "EMS-918",
		},
		"a part of a contact": {
			spoil: func(m *mount) {
				m.reword("web", `"defaults":{`, `"defaults":{"technical_contact":{"email":"a@example.com"},`)
			},
			role: map[string]any{"email_notifications": "0"},
			want: "vault patch certinext/roles/web technical_contact_name='<technical contact name>'", order: "technicalPointOfContact",
		},
		"a pause": {
			config: map[string]any{"ordering": "paused"},
			want:   "vault write certinext/config ordering=on", order: "ordering: is paused",
		},
		"a solver that is gone": {
			spoil: func(m *mount) { m.reword("web", `"dns":{`, `"dns":{"solver":"gone",`) },
			want:  `role web: dcv_solver: there is no solver "gone"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(c.dialect)
				ca.Catalog = []certinexttest.Product{
					{Code: "842", Name: "DV", Type: "13"}, {Code: "846", Name: "OV", Type: "16"}, {Code: "914", Name: "S/MIME", Type: "41"},
				}
				m := bareMount(t, ca)
				config, role := m.account(), map[string]any{
					"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": false,
				}
				if c.dialect == certinexttest.V1 {
					config["organization_number"] = certinexttest.DefaultOrganization
				}
				m.write("config", config)
				for k, v := range c.role {
					role[k] = v
				}
				m.write("roles/web", role)
				m.write("config", c.config)
				if c.spoil != nil {
					c.spoil(m)
				}
				problems, _ := m.checked()
				require.Contains(t, problems, c.want)
				if c.order != "" {
					require.Contains(t, m.refused("issue/web", www), c.order)
				}
				require.Empty(t, ca.Orders())
			})
		})
	}
}

func TestConfigCheckWithoutRolesIsForThoseThatMayCome(t *testing.T) {
	m := bareMount(t, new(certinexttest.Server))
	config := m.account()
	config["signer_place"] = ""
	m.write("config", config)
	problems, _ := m.checked()
	require.Contains(t, problems, "config: signer_place: is required")
	require.Contains(t, problems, "vault write certinext/config signer_place=")
}

// What makes orders wait is no problem: it is noted.
func TestConfigCheckNotesWhatOrdersWaitFor(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	m.vettedRole("ov", "ov", map[string]any{"organization_number": certinexttest.UnvettedOrganization})
	problems, notes := m.checked()
	require.Empty(t, problems)
	require.Contains(t, notes, "role ov: organization_number: "+certinexttest.UnvettedOrganization+" (Example Newcomer) is not vetted yet")
	require.Contains(t, notes, "role ov: consent_token: none is sent")
	require.Contains(t, notes, "role web: allowed_domains: example.com: no validation of the account covers this")
}

// A question that hangs or fails keeps no other from being asked, and the answer is there before clients give up.
func TestConfigCheckAsksOnWhateverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.vettedRole("ov", "ov", map[string]any{"organization_number": "7"})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpProducts, Kind: certinexttest.FaultLatency, Delay: time.Hour})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpGroups, Kind: certinexttest.FaultServerError})
		start := time.Now()
		problems, _ := m.checked()
		require.Less(t, time.Since(start), 20*time.Second, "the one that hangs is given up")
		require.Contains(t, problems, "product_code was not checked")
		require.Contains(t, problems, "group_number was not checked")
		require.Contains(t, problems, "CERTInext knows no organization 7")
	})
}

// However many roles there are, each thing is asked once.
func TestConfigCheckAsksEachThingOnce(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	for i := range 530 {
		role := m.storage.dump(t)["role/web"]
		if i > 0 {
			require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: fmt.Sprintf("role/web-%d", i), Value: role}))
		}
		if i == 0 {
			m.vettedRole("ov", "ov", nil)
		}
	}
	m.ca.ResetCalls()
	report := m.read("config/check")
	calls := 0
	for _, n := range m.ca.Calls() {
		calls += n
	}
	require.Less(t, calls, 10, "%v", m.ca.Calls())
	require.Equal(t, 500, report.Data["roles_checked"])
	require.Equal(t, 31, report.Data["roles_left_out"])
	require.Contains(t, strings.Join(report.Data["problems"].([]string), "\n"), "31 roles were left out")
	require.Equal(t, false, report.Data["ok"], "nothing is known of those")

	one := m.must(call{op: logical.ReadOperation, path: "config/check", data: map[string]any{"role": "ov"}}).Data
	require.Equal(t, 1, one["roles_checked"])
	resp, err := m.send(call{op: logical.ReadOperation, path: "config/check", data: map[string]any{"role": "nobody"}})
	require.NoError(t, err)
	require.ErrorContains(t, resp.Error(), `no role "nobody"`)
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An overheard hears what CERTInext is sent.
type overheard struct {
	next   http.RoundTripper
	mu     sync.Mutex
	bodies []string
}

func (o *overheard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		o.mu.Lock()
		o.bodies = append(o.bodies, string(body))
		o.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return o.next.RoundTrip(r)
}

func (o *overheard) all() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.bodies, "\n")
}

// overheard hears what the mount sends to CERTInext from now on.
func (m *mount) overheard() *overheard {
	m.t.Helper()
	o := &overheard{next: m.ca.Client().Transport}
	m.startWith(&http.Client{Transport: o})
	return o
}

// ann is a requester of whom Vault knows more than an id.
func (m *mount) ann() {
	m.system.EntityVal = &logical.Entity{
		ID: "id-of-ann", Name: "ann.smith", Aliases: []*logical.Alias{{MountType: "userpass", Name: "ann"}},
	}
}

// asksAsAnn sends a request of ann's for a name, and returns the answer.
func (m *mount) asksAsAnn(path, name string, more map[string]any) map[string]any {
	m.t.Helper()
	data := map[string]any{"common_name": name}
	for field, value := range more {
		data[field] = value
	}
	return m.must(call{
		op: logical.UpdateOperation, path: path, entity: "id-of-ann", display: "userpass-ann", data: data, id: "request-4711",
	}).Data
}

func TestAnOrderSaysWhoAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		asked := m.overheard()
		m.ann()
		kept := map[string]any{"owner": "payments", "cert_metadata": "eyJhcHAiOiJzaG9wIn0="}
		issued := m.asksAsAnn("issue/web", "www.example.com", kept)
		want := map[string]any{
			"requester_entity_id": "id-of-ann", "requester_entity_name": "ann.smith", "requester_display_name": "userpass-ann",
			"vault_request_id": "request-4711", "owner": "payments", "cert_metadata": "eyJhcHAiOiJzaG9wIn0=",
		}
		shows := func(when string) {
			o := m.read("orders/web/" + issued["order_id"].(string)).Data
			for field, value := range want {
				require.Equal(t, value, o[field], "%s: %s", when, field)
			}
		}
		shows("at once")
		m.must(call{
			op: logical.UpdateOperation, path: "issue/web", entity: "id-of-ann", display: "other", id: "request-4712",
			data: map[string]any{"common_name": "www.example.com", "owner": "somebody else"},
		})
		require.Len(t, m.ca.Orders(), 1, "whose certificate it is makes it no other request")
		shows("after another request has joined it")
		m.start()
		shows("after a restart")

		row := m.spend(map[string]any{"group_by": "requester"})
		require.Equal(t, "entity:id-of-ann", row["requester"])
		require.Equal(t, "ann.smith", row["requester_name"])

		told := strings.ToLower(asked.all())
		require.Contains(t, told, "www.example.com")
		for _, personal := range []string{"ann", "payments", "4711", "eyj"} {
			require.NotContains(t, told, personal, "CERTInext is told nothing of it")
		}
	})
}

func TestCERTInextIsToldWhoAskedWhereTheRoleSaysSo(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.Catalog = certinexttest.SandboxCatalog()
		ca.Catalog[0].CustomFields = []certinexttest.CustomField{{ID: "456", Name: "Owner", Mandatory: true}}
		m := bareMount(t, ca)
		m.write("config", m.account())
		m.write("roles/web", map[string]any{
			"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "requester_in": "field:456",
		})
		asked := m.overheard()
		m.ann()
		m.patchRole(map[string]any{"requester_in": "remarks,tags,field:456", "remarks": "for the shop", "tags": "team:web"})
		m.asksAsAnn("issue/web", "www.example.com", map[string]any{"owner": "payments"})
		o := ca.Orders()[0]
		require.Contains(t, o.Remarks, "for the shop requested by ann.smith, owner payments vault-order:")
		require.Equal(t, []string{"team:web", "requester:ann.smith", "owner:payments"}, o.Tags[1:])
		require.Regexp(t, `"(fieldId|fieldID)":"456","(value|fieldValue)":"ann.smith, owner payments"`, asked.all())

		// The name of somebody who would be taken for an order of another.
		m.system.EntityVal.Name = "vault-order:" + strings.Repeat("x; ", 100)
		m.asksAsAnn("issue/web", "mail.example.com", nil)
		o = ca.Orders()[1]
		require.Equal(t, 1, strings.Count(fmt.Sprint(o.Tags), "vault-order:"))
		require.Equal(t, 1, strings.Count(o.Remarks, "vault-order:"))

		require.Contains(t, m.refusedRole(map[string]any{"requester_in": "none"}), "cannot be ordered without 456")
		ca.Configure(func(s *certinexttest.Server) { s.Catalog[0].CustomFields[0].Mandatory = false })
		m.query("catalog/products", map[string]any{"refresh": true})
		m.patchRole(map[string]any{"requester_in": "none"})
		m.asksAsAnn("issue/web", "api.example.com", map[string]any{"owner": "payments"})
		require.Equal(t, 3, strings.Count(asked.all(), "payments"), "remarks, tag and field of the first order")
	})
}

func TestWhatCannotBeKeptWithAnOrderIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		for text, data := range map[string]map[string]any{
			"owner: has more than 100 characters":      {"owner": strings.Repeat("é", 101)},
			"owner: must be one line":                  {"owner": "a\nb"},
			`owner: must not contain "vault-order:"`:   {"owner": "VAULT-ORDER:x"},
			"cert_metadata: is not base64":             {"cert_metadata": "no base64"},
			"cert_metadata: is longer than 4096 chara": {"cert_metadata": strings.Repeat("A", 4100)},
		} {
			for _, path := range []string{"issue/web", "orders/web"} {
				data["common_name"] = "www.example.com"
				require.Contains(t, m.refused(path, data), text)
			}
		}
		require.Empty(t, m.ca.Orders())
		for places, text := range map[string]string{
			"notes": `requester_in: "notes" is not none, remarks, tags or field:`, "none,tags": "not both",
			"field:": "is not none", "field:a b": "is not none", "a,b,c,d,e,f,g,h,i,j,k": "has 11 places",
		} {
			require.Contains(t, m.refusedRole(map[string]any{"requester_in": places}), text)
		}
		require.Contains(t, m.refusedRole(map[string]any{"requester_in": "field:1", "custom_fields": map[string]any{"1": "x"}}),
			"is among custom_fields, too")
	})
}

// refusedRole patches the role, which has to be refused, and returns the answer's text.
func (m *mount) refusedRole(fields map[string]any) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.PatchOperation, path: "roles/web", data: fields})
	require.NoError(m.t, err)
	require.True(m.t, resp.IsError(), "%v", fields)
	return resp.Error().Error()
}

// A reissue and a renewal are asked for by somebody, too, and keep whose certificate it is.
func TestReissuesKeepTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.ann()
		m.asksAsAnn("issue/web", "www.example.com", map[string]any{"owner": "payments"})
		m.pass()
		time.Sleep(105 * day)
		second := m.asksAsAnn("issue/web", "www.example.com", nil)
		require.Len(t, m.ca.Orders(), 1)
		o := m.read("orders/web/" + second["order_id"].(string)).Data
		require.NotEmpty(t, o["reissue_of"])
		require.Equal(t, "payments", o["owner"])
		require.Equal(t, "ann.smith", o["requester_entity_name"])
		require.Equal(t, "request-4711", o["vault_request_id"])
	})
}

func TestAnApproverSeesWhoseCertificateItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.ann()
		m.patchRole(map[string]any{"require_approval": true})
		o := m.asksAsAnn("orders/web", "www.example.com", map[string]any{"owner": "payments", "cert_metadata": "eA=="})
		seen := m.read("approvals/web/" + o["order_id"].(string)).Data
		require.Equal(t, "payments", seen["owner"])
		require.Equal(t, "eA==", seen["cert_metadata"])
		require.Equal(t, "request-4711", seen["vault_request_id"])
		require.Equal(t, "ann.smith", seen["requester_entity_name"])
	})
}

// An order of an earlier version has nobody's name, and is shown all the same.
func TestAnOrderOfAnEarlierVersionShowsItsEntity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.ann()
		o := m.asksAsAnn("orders/web", "www.example.com", nil)
		for key, value := range m.storage.dump(t) {
			if !strings.HasPrefix(key, "order/") {
				continue
			}
			var entry map[string]any
			require.NoError(t, json.Unmarshal(value, &entry))
			delete(entry, "asked")
			text, err := json.Marshal(entry)
			require.NoError(t, err)
			require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: text}))
		}
		m.start()
		shown := m.read("orders/web/" + o["order_id"].(string)).Data
		require.Equal(t, "id-of-ann", shown["requester_entity_id"])
		require.Empty(t, shown["requester_entity_name"])
		require.Equal(t, "entity:id-of-ann", m.spend(map[string]any{"group_by": "requester"})["requester"])
	})
}

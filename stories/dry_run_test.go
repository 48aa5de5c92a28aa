// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dryly is a request with dry_run.
func dryly(data map[string]any) map[string]any {
	out := maps.Clone(data)
	if out == nil {
		out = map[string]any{}
	}
	out["dry_run"] = true
	return out
}

// with is www with further fields.
func with(more map[string]any) map[string]any {
	data := maps.Clone(www)
	maps.Copy(data, more)
	return data
}

// sealed is storage of a node that may not write, which counts what was tried.
type sealed struct {
	logical.Storage
	mu    sync.Mutex
	tried []string
}

func (s *sealed) refuse(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = append(s.tried, what)
	return logical.ErrReadOnly
}

func (s *sealed) Put(_ context.Context, e *logical.StorageEntry) error {
	return s.refuse("put " + e.Key)
}

func (s *sealed) Delete(_ context.Context, key string) error { return s.refuse("delete " + key) }

// askedDryly are the only calls that a dry run may make at the CA.
var askedDryly = []string{certinexttest.OpToken, certinexttest.OpProducts, certinexttest.OpDomains, certinexttest.OpDomain}

// dry asks what a request would come to. Storage takes no write meanwhile, and the CA is asked for no more than its catalog and domains.
func (m *mount) dry(entity, path string, data map[string]any) map[string]any {
	m.t.Helper()
	open := m.storage.under()
	before, shut := m.storage.dump(m.t), &sealed{Storage: open}
	asked := m.ca.Calls()
	m.storage.lay(shut)
	resp, refusal := m.asEntity(entity, logical.UpdateOperation, path, dryly(data))
	m.storage.lay(open)
	require.Empty(m.t, refusal, "%s %v", path, data)
	require.Empty(m.t, shut.tried, "a dry run has written")
	require.Equal(m.t, before, m.storage.dump(m.t))
	for operation, n := range m.ca.Calls() {
		if n > asked[operation] {
			require.Contains(m.t, askedDryly, operation)
		}
	}
	require.Nil(m.t, resp.Secret)
	for _, field := range []string{"private_key", "certificate"} {
		require.NotContains(m.t, resp.Data, field)
	}
	require.Equal(m.t, true, resp.Data["dry_run"])
	return resp.Data
}

// A deed is what a request came to when it was made for real.
type deed struct {
	kind    string
	refusal string
	data    map[string]any
}

// done makes a request, and says by what happened at the CA and in the mount what it came to.
func (m *mount) done(entity, path string, data map[string]any) deed {
	m.t.Helper()
	known, bought, reissued := len(m.list("orders/web")), len(m.ca.Orders()), m.ca.Calls()[certinexttest.OpReissue]
	resp, refusal := m.asEntity(entity, logical.UpdateOperation, path, data)
	d := deed{kind: "join", refusal: refusal, data: resp.Data}
	switch {
	case m.ca.Calls()[certinexttest.OpReissue] > reissued:
		d.kind = "reissue"
	case refusal == "" && resp.Data["state"] == "draft" && len(m.ca.Orders()) > bought:
		d.kind = "draft"
	case len(m.ca.Orders()) > bought, len(m.list("orders/web")) > known:
		d.kind = "order"
	case refusal != "":
		d.kind = "refuse"
	case resp.Data["reused"] == true:
		d.kind = "reuse"
	}
	return d
}

// ask is a request to the mount.
type ask struct {
	path string
	data map[string]any
}

// TestADryRunSaysWhatTheRequestThenDoes is a table of each sort of request that there is: what dry_run says of it, and what it does.
func TestADryRunSaysWhatTheRequestThenDoes(t *testing.T) {
	const issue, sign, order = "issue/web", "sign/web", "orders/web"
	budget := func(name string, fields map[string]any) func(*mount) ask {
		return func(m *mount) ask {
			m.write("budgets/"+name, fields)
			return ask{issue, www}
		}
	}
	role := func(fields map[string]any, path string, data map[string]any) func(*mount) ask {
		return func(m *mount) ask {
			m.patchRole(fields)
			return ask{path, data}
		}
	}
	after := func(path string, data map[string]any, then ask) func(*mount) ask {
		return func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, path, data)
			return then
		}
	}
	slow := func(ca *certinexttest.Server) { ca.IssueDelay = time.Hour }
	for name, c := range map[string]struct {
		ca    func(*certinexttest.Server)
		setUp func(*mount) ask
		would string
		says  string // in why, or in the first refusal
	}{
		"a new certificate": {setUp: func(*mount) ask { return ask{issue, www} }, would: "order", says: "no earlier order"},
		"a new order":       {setUp: func(*mount) ask { return ask{order, www} }, would: "order"},
		"async":             {setUp: func(*mount) ask { return ask{issue, with(map[string]any{"async": true})} }, would: "order"},
		"a CSR": {setUp: func(m *mount) ask {
			return ask{sign, signing(m.t, "www.example.com")}
		}, would: "order"},
		"a draft":                  {setUp: func(*mount) ask { return ask{order, draft()} }, would: "draft"},
		"a draft that is there":    {setUp: after(order, draft(), ask{order, draft()}), would: "join", says: "is draft"},
		"an order beside a draft":  {setUp: after(order, draft(), ask{order, www}), would: "order"},
		"what was answered lately": {setUp: after(issue, www, ask{issue, www}), would: "reuse", says: "before"},
		"what another one was answered": {setUp: func(m *mount) ask {
			m.asEntity("bob", logical.UpdateOperation, issue, www)
			return ask{issue, www}
		}, would: "order"},
		"what was answered too long ago": {setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, issue, www)
			time.Sleep(time.Hour)
			return ask{issue, www}
		}, would: "order"},
		"the same after a restart": {setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, issue, www)
			m.start()
			return ask{issue, www}
		}, would: "reuse"},
		"another one by force": {setUp: after(issue, www, ask{issue, with(map[string]any{"force_new": true})}), would: "order"},
		"what nobody has fetched": {setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, order, www)
			m.passes(1)
			return ask{issue, www}
		}, would: "join", says: "nobody has fetched"},
		"what is under way":         {ca: slow, setUp: after(order, www, ask{order, www}), would: "join", says: "is pending"},
		"what is under way, forced": {ca: slow, setUp: after(order, www, ask{order, with(map[string]any{"force_new": true})}), would: "join"},
		"what is under way by name": {
			ca:    slow,
			setUp: after(order, with(map[string]any{"request_id": "a"}), ask{order, with(map[string]any{"request_id": "a"})}), would: "join",
		},
		"a name of its own beside it": {
			ca: slow, setUp: after(order, www, ask{order, with(map[string]any{"request_id": "a"})}), would: "order",
		},
		"what was answered by name": {
			setUp: after(issue, with(map[string]any{"request_id": "a"}), ask{issue, with(map[string]any{"request_id": "a"})}), would: "reuse",
		},
		"a name of another request": {
			ca:    slow,
			setUp: after(order, with(map[string]any{"request_id": "a"}), ask{order, map[string]any{"common_name": "a.example.com", "request_id": "a"}}),
			would: "refuse", says: "already names another request",
		},
		"a name of a draft": {
			setUp: after(order, draft(map[string]any{"request_id": "a"}), ask{order, with(map[string]any{"request_id": "a"})}),
			would: "refuse", says: "which is a draft",
		},
		"a name that is used up": {setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, issue, with(map[string]any{"request_id": "a"}))
			time.Sleep(time.Hour)
			return ask{issue, with(map[string]any{"request_id": "a"})}
		}, would: "refuse", says: "is over (issued)"},
		"the same once the order is closed": {setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, issue, with(map[string]any{"request_id": "a"}))
			m.passes(2)
			return ask{issue, with(map[string]any{"request_id": "a"})}
		}, would: "refuse", says: "is over (issued)"},
		"a name of what CERTInext refused": {setUp: func(m *mount) ask {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
			m.asEntity("ann", logical.UpdateOperation, issue, with(map[string]any{"request_id": "a"}))
			return ask{issue, with(map[string]any{"request_id": "a"})}
		}, would: "order"},
		"what is revoked": {setUp: func(m *mount) ask {
			resp, _ := m.asEntity("ann", logical.UpdateOperation, issue, www)
			m.write("revoke", map[string]any{"serial_number": resp.Data["serial_number"]})
			return ask{issue, www}
		}, would: "order"},
		"what is held": {ca: func(ca *certinexttest.Server) { ca.Misissue = certinexttest.MisissueExtraName }, setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, issue, www)
			return ask{issue, www}
		}, would: "refuse", says: "evil.example.org"},
		"a certificate whose last lease has ended": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"revocation_delay": "2h", "reuse_window": 0})
			resp, _ := m.asEntity("ann", logical.UpdateOperation, issue, www)
			m.endLease(resp)
			return ask{issue, www}
		}, would: "reuse"},
		"the same for a CSR, whose order is closed": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"revocation_delay": "3h", "reuse_window": 0})
			request := signing(m.t, "www.example.com")
			resp, _ := m.asEntity("ann", logical.UpdateOperation, sign, request)
			m.endLease(resp)
			m.passes(1)
			return ask{sign, request}
		}, would: "reuse", says: "revocation_delay"},
		"another key for what is under way": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"rekey_orders": true, "issue_timeout": "30s"})
			m.asEntity("ann", logical.UpdateOperation, order, signing(m.t, "www.example.com"))
			return ask{sign, signing(m.t, "www.example.com")}
		}, would: "reissue", says: "rekey_orders"},
		"the same without waiting": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"rekey_orders": true})
			m.asEntity("ann", logical.UpdateOperation, order, signing(m.t, "www.example.com"))
			return ask{order, signing(m.t, "www.example.com")}
		}, would: "order"},
		"a successor within the subscription": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
			m.asEntity("ann", logical.UpdateOperation, issue, www)
			m.passes(1)
			return ask{issue, www}
		}, would: "reissue", says: "renewal=reissue"},
		"a successor by serial number": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
			resp, _ := m.asEntity("ann", logical.UpdateOperation, issue, www)
			return ask{"renew/web/" + serialOf(resp), nil}
		}, would: "reissue"},
		"a successor of a successor": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
			for range 2 {
				m.asEntity("ann", logical.UpdateOperation, issue, www)
				m.passes(1)
			}
			return ask{issue, www}
		}, would: "reissue"},
		"a successor with the same key": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
			request := signing(m.t, "www.example.com")
			m.asEntity("ann", logical.UpdateOperation, sign, request)
			m.passes(1)
			return ask{sign, request}
		}, would: "order", says: "has the key of the present certificate"},
		"a successor when the subscription is over": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
			m.asEntity("ann", logical.UpdateOperation, issue, www)
			time.Sleep(366 * day)
			return ask{issue, www}
		}, would: "order", says: "a new order was placed instead of a reissue"},
		"a renewal by an order": {setUp: func(m *mount) ask {
			resp, _ := m.asEntity("ann", logical.UpdateOperation, issue, www)
			return ask{"renew/web/" + serialOf(resp), nil}
		}, would: "order"},
		"a renewal that was made": {setUp: func(m *mount) ask {
			resp, _ := m.asEntity("ann", logical.UpdateOperation, issue, www)
			m.asEntity("ann", logical.UpdateOperation, "renew/web/"+serialOf(resp), nil)
			return ask{"renew/web/" + serialOf(resp), nil}
		}, would: "reuse"},
		"a renewal too early": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"renewal_window": "240h"})
			resp, _ := m.asEntity("ann", logical.UpdateOperation, issue, www)
			return ask{"renew/web/" + serialOf(resp), nil}
		}, would: "refuse", says: "the role renews from"},
		"a renewal of what another one ordered": {setUp: func(m *mount) ask {
			resp, _ := m.asEntity("bob", logical.UpdateOperation, issue, www)
			return ask{"renew/web/" + serialOf(resp), nil}
		}, would: "refuse", says: "was placed by another requester"},
		"a name that the role does not allow": {setUp: func(*mount) ask {
			return ask{issue, map[string]any{"common_name": "www.example.org"}}
		}, would: "refuse", says: "is not allowed"},
		"what is no name":        {setUp: func(*mount) ask { return ask{issue, map[string]any{"common_name": "-"}} }, would: "refuse", says: "is not a DNS host name"},
		"no name":                {setUp: func(*mount) ask { return ask{issue, nil} }, would: "refuse", says: "is required"},
		"a role that only signs": {setUp: role(map[string]any{"key_type": "any"}, issue, www), would: "refuse", says: "so it only signs"},
		"a key that the role forbids": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"key_type": "rsa"})
			return ask{sign, signing(m.t, "www.example.com")}
		}, would: "refuse", says: "csr: "},
		"a budget of orders": {setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, issue, host(1))
			return budget("web", map[string]any{"max_orders": 5})(m)
		}, would: "order"},
		"a budget that is used up": {setUp: func(m *mount) ask {
			m.write("budgets/web", map[string]any{"max_orders": 1})
			m.asEntity("ann", logical.UpdateOperation, issue, host(1))
			return ask{issue, www}
		}, would: "refuse", says: "is used up: 1 of 1"},
		"a reuse under a budget that is used up": {setUp: func(m *mount) ask {
			m.write("budgets/web", map[string]any{"max_orders": 1})
			m.asEntity("ann", logical.UpdateOperation, issue, www)
			return ask{issue, www}
		}, would: "reuse"},
		"several budgets that are used up": {setUp: func(m *mount) ask {
			for _, name := range []string{"a", "b", "c", "d"} {
				m.write("budgets/"+name, map[string]any{"max_orders": 1, "per": "role"})
			}
			m.asEntity("ann", logical.UpdateOperation, issue, host(1))
			return ask{issue, www}
		}, would: "refuse", says: "is used up"},
		"money that is not there": {setUp: budget("web", map[string]any{"max_spend": "20"}), would: "refuse", says: "has not enough left"},
		"money that is there":     {setUp: budget("web", map[string]any{"max_spend": "200"}), would: "order"},
		"a product that the mount may not order": {setUp: func(m *mount) ask {
			m.write("config", map[string]any{"allowed_products": "843"})
			return ask{issue, www}
		}, would: "refuse", says: "allowed_products"},
		"ordering that is paused": {setUp: func(m *mount) ask {
			m.write("config", map[string]any{"ordering": "paused"})
			return ask{issue, www}
		}, would: "refuse", says: "is paused"},
		"a reuse while ordering is paused": {setUp: func(m *mount) ask {
			m.asEntity("ann", logical.UpdateOperation, issue, www)
			m.write("config", map[string]any{"ordering": "paused"})
			return ask{issue, www}
		}, would: "reuse"},
		"a key that is compromised": {setUp: func(m *mount) ask {
			request := signing(m.t, "www.example.com")
			resp, _ := m.asEntity("ann", logical.UpdateOperation, sign, request)
			m.write("revoke", map[string]any{"serial_number": resp.Data["serial_number"], "reason": "key-compromise"})
			return ask{sign, request}
		}, would: "refuse", says: "is compromised"},
		"an order that has to be approved": {setUp: role(map[string]any{"require_approval": true}, order, www), would: "order"},
		"an order that waits for an approval": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"require_approval": true})
			m.asEntity("ann", logical.UpdateOperation, order, www)
			return ask{order, www}
		}, would: "join", says: "is approval"},
		"an order that needs no approval any more": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"require_approval": true})
			m.asEntity("ann", logical.UpdateOperation, order, www)
			m.patchRole(map[string]any{"require_approval": false})
			return ask{order, www}
		}, would: "order", says: "does not require any more"},
		"an order that was rejected": {setUp: func(m *mount) ask {
			m.patchRole(map[string]any{"require_approval": true})
			resp, _ := m.asEntity("ann", logical.UpdateOperation, order, www)
			m.decide("bob", resp.Data["order_id"].(string), "reject", "no")
			return ask{issue, www}
		}, would: "refuse", says: "is rejected"},
		"an order to approve under a budget that is used up": {setUp: func(m *mount) ask {
			m.write("budgets/web", map[string]any{"max_orders": 1})
			m.asEntity("ann", logical.UpdateOperation, issue, host(1))
			m.patchRole(map[string]any{"require_approval": true})
			return ask{order, www}
		}, would: "order"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.DomainValidity = 10 * 365 * day
				if c.ca != nil {
					c.ca(ca)
				}
				m := newMount(t, ca)
				m.write("config", map[string]any{"product_prices": map[string]any{"842": "25.00"}})
				asks := c.setUp(m)
				said := m.dry("ann", asks.path, asks.data)
				require.Equal(t, said, m.dry("ann", asks.path, asks.data), "it leaves nothing behind")
				require.Equal(t, c.would, said["would"], "%v", said)
				refusals := said["refusals"].([]string)
				require.Equal(t, c.would == "refuse", len(refusals) > 0)
				require.Equal(t, c.would == "refuse", len(said["checks_failed"].([]string)) > 0)
				require.Contains(t, said["why"].(string)+strings.Join(refusals, "\n"), c.says)
				did := m.done("ann", asks.path, asks.data)
				require.Equal(t, did.kind, said["would"], "%v %s", did.data, did.refusal)
				m.agrees(said, did)
			})
		})
	}
}

// agrees fails unless a dry run has said the order, the certificate, the price and the refusal that the request then came to.
func (m *mount) agrees(said map[string]any, did deed) {
	m.t.Helper()
	switch did.kind {
	case "refuse":
		require.Equal(m.t, did.refusal, said["refusals"].([]string)[0])
		require.Equal(m.t, "0.00", said["costs_now"])
	case "reuse":
		require.Equal(m.t, did.data["serial_number"], said["serial_number"])
		require.Equal(m.t, did.data["order_id"], said["order_id"])
		require.Equal(m.t, "0.00", said["costs_now"])
	case "join":
		require.Equal(m.t, did.data["order_id"], said["order_id"])
		require.Equal(m.t, "0.00", said["costs_now"])
	case "reissue":
		require.Equal(m.t, m.read("orders/web/" + did.data["order_id"].(string)).Data["reissue_of"], said["order_id"])
		require.Equal(m.t, m.read("cert/" + did.data["serial_number"].(string)).Data["reissue_of"], said["serial_number"])
		require.Equal(m.t, "0.00", said["costs_now"])
	case "order":
		require.Equal(m.t, "25.00", said["costs_now"])
		order := m.read("orders/web/" + did.data["order_id"].(string)).Data
		require.Equal(m.t, order["state"] == "approval", said["waits_for_approval"])
		if order["state"] != "approval" {
			require.Equal(m.t, order["price"], said["costs_now"])
		}
		for _, field := range []string{"common_name", "names", "product_code"} {
			require.Equal(m.t, order[field], said[field])
		}
	}
}

func TestADryRunNamesEveryCheckThatARequestFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		for _, name := range []string{"a", "b"} {
			m.write("budgets/"+name, map[string]any{"max_orders": 1})
		}
		m.write("issue/web", host(1))
		m.patchRole(map[string]any{"product_code": "844", "product_variant": "dv-ucc", "max_names": 1, "key_type": "any"})
		m.write("config", map[string]any{"ordering": "paused", "allowed_products": "843"})
		said := m.dry("", "issue/web", map[string]any{
			"common_name": "a.example.org", "alt_names": "b.example.org", "ttl": -1, "request_id": "a", "force_new": true,
		})
		require.Equal(t, "refuse", said["would"])
		require.Equal(t, "order", said["otherwise"])
		require.Equal(t, []string{"request", "allowed_names", "key", "ordering", "allowed_products", "budgets"}, said["checks_failed"])
		require.Equal(t, []string{"role", "names", "product_names", "product"}, said["checks_passed"])
		require.Len(t, said["refusals"], 2+3+1+1+1+2)
		for _, refusal := range said["refusals"].([]string) {
			require.Contains(t, said["summary"], refusal)
		}
	})
}

func TestADryRunTellsPricesBudgetsAndAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.paying(certinexttest.LedgerSample, false)
		time.Sleep(10 * time.Minute) // what is cached of the catalog is old
		m.write("budgets/all", map[string]any{"max_orders": 10, "period": "day"})
		m.write("budgets/money", map[string]any{"max_spend": "400", "per": "role"})
		m.write("budgets/mine", map[string]any{"max_open_orders": 2, "per": "requester"})
		m.write("budgets/other", map[string]any{"max_orders": 1, "roles": "other"})
		m.write("issue/web", host(1))
		said := m.dry("ann", "issue/web", www)
		require.Equal(t, []any{"150.00", "150.00", ""}, []any{said["price"], said["costs_now"], said["price_unknown"]})
		require.Contains(t, said["summary"], "would order product 842 for www.example.com, for 150.00")
		require.Equal(t, map[string]any{"200": "410.63", "100": "821.25", "47": "1747.34"}, said["yearly_costs"])
		require.Equal(t, map[string]any{"200": 2.74, "100": 5.48, "47": 11.65}, said["yearly_orders"])
		left := map[string]map[string]any{}
		for _, b := range said["budgets"].([]map[string]any) {
			left[b["budget"].(string)] = b
			require.Equal(t, true, b["admits"])
		}
		require.Len(t, left, 3)
		require.Equal(t, 8, left["all"]["orders_left"])
		require.Equal(t, "100.00", left["money"]["spend_left"])
		require.Equal(t, 1, left["mine"]["open_left"])
		m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Equal(t, 8, m.budgetUsage("all")["orders_left"], "as it was said")
		require.Equal(t, "100.00", m.budgetUsage("money")["spend_left"])

		refused := m.dry("ann", "issue/web", host(2))
		require.Equal(t, "refuse", refused["would"])
		for _, b := range refused["budgets"].([]map[string]any) {
			if b["budget"] == "money" {
				require.Equal(t, false, b["admits"])
				require.Equal(t, "100.00", b["spend_left"], "what is left now")
				require.Equal(t, refused["refusals"].([]string)[0], b["refusal"])
			}
		}
		m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false, "validity_years": 1})
		require.Equal(t, map[string]any{"200": "150.00", "100": "150.00", "47": "150.00"}, m.dry("bob", "issue/web", host(3))["yearly_costs"])
	})
}

// A policy demands dry_run=true, and clients spell it in their ways.
func TestNothingButABooleanIsADryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		for _, garbage := range []any{"yes", "", " ", "tru", nil, 2.5, []string{"true"}, map[string]any{}} {
			for _, path := range []string{"issue/web", "sign/web", "orders/web", "renew/web/01:02"} {
				data := map[string]any{"dry_run": garbage}
				if path != "renew/web/01:02" {
					data["common_name"] = "www.example.com"
				}
				resp, err := m.attempt(path, data)
				require.NoError(t, err)
				require.True(t, resp.IsError(), "%s %#v", path, garbage)
				require.Contains(t, resp.Error().Error(), "dry_run", "%s %#v", path, garbage)
			}
		}
		require.Empty(t, ca.Orders())
		for _, yes := range []any{true, "true", "TRUE", "1", 1} {
			require.Equal(t, "order", m.write("issue/web", with(map[string]any{"dry_run": yes})).Data["would"])
			for _, more := range []map[string]any{{"async": true}, {"async": true, "save_as_draft": true}, {"force_new": true}, {"format": "pkcs12_bundle"}} {
				require.Contains(t, m.write("issue/web", with(dryly(more))).Data, "would", "dry_run wins over %v", more)
			}
		}
		require.Empty(t, ca.Orders())
		require.Empty(t, m.list("orders/web"))
		for _, no := range []any{false, "false", "0"} {
			m.chainOK(m.write("issue/web", with(map[string]any{"dry_run": no})))
		}
		require.Len(t, ca.Orders(), 1)
		require.Contains(t, m.refused("orders/web/"+m.list("orders/web")[0], map[string]any{"dry_run": true, "promote": true}), "unknown field")
	})
}

// What the CA was asked is cached: a policy's dry runs do not wear it out.
func TestADryRunAsksTheCAWhatItsCachesLack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.dry("", "issue/web", www)
		ca.ResetCalls()
		for range 10 {
			m.dry("", "issue/web", host(1))
		}
		require.Empty(t, ca.Calls())
		time.Sleep(10 * time.Minute)
		m.dry("", "issue/web", host(1))
		require.Equal(t, 1, ca.Calls()[certinexttest.OpProducts])
		require.Equal(t, 1, ca.Calls()[certinexttest.OpDomains])
	})
}

// A validation that has run out covers nothing, whatever the list of domains calls it.
func TestADryRunKnowsThatAValidationHasRunOut(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.DomainValidity = 100 * day
		m := newMount(t, ca)
		domain := m.dry("", "issue/web", www)["domains"].([]map[string]any)[0]
		require.Equal(t, "yes", domain["validated"])
		till, err := time.Parse(time.RFC3339, domain["valid_till"].(string))
		require.NoError(t, err)
		time.Sleep(time.Until(till) + time.Hour)
		domain = m.dry("", "issue/web", www)["domains"].([]map[string]any)[0]
		require.Equal(t, "no", domain["validated"])
		require.Equal(t, "dns-txt", domain["dcv_method"])
		require.Contains(t, domain["how"], "vault read certinext/orders/web/<id>/dcv says how")
	})
}

// Each call of a dry run fails: it says what is not known, and all else.
func TestADryRunSaysWhatItCouldNotAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		time.Sleep(10 * time.Minute)
		for _, operation := range []string{certinexttest.OpProducts, certinexttest.OpDomains} {
			for range 20 {
				ca.Inject(certinexttest.Fault{Operation: operation, Kind: certinexttest.FaultServerError})
			}
		}
		said := m.dry("", "issue/web", www)
		require.Equal(t, "order", said["would"])
		require.Contains(t, said["price_unknown"], "the catalog cannot be asked")
		domain := said["domains"].([]map[string]any)[0]
		require.Equal(t, "unknown", domain["validated"])
		require.Contains(t, domain["how"], "cannot be read")
		require.Equal(t, "unknown", domain["caa"])
	})
}

// Dry runs and requests come at the same time, for the same and for other names.
func TestDryRunsAmongRequestsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 10 * time.Second
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 4})
		m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false, "rekey_orders": true})
		m.storage.lay(slowStorage{m.storage.under()})
		var wg sync.WaitGroup
		for n := range 40 {
			wg.Go(func() {
				time.Sleep(time.Duration(n) * 300 * time.Millisecond)
				data, path := host(n%4), "issue/web"
				if n%8 > 3 {
					path = "orders/web"
				}
				if n%2 == 0 {
					said := m.write(path, dryly(data)).Data["would"]
					assert.Contains(t, []any{"order", "join", "reuse", "reissue", "refuse"}, said)
					return
				}
				m.try(logical.UpdateOperation, path, data)
			})
		}
		wg.Wait()
		require.Len(t, ca.Orders(), 2, "those of the two names that were asked for")
		require.Equal(t, 2, m.budgetUsage("web")["orders_left"])
	})
}

// A faulty storage makes a dry run fail, and no more.
func TestADryRunThatCannotReadIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("budgets/web", map[string]any{"max_orders": 3})
		m.write("issue/web", www)
		m.start()
		storage := &faultyStorage{Storage: m.storage.under()}
		m.storage.lay(storage)
		for n := 1; ; n++ {
			storage.arm(n, 1, false)
			resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: dryly(host(1))})
			if storage.disarm() == "" {
				require.NoError(t, err)
				require.Equal(t, "order", resp.Data["would"])
				require.Greater(t, n, 2)
				return
			}
			require.True(t, err != nil || resp.IsError() || resp.Data["would"] == "order", "%v", resp)
		}
	})
}

// A node that may not write answers without being told.
func TestADryRunIsAnsweredWhereNothingCanBeStored(t *testing.T) {
	for name, refusal := range map[string]error{"read only": logical.ErrReadOnly, "broken": errors.New("disk full")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.storage.lay(readOnly{m.storage.under(), refusal})
				m.start()
				ca.ResetCalls()
				said := m.write("issue/web", dryly(www)).Data
				require.Equal(t, "order", said["would"])
				require.Empty(t, ca.Calls(), "a node that may not write asks the CA nothing")
				require.Contains(t, said["price_unknown"], "asks CERTInext nothing before it has written its storage")
				require.Equal(t, "unknown", said["domains"].([]map[string]any)[0]["validated"])
			})
		})
	}
}

// The approver sees what dry_run says.
func TestAnApproverSeesWhatADryRunSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.paying(certinexttest.LedgerSample, false)
		time.Sleep(10 * time.Minute) // what is cached of the catalog is old
		m.write("budgets/web", map[string]any{"max_spend": "400", "per": "requester"})
		said := m.dry("ann", "orders/web", www)
		id := m.toApprove()
		seen := m.read("approvals/web/" + id).Data
		for _, field := range []string{
			"common_name", "names", "product_code", "product_variant", "validity_years", "key_type", "csr_key_sha256", "group_number",
			"organization_number", "custom_fields", "price", "currency", "price_unknown", "yearly_costs", "yearly_orders", "budgets", "domains",
		} {
			require.Contains(t, seen, field)
			require.Equal(t, said[field], seen[field], field)
		}
		require.Equal(t, "150.00", seen["price"])
		require.Equal(t, "250.00", seen["budgets"].([]map[string]any)[0]["spend_left"])
		require.Equal(t, "yes", seen["domains"].([]map[string]any)[0]["validated"])
		m.approve(id)
		require.NotContains(t, m.read("approvals/web/"+id).Data, "budgets", "it is decided")
	})
}

// The domains are looked up where the solvers of the role look.
func TestADryRunSaysHowDomainsStand(t *testing.T) {
	ca := validated(certinexttest.Live)
	z := newZoned(t, ca, dcvtest.Zone{Name: "example.com", Records: []string{
		`allowed CAA 0 issue "emsign.com"`, `forbidden CAA 0 issue "letsencrypt.org"`, `nobody CAA 0 issue ";"`,
		`wild CAA 0 issue "emsign.com"`, `wild CAA 0 issuewild "digicert.com"`, `alias CNAME forbidden`,
	}}, dcvtest.Zone{Name: "example.org", Records: []string{`@ CAA 0 issue "emsign.com"`}})
	z.role("web", map[string]any{"product_code": "845", "product_variant": "dv-wildcard-ucc"})
	names := []string{"a.allowed.example.com", "www.forbidden.example.com", "nobody.example.com", "*.wild.example.com", "alias.example.com", "www.example.org"}
	said := z.dry("", "issue/web", map[string]any{"common_name": names[0], "alt_names": strings.Join(names[1:], ",")})
	require.Equal(t, "order", said["would"], "what CAA forbids is CERTInext's to refuse: %v", said["refusals"])
	got := map[string]map[string]any{}
	for _, d := range said["domains"].([]map[string]any) {
		got[d["domain"].(string)] = d
	}
	require.Equal(t, slices.Sorted(slices.Values(names)), slices.Sorted(maps.Keys(got)))
	for name, want := range map[string][3]any{
		"a.allowed.example.com":     {"allowed", "allowed.example.com", nil},
		"www.forbidden.example.com": {"forbidden", "forbidden.example.com", "issue allows letsencrypt.org, and not emsign.com"},
		"nobody.example.com":        {"forbidden", "nobody.example.com", "issue allows no CA"},
		"*.wild.example.com":        {"forbidden", "wild.example.com", "issuewild allows digicert.com, and not emsign.com"},
		"alias.example.com":         {"forbidden", "alias.example.com", "issue allows letsencrypt.org, and not emsign.com"},
		"www.example.org":           {"allowed", "example.org", nil},
	} {
		d := got[name]
		require.Equal(t, want, [3]any{d["caa"], d["caa_at"], d["caa_reason"]}, name)
	}
	require.Equal(t, "yes", got["nobody.example.com"]["validated"])
	require.Equal(t, "example.com", got["nobody.example.com"]["validated_by"])
	require.NotEmpty(t, got["nobody.example.com"]["valid_till"])
	require.Equal(t, "no", got["www.example.org"]["validated"])
	require.Equal(t, "dns-txt", got["www.example.org"]["dcv_method"])
	require.Equal(t, "corp", got["www.example.org"]["dcv_solver"])
	require.Equal(t, "solver corp publishes a TXT record", got["www.example.org"]["how"])
}

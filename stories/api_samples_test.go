// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An exchange is a request to the mount, and its answer.
type exchange struct {
	op      logical.Operation
	path    string
	request map[string]any
	answer  *logical.Response
}

// A recorder writes down what passes through the mount's door.
type recorder struct {
	logical.Backend
	exchanges []exchange
}

func (r *recorder) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	asked := maps.Clone(req.Data)
	resp, err := r.Backend.HandleRequest(ctx, req)
	if err == nil {
		r.exchanges = append(r.exchanges, exchange{op: req.Operation, path: req.Path, request: asked, answer: resp})
	}
	return resp, err
}

// refusals are the requests that the section on errors shows.
type refusals struct{ unfinished, unknownField, constraint exchange }

// story uses every path of a mount, and returns all that was said. It begins on the same day whenever it is told.
func story(t *testing.T) (exchanges []exchange, refused refusals) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)))
		m, r := recorded(t)
		tellEverything(m)
		refused = tellRefusals(m, r)
		tellEnd(m)
		exchanges = r.exchanges
	})
	return exchanges, refused
}

// tellEverything uses every path, but for what tellEnd deletes.
func tellEverything(m *mount) {
	tellAccount(m)
	tellSolvers(m)
	tellRoles(m)
	tellIssuing(m)
	tellStanding(m)
	tellOrders(m)
	tellDocuments(m)
	tellDomains(m)
	tellCertificates(m)
	tellRenewal(m)
	tellRevocation(m)
	tellSync(m)
	tellTidying(m)
	tellCampaigns(m)
	tellApprovals(m)
	tellBudgets(m)
	tellTrust(m)
}

func tellEnd(m *mount) {
	for _, path := range []string{"domains/example.net", "dcv/solvers/corp", "roles/web", "budgets/web", "config/trust/mozilla"} {
		m.must(call{op: logical.DeleteOperation, path: path})
	}
	m.must(call{op: logical.DeleteOperation, path: "config", data: map[string]any{"force": true}})
}

// recorded mounts the engine with a recorder at its door.
func recorded(t *testing.T) (*mount, *recorder) {
	t.Helper()
	m := bareMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, ClientSecret: "client-secret"})
	r := &recorder{Backend: m.backend}
	m.backend = r
	return m, r
}

func tellAccount(m *mount) {
	config := m.account()
	config["client_secret"] = "client-secret"
	m.write("config", config)
	m.must(call{op: logical.DeleteOperation, path: "config"}) // while nothing belongs to it
	m.write("config", config)
	for _, path := range []string{
		"config", "config/check", "account", "groups", "organizations", "organizations/" + certinexttest.DefaultOrganization,
		"catalog/products/842", "catalog/products/842/custom-fields", "reports/ledger",
	} {
		m.read(path)
	}
	m.query("catalog/products", map[string]any{"family": "ssl", "limit": 2})
}

func tellSolvers(m *mount) {
	m.write("dcv/solvers/corp", map[string]any{
		"provider": "rfc2136", "server": "127.0.0.1:9", "tsig_key_name": "vault.", "tsig_secret": "c2VjcmV0", "zone": "example.org",
	})
	m.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"ttl": "2m"}})
	m.read("dcv/solvers/corp")
	m.list("dcv/solvers")
	m.write("dcv/solvers/corp/check", nil)
}

func tellRoles(m *mount) {
	m.write("roles/web", map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com,example.org", "allow_subdomains": true, "issue_timeout": "20s",
	})
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
	m.read("roles/web")
	m.list("roles")
	m.write("config", map[string]any{"product_prices": map[string]any{"842": "25.00"}})
	m.write("budgets/web", map[string]any{"roles": "web", "max_orders": 100, "max_spend": "2500.00", "max_open_orders": 20})
}

func tellTrust(m *mount) {
	m.write("config/trust", map[string]any{"distrusted_keys": []string{"c9b1a5d3f2e04b6f8a7c1d2e3f405162738495a6b7c8d9eafb0c1d2e3f405162"}})
	m.read("config/trust")
	m.trustsAs("mozilla")
	m.list("config/trust")
	m.read("config/trust/mozilla")
}

func tellBudgets(m *mount) {
	m.read("budgets/web")
	m.list("budgets")
}

func tellApprovals(m *mount) {
	m.system.EntityVal = &logical.Entity{ID: "7d2e3179-f69b-450c-7179-ac8ee8bd8ca9", Name: "ann", Aliases: []*logical.Alias{{MountType: "userpass", Name: "ann"}}}
	m.write("roles/careful", map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true, "require_approval": true,
	})
	order := m.must(call{
		op: logical.UpdateOperation, path: "orders/careful", data: map[string]any{"common_name": "pay.example.com"},
		entity: m.system.EntityVal.ID, display: "userpass-ann",
	}).Data
	m.list("approvals")
	m.list("approvals/careful")
	path := "approvals/careful/" + order["order_id"].(string)
	m.read(path)
	m.must(call{
		op: logical.UpdateOperation, path: path, data: map[string]any{"decision": "approve", "remark": "as agreed"},
		entity: "c4d1f0a3-2b55-4c0f-9a7e-6f2d8e1b9c30", display: "userpass-bob",
	})
	m.system.EntityVal = nil
}

func tellIssuing(m *mount) {
	issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
	m.write("issuer/default/issue/web", map[string]any{"common_name": "api.example.com", "format": "pem_bundle"})
	for _, path := range []string{"sign/web", "issuer/default/sign/web"} {
		m.write(path, map[string]any{"csr": csr(m.t, newKey(m.t, elliptic.P256()), "shop.example.com", "shop.example.com")})
	}
	renewed := m.write("renew/web/"+issued.Data["serial_number"].(string), nil)
	m.write("issue/web", map[string]any{"common_name": "later.example.com", "async": true})
	m.write("renew/web/"+renewed.Data["serial_number"].(string), map[string]any{"async": true})
	m.write("issue/web", map[string]any{"common_name": "der.example.com", "format": "der"})
	for _, path := range []string{"issue/web", "orders/web"} {
		m.write(path, map[string]any{"common_name": "planned.example.com", "dry_run": true})
	}
	m.write("renew/web/"+renewed.Data["serial_number"].(string), map[string]any{"dry_run": true})
}

func tellOrders(m *mount) {
	path := func(order map[string]any) string { return "orders/web/" + order["order_id"].(string) }
	open := path(m.write("orders/web", map[string]any{"common_name": "www.example.org", "request_id": "deploy-17"}).Data)
	m.read(open)
	m.read("orders/web/request/deploy-17")
	m.list("orders/web")
	m.read(open + "/dcv")
	m.ca.VerifyDomain("www.example.org")
	m.write(open+"/dcv", map[string]any{"domain": "www.example.org", "method": "dns-txt"})

	unwanted := path(m.write("orders/web", map[string]any{"common_name": "unwanted.example.org"}).Data)
	m.must(call{op: logical.DeleteOperation, path: unwanted, data: map[string]any{"reason": "not needed any more"}})

	draft := path(m.write("orders/web", map[string]any{"common_name": "draft.example.com", "save_as_draft": true}).Data)
	m.write(draft, map[string]any{"promote": true})
	time.Sleep(time.Minute)
	m.pass()
	m.write(draft+"/collect", nil)
	m.query(draft+"/download/crt", map[string]any{"encoding": "base64"})
	m.write(draft+"/reissue", map[string]any{"reason": "the key has to change"})

	m.ca.Configure(func(ca *certinexttest.Server) { ca.Misissue = certinexttest.MisissueExtraName })
	wrong := path(m.write("orders/web", map[string]any{"common_name": "wrong.example.com"}).Data)
	m.pass()
	m.ca.Configure(func(ca *certinexttest.Server) { ca.Misissue = certinexttest.MisissueNone })
	m.write("operator/"+wrong, map[string]any{"release": true})
}

func tellDocuments(m *mount) {
	m.write("roles/signer", map[string]any{
		"product_code": "819", "attested": true, "key_type": "any", "generate_lease": false,
		"subject": map[string]any{
			"first_name": "Platform", "last_name": "Team", "email": "platform@example.com", "identification_number": "X1234567",
			"country_code": "IN", "locality": "Bengaluru", "state": "Karnataka", "designation": "Registrar",
		},
	})
	order := m.write("orders/signer", map[string]any{"csr": csr(m.t, newKey(m.t, elliptic.P256()), "Platform Team")}).Data
	m.write("orders/signer/"+order["order_id"].(string)+"/documents", map[string]any{
		"file_name": "passport.pdf", "description": "passport", "content": base64.StdEncoding.EncodeToString([]byte(aPDF)),
	})
}

func tellDomains(m *mount) {
	m.write("domains/example.net", map[string]any{"organization_number": certinexttest.DefaultOrganization})
	m.read("domains/example.net")
	m.ca.VerifyDomain("example.net")
	m.write("domains/example.net/verify", nil)
	m.read("domains")
	m.list("domains")
}

func tellCertificates(m *mount) {
	serial := m.write("issue/web", map[string]any{"common_name": "last.example.com"}).Data["serial_number"].(string)
	m.read("cert/" + serial)
	m.read("cert/" + serial + "/raw")
	m.read("cert/" + serial + "/raw/pem")
	m.read("cert/" + serial + "/download/crt")
	m.query("cert/"+serial+"/download/bundle", map[string]any{"encoding": "base64"})
	m.list("certs")
	m.query("inventory/certs", map[string]any{"name": "last.example.com", "expires_within": "400d"})
	m.query("inventory/certs/web", map[string]any{"name": "last.example.com", "format": "csv", "encoding": "base64"})
	m.query("inventory/orders", map[string]any{"name": "last.example.com", "sort": "-updated_at"})
	m.query("inventory/orders/web", map[string]any{"name": "last.example.com", "state": "issued"})
	m.keysOf("orders", map[string]any{"limit": 1})
	for _, path := range []string{
		"ca", "ca/pem", "ca_chain", "cert/ca", "cert/ca/raw", "cert/ca/raw/pem", "cert/ca_chain", "issuer/default", "issuer/default/json",
		"issuer/default/der", "issuer/default/pem", "config/acme", "config/cluster",
	} {
		m.read(path)
	}
	m.list("issuers")
	m.query("reports/orders", map[string]any{"status": "issued", "limit": 2})
	m.query("reports/spend", map[string]any{"group_by": "month,role", "role": "web"})
	m.write("reports/spend", map[string]any{"correct": true, "role": "web"})
}

func tellRevocation(m *mount) {
	issue := func(name string) map[string]any {
		return m.write("issue/web", map[string]any{"common_name": name}).Data
	}
	m.write("revoke", map[string]any{"serial_number": issue("one.example.com")["serial_number"], "reason": "superseded"})
	m.write("revoke/web", map[string]any{"order_id": issue("two.example.com")["order_id"], "note": "moved away"})
	held := issue("three.example.com")
	m.write("revoke-with-key", map[string]any{"certificate": held["certificate"], "private_key": held["private_key"], "reason": "key-compromise"})
	m.list("certs/revoked")

	queued := issue("four.example.com")
	m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
	m.write("revoke", map[string]any{"serial_number": queued["serial_number"]})
	m.list("certs/revocation-queue")
	m.ca.ClearFaults()

	path := "operator/revocations/" + queued["serial_number"].(string)
	config := m.account()
	config["client_secret"] = "client-secret"
	m.must(call{op: logical.DeleteOperation, path: "config", data: map[string]any{"force": true}})
	m.read(path)
	m.write(path, map[string]any{"end": true, "reason": "the account is closed"})
	config["product_prices"] = map[string]any{"842": "25.00"}
	m.write("config", config)
}

func tellRenewal(m *mount) {
	m.paying(certinexttest.LedgerSample, true)
	m.write("roles/lasting", map[string]any{
		"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal": "reissue", "generate_lease": false,
	})
	for range 2 {
		m.write("issue/lasting", map[string]any{"common_name": "lasting.example.com", "force_new": true})
	}
	m.read("operator/renewal/lasting")
	m.write("operator/renewal/lasting", map[string]any{"allow": true})
	m.paying(certinexttest.LedgerSample, false)
}

func tellSync(m *mount) {
	m.write("sync", nil)
	synctest.Wait()
	require.Equal(m.t, "done", m.read("sync").Data["state"])
	_, number := elsewhereWith(m.t, m.ca, "client-secret", "portal.example.com")
	time.Sleep(time.Minute)
	m.write("sync", nil)
	synctest.Wait()
	for _, serial := range m.list("certs") {
		if m.read("cert/" + serial).Data["ca_order_id"] == number {
			m.write("operator/adopt/web", map[string]any{"serial_number": serial, "entity_id": "4d1e2f3a-0000-4000-8000-00000000e001"})
			m.must(call{op: logical.DeleteOperation, path: "operator/adopt/web/" + serial})
			return
		}
	}
	require.Fail(m.t, "what was ordered elsewhere was not synchronized")
}

func tellTidying(m *mount) {
	m.write("tidy", map[string]any{"dry_run": true, "tidy_cert_store": true, "tidy_orders": true})
	synctest.Wait()
	m.write("tidy", map[string]any{"tidy_cert_store": true, "tidy_revoked_certs": true, "tidy_orders": true, "tidy_personal_data": true})
	synctest.Wait()
	require.Equal(m.t, "Finished", m.read("tidy-status").Data["state"])
	m.write("tidy-cancel", nil)
	m.write("config/auto-tidy", map[string]any{"enabled": true, "interval_duration": "24h", "tidy_cert_store": true, "tidy_revoked_certs": true})
	m.read("config/auto-tidy")
}

func tellCampaigns(m *mount) {
	issued := m.write("issue/web", map[string]any{"common_name": "campaign.example.com"})
	campaign := map[string]any{
		"serial_numbers": issued.Data["serial_number"], "note": "its root is distrusted from Friday on", "revoke": true, "revoke_after": "24h", "max_certificates": 10,
		"dry_run": true,
	}
	m.write("replace/friday", campaign)
	delete(campaign, "dry_run")
	m.write("replace/friday", campaign)
	m.write("replace/friday/pause", nil)
	m.pass()
	m.read("replace/friday")
	m.read("replace/friday/certs")
	m.write("replace/friday/resume", nil)
	m.write("replace/friday/abort", nil)
	m.pass()
	m.pass()
	m.list("replace")
	m.must(call{op: logical.DeleteOperation, path: "replace/friday"})
}

func tellStanding(m *mount) {
	_, err := m.manual.HandleRequest(m.t.Context(), &logical.Request{Operation: logical.ReadOperation, Path: "status", Storage: m.storage})
	require.NoError(m.t, err)
	synctest.Wait() // the certificates are counted behind the first reading
	m.read("status")
	m.read("metrics")
}

func tellRefusals(m *mount, r *recorder) refusals {
	last := func(path string, data map[string]any) exchange {
		m.refused(path, data)
		return r.exchanges[len(r.exchanges)-1]
	}
	m.ca.Configure(func(ca *certinexttest.Server) { ca.HoldForApproval = true })
	return refusals{
		unfinished:   last("issue/web", map[string]any{"common_name": "held.example.com"}),
		unknownField: last("roles/web", map[string]any{"product_code": "842", "allowed_domain": "example.com"}),
		constraint:   last("issue/web", map[string]any{"common_name": "www.example.net"}),
	}
}

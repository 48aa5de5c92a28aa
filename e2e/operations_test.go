// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A page is the commands of docs/operations.md, section by section; each block is taken once.
type page struct {
	sections map[string][]string
	operator string // the environment of whoever has the policy of operators, and nothing more
}

func operations(t *testing.T) *page {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	p := &page{sections: map[string][]string{}}
	for section := range strings.SplitSeq(string(text), "\n## ") {
		title, _, _ := strings.Cut(section, "\n")
		for _, m := range fenced.FindAllStringSubmatch(section, -1) {
			require.Equal(t, "shell", m[1], "a block that nobody runs")
			p.sections[title] = append(p.sections[title], m[2])
		}
	}
	return p
}

// take returns the next block of a section.
func (p *page) take(t *testing.T, title string, replace ...string) string {
	t.Helper()
	require.NotEmpty(t, p.sections[title], "no further block in %q", title)
	block := p.sections[title][0]
	p.sections[title] = p.sections[title][1:]
	if len(p.sections[title]) == 0 {
		delete(p.sections, title)
	}
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, block, replace[i], "the page has changed")
	}
	return strings.NewReplacer(replace...).Replace(block)
}

// TestTheOperationsPageDoesWhatItSays runs every command of docs/operations.md, and looks at what the page says of it.
func TestTheOperationsPageDoesWhatItSays(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	p := operations(t)
	v.enableLogins()
	p.operator = "VAULT_TOKEN=" + v.person("operator", nil, example(t, "policies/operator.hcl")).api.Token()
	snapshot := filepath.Join(v.dir, "backup.snap")
	v.run(t, p.take(t, "Backup", "backup.snap", snapshot))
	after := v.write("certinext/issue/web", map[string]any{"common_name": "after.example.com"})

	v.settles(t, ca, p)
	v.releases(t, ca, p)
	v.revokesAKey(t, p)
	v.replacesKeys(t, p)
	v.leavesACA(t, ca, p)
	v.leavesARoot(t, ca, p)
	v.shares(t, ca, p)
	v.rotates(t, ca, p)
	v.changes(t, p)
	v.adopts(t, ca, p)
	v.reloadsAfterWhoWaits(t, ca, p)
	v.tellsTheAudit(t, p)
	w := v.restoredByThePage(t, p, snapshot)
	serial := text(t, after.Data["serial_number"])
	require.Contains(t, w.list("certinext/certs"), serial)
	require.Empty(t, w.list("certinext/orders/web"), "the orders since are not brought back")
	w.process.stop()
	v.disables(t, ca, p)
	require.Empty(t, p.sections, "commands that were not run")
}

// settles has the reply to two orders lost, and settles one of each kind: CERTInext has the first, and never heard of the second.
func (v *server) settles(t *testing.T, ca *authority, p *page) {
	t.Helper()
	const title = "An order in doubt"
	v.write("certinext/config", map[string]any{"create_timeout": "1s"})
	inDoubt := func(name string, kind certinexttest.FaultKind) string {
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
		defer ca.ClearFaults()
		id := orderID.FindString(v.refused("certinext/issue/web", map[string]any{"common_name": name}))
		require.Equal(t, "unresolved", v.read("certinext/orders/web/" + id)["state"])
		return id
	}
	id := inDoubt("taken.example.com", certinexttest.FaultLostReply)
	out := v.run(t, p.take(t, title, "<id>", id), p.operator)
	require.Regexp(t, `remark vault-order:[a-z0-9]{26}`, out, "what to search for")
	v.run(t, p.take(t, title, "<id>", id, "<number>", ca.ordersFor("taken.example.com")[0].ID), p.operator)
	ca.check(t, v.persist(time.Minute, "certinext/issue/web", map[string]any{"common_name": "taken.example.com"}))
	require.Len(t, ca.ordersFor("taken.example.com"), 1)

	id = inDoubt("unheard.example.com", certinexttest.FaultServerError)
	time.Sleep(2 * time.Second)
	v.run(t, p.take(t, title, "<id>", id), p.operator)
	require.Equal(t, "failed", v.read("certinext/orders/web/" + id)["state"])
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "unheard.example.com"}))
	require.Len(t, ca.ordersFor("unheard.example.com"), 1)
	v.write("certinext/config", map[string]any{"create_timeout": "0s"})
}

// releases hands over one certificate that is not what was ordered, and revokes another one.
func (v *server) releases(t *testing.T, ca *authority, p *page) {
	t.Helper()
	const title = "A certificate that is held"
	held := func(name string) (id, serial string) {
		ca.Configure(func(s *certinexttest.Server) { s.Misissue = certinexttest.MisissueExtraName })
		defer ca.Configure(func(s *certinexttest.Server) { s.Misissue = certinexttest.MisissueNone })
		id = orderID.FindString(v.refused("certinext/issue/web", map[string]any{"common_name": name}))
		order := v.read("certinext/orders/web/" + id)
		require.Equal(t, "held", order["state"])
		return id, text(t, order["serial_number"])
	}
	id, serial := held("wide.example.com")
	out := v.run(t, p.take(t, title, "<id>", id, "<serial>", serial), p.operator)
	require.Contains(t, out, "was not ordered")
	require.Contains(t, out, "BEGIN CERTIFICATE")
	v.run(t, p.take(t, title, "<id>", id), p.operator)
	resp := v.write("certinext/issue/web", map[string]any{"common_name": "wide.example.com"})
	require.Equal(t, serial, resp.Data["serial_number"])
	require.NotEmpty(t, resp.Warnings, "it is not what was ordered")

	_, serial = held("unwanted-name.example.com")
	v.run(t, p.take(t, title, "<serial>", serial), p.operator)
	require.Equal(t, "revoked", ca.ordersFor("unwanted-name.example.com")[0].Status)
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "unwanted-name.example.com"}))
}

// revokesAKey revokes a certificate since its key is out, and looks whether the key is refused from then on.
func (v *server) revokesAKey(t *testing.T, p *page) {
	t.Helper()
	const title = "A private key that is out"
	_, request := newCSR(t, "out.example.com")
	csr := map[string]any{"csr": request}
	resp := v.write("certinext/sign/web", csr)
	serial := text(t, resp.Data["serial_number"])
	v.run(t, p.take(t, title, "<serial>", serial), p.operator)
	out := v.run(t, p.take(t, title, "<serial>", serial), p.operator)
	require.NotRegexp(t, `(?m)^0$`, out, "CERTInext was asked at once")
	require.Contains(t, v.refused("certinext/sign/web", csr), "compromise", "the key is known for good")
}

// shares sets up a mount for another region, and one more for the same account.
func (v *server) shares(t *testing.T, ca *authority, p *page) {
	t.Helper()
	const title = "Two mounts, one account or several"
	elsewhere := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	elsewhere.keepSecrets(v)
	for _, c := range []struct {
		mount string
		ca    *authority
	}{{"certinext-eu", elsewhere}, {"certinext-lab", ca}} {
		fields, err := json.Marshal(c.ca.account())
		require.NoError(t, err)
		file := v.file(t, c.mount+".json", string(fields))
		require.Contains(t, v.run(t, p.take(t, title, "@account.json", "@"+file)), "true")
		role := v.read("certinext/roles/web")
		v.write(c.mount+"/roles/web", map[string]any{"product_code": "842", "product_variant": role["product_variant"], "allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": false})
	}
	theirs := v.write("certinext-lab/issue/web", map[string]any{"common_name": "lab.example.com"})
	require.Len(t, ca.ordersFor("lab.example.com"), 1, "it is the same account")
	require.NotContains(t, v.list("certinext/certs"), theirs.Data["serial_number"])
	v.write("certinext/sync", nil)
	waitUntil(t, time.Minute, "it is compared with the CA", func() bool { return v.read("certinext/sync")["state"] == "done" })
	require.Contains(t, v.list("certinext/certs"), theirs.Data["serial_number"], "sync lists the other mount's")
	reason := v.refused("certinext/revoke/web", map[string]any{"serial_number": theirs.Data["serial_number"]})
	require.NotEmpty(t, reason, "it is none of this mount's role")
	require.Equal(t, "issued", ca.ordersFor("lab.example.com")[0].Status)

	account := elsewhere.account()
	v.write("certinext-eu/issue/web", map[string]any{"common_name": "eu.example.com"})
	require.Len(t, elsewhere.ordersFor("eu.example.com"), 1)
	require.Empty(t, ca.ordersFor("eu.example.com"))
	open := func(s *certinexttest.Server) { s.HoldForApproval = true }
	ca.Configure(open)
	order := v.write("certinext/orders/web", map[string]any{"common_name": "region.example.com"})
	ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
	require.Contains(t, v.refused("certinext/config", account), "force", "it is another account")
	_, err := v.api.Logical().DeleteWithContext(t.Context(), "certinext/orders/web/"+text(t, order.Data["order_id"]))
	require.NoError(t, err)
}

// rotates writes another credential of the same account, while an order is open.
func (v *server) rotates(t *testing.T, ca *authority, p *page) {
	t.Helper()
	ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
	open := v.write("certinext/orders/web", map[string]any{"common_name": "open.example.com"})
	ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
	account := ca.account()
	secret := v.file(t, "new_secret", text(t, account["client_secret"]))
	out := v.run(t, p.take(t, "Rotating the credential", "dev-client", text(t, account["client_id"]), "@new_secret", "@"+secret), p.operator)
	require.Contains(t, out, "true")
	path := "certinext/orders/web/" + text(t, open.Data["order_id"])
	require.Equal(t, "pending", v.read(path)["state"])
	_, err := v.api.Logical().DeleteWithContext(t.Context(), path)
	require.NoError(t, err)
}

// changes looks at what writes and patches leave of what was there.
func (v *server) changes(t *testing.T, p *page) {
	t.Helper()
	v.role("web", map[string]any{"ttl": "1h", "generate_lease": false})
	before := v.read("certinext/config")
	v.run(t, p.take(t, "What a write changes"), p.operator)
	config := v.read("certinext/config")
	require.EqualValues(t, 10, number(t, config["requests_per_second"]))
	require.Equal(t, before["base_url"], config["base_url"])
	require.Equal(t, true, v.read("certinext/config/check")["ok"], "the secrets stay")
	role := v.read("certinext/roles/web")
	require.EqualValues(t, 30, number(t, role["issue_timeout"]))
	require.EqualValues(t, 3600, number(t, role["ttl"]), "a patch leaves the rest alone")

	v.write("certinext/config", map[string]any{"requests_per_second": 0, "default_product_code": "842"})
	v.write("certinext/config", map[string]any{"default_product_code": ""})
	require.Empty(t, v.read("certinext/config")["default_product_code"], "what is given as empty is emptied")
	require.Contains(t, v.refused("certinext/config", map[string]any{"base_url": "http://127.0.0.1:1"}), "secret")
	_, err := v.api.Logical().JSONMergePatch(t.Context(), "certinext/config", map[string]any{"default_product_code": "842"})
	require.Error(t, err, "config is not patched")

	v.role("web", nil)
	role = v.read("certinext/roles/web")
	require.Zero(t, number(t, role["ttl"]), "a write begins from the defaults")
	require.Equal(t, true, role["generate_lease"])

	v.write("certinext/dcv/solvers/corp", map[string]any{
		"provider": "rfc2136", "server": "127.0.0.1:1", "tsig_key_name": "vault", "tsig_secret": "c2VjcmV0",
	})
	reason := v.refused("certinext/dcv/solvers/corp", map[string]any{"provider": "rfc2136", "server": "127.0.0.1:2", "tsig_key_name": "vault"})
	require.Contains(t, reason, "tsig_secret", "a write takes no credential over")
	_, err = v.api.Logical().JSONMergePatch(t.Context(), "certinext/dcv/solvers/corp", map[string]any{"ttl": "2m"})
	require.NoError(t, err)
	_, err = v.api.Logical().DeleteWithContext(t.Context(), "certinext/dcv/solvers/corp")
	require.NoError(t, err)
}

// adopts takes in what somebody has ordered in the CA's portal, and gives it to a role.
func (v *server) adopts(t *testing.T, ca *authority, p *page) {
	t.Helper()
	const section, name = "What was ordered elsewhere", "www.shop.example.com"
	client := &certinext.Client{BaseURL: ca.url, Credentials: certinext.OAuth{
		ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret,
	}}
	_, csr := newCSR(t, name)
	_, err := client.CreateOrder(t.Context(), certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: name, CSR: csr, ValidityYears: 1,
		Requestor: certinext.Contact{Name: "Web Team", Email: "web@example.com"},
		Agreement: &certinext.Agreement{SignerName: "Web Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7", Accepted: true},
	})
	require.NoError(t, err)
	waitUntil(t, 20*time.Second, "it is issued", func() bool { return ca.ordersFor(name)[0].Status == "issued" })
	v.role("web", nil)
	require.Contains(t, v.run(t, p.take(t, section), p.operator), "automatic")
	waitUntil(t, time.Minute, "it is synchronized", func() bool { return v.read("certinext/sync")["state"] == "done" })
	before := v.list("certinext/orders/web")
	entity := v.read("identity/entity/name/operator")["id"]
	v.run(t, p.take(t, section, "<entity>", text(t, entity)), p.operator)
	adopted := slices.DeleteFunc(v.list("certinext/orders/web"), func(id string) bool { return slices.Contains(before, id) })
	require.Len(t, adopted, 1)
	order := v.read("certinext/orders/web/" + adopted[0])
	require.Equal(t, name, order["common_name"])
	serial := text(t, order["serial_number"])
	require.Equal(t, "adopted", v.read("certinext/cert/" + serial)["origin"])
	v.run(t, p.take(t, section, "<serial>", serial), p.operator)
	require.Equal(t, "synchronized", v.read("certinext/cert/" + serial)["origin"])
	require.Equal(t, before, v.list("certinext/orders/web"))
	v.write("certinext/config", map[string]any{"sync_interval": 0})
}

// reloadsAfterWhoWaits measures how long a reload takes while an issue waits for its order.
func (v *server) reloadsAfterWhoWaits(t *testing.T, ca *authority, p *page) {
	t.Helper()
	const former = 8 * time.Second
	v.role("web", map[string]any{"issue_timeout": "8s"})
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
	reload := func(name string) time.Duration {
		orders := len(ca.Orders())
		answered := make(chan error, 1)
		go func() {
			_, err := v.send("certinext/issue/web", map[string]any{"common_name": name})
			answered <- err
		}()
		waitUntil(t, 20*time.Second, "it is ordered", func() bool { return len(ca.Orders()) > orders })
		begun := time.Now()
		v.write("sys/plugins/reload/backend", map[string]any{"mounts": "certinext/"})
		took := time.Since(begun)
		require.True(t, isRefusal(<-answered), "it was answered before")
		return took
	}
	waited := reload("long.example.com")
	require.Greater(t, waited, former/2, "a reload does not wait")
	v.run(t, p.take(t, "Upgrade and rollback"), p.operator)
	short := reload("short.example.com")
	require.Less(t, short, waited)
	t.Logf("a reload took %s while an issue waited for up to %s, and %s with issue_timeout=1s", waited, former, short)
	v.run(t, p.take(t, "Upgrade and rollback"), p.operator)
	require.EqualValues(t, 45, number(t, v.read("certinext/roles/web")["issue_timeout"]))
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
	for _, name := range []string{"long.example.com", "short.example.com"} {
		ca.check(t, v.persist(time.Minute, "certinext/issue/web", map[string]any{"common_name": name}))
		require.Len(t, ca.ordersFor(name), 1)
	}
}

// tellsTheAudit has the page's fields shown in clear, and sends secrets through each of them. That none is in the log is looked at
// when the server ends.
func (v *server) tellsTheAudit(t *testing.T, p *page) {
	t.Helper()
	block := p.take(t, "Audit")
	v.run(t, block, p.operator)
	for _, secret := range []string{"private_key", "certificate", "client_secret", "access_key", "consent_token", "tsig_secret", "pkcs12_password", "jks_password"} {
		require.NotRegexp(t, `keys=`+secret+`\b`, block)
	}
	for format, name := range map[string]string{"pem": "pem", "pem_bundle": "bundle", "der": "der", "pkcs12_bundle": "store"} {
		data := map[string]any{"common_name": "audit-" + name + ".example.com", "format": format}
		if format == "pkcs12_bundle" {
			data["pkcs12_password"] = "a password of a keystore"
			v.keep("a keystore's password", "a password of a keystore")
		}
		resp := v.write("certinext/issue/web", data)
		held := text(t, resp.Data["certificate"])
		if format == "pem_bundle" {
			v.keep("a private key in a bundle", held[:strings.Index(held, "-----BEGIN CERTIFICATE")])
		}
	}
	v.refused("certinext/issue/web", map[string]any{"common_name": "www.example.net"})
	log, err := os.ReadFile(filepath.Join(v.dir, "audit.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), `"common_name":"audit-bundle.example.com"`)
	require.Contains(t, string(log), "is not allowed by the role", "the reason is in clear")
	v.checkSecrets(t)
}

// restoredByThePage restores the snapshot on another server, held.
func (v *server) restoredByThePage(t *testing.T, p *page, snapshot string) *server {
	t.Helper()
	w := newServer(t, "restored", "performance_multiplier = 1")
	w.process.stop()
	w.env = []string{"CERTINEXT_HOLD=1"}
	w.launch(t)
	w.initialize()
	w.awaken()
	w.run(t, p.take(t, "Restore", "backup.snap", snapshot))
	w.unseal = v.unseal
	w.api.SetToken(v.api.Token())
	waitUntil(t, 30*time.Second, "Vault is sealed by the snapshot", func() bool {
		h := w.health()
		return h != nil && h.Sealed
	})
	w.awaken()
	require.Contains(t, w.run(t, p.take(t, "Restore"), p.operator), "true")
	waitUntil(t, time.Minute, "it is compared with the CA", func() bool { return w.read("certinext/sync")["state"] == "done" })
	return w
}

// disables gives up the mount as the page says: held, so that what is in use stays.
func (v *server) disables(t *testing.T, ca *authority, p *page) {
	t.Helper()
	v.write("certinext/issue/web", map[string]any{"common_name": "leased.example.com"})
	unwanted := v.write("certinext/issue/web", map[string]any{"common_name": "unwanted.example.com"})
	ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
	v.write("certinext/orders/web", map[string]any{"common_name": "left.example.com"})
	ended := v.write("certinext/orders/web", map[string]any{"common_name": "ended.example.com"})
	v.run(t, p.take(t, "Disabling the mount"), p.operator)
	_, err := v.send("certinext/issue/web", map[string]any{"common_name": "late.example.com"})
	require.ErrorContains(t, err, "is paused in config")
	v.run(t, p.take(t, "Disabling the mount", "<id>", text(t, ended.Data["order_id"]), "<serial>", text(t, unwanted.Data["serial_number"])), p.operator)
	require.Equal(t, "cancelled", ca.ordersFor("ended.example.com")[0].Status)
	require.Equal(t, "revoked", ca.ordersFor("unwanted.example.com")[0].Status)
	v.process.stop()
	v.env = []string{"CERTINEXT_HOLD=1"}
	v.restart()
	v.run(t, p.take(t, "Disabling the mount"))
	_, err = v.api.Sys().MountConfigWithContext(t.Context(), "certinext")
	var gone *api.ResponseError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, http.StatusBadRequest, gone.StatusCode)
	require.Equal(t, "issued", ca.ordersFor("leased.example.com")[0].Status, "a held mount revokes nothing")
	require.Equal(t, "pending-approval", ca.ordersFor("left.example.com")[0].Status, "it goes on at the CA")
}

// replacesKeys replaces what may be out before it is revoked.
func (v *server) replacesKeys(t *testing.T, p *page) {
	t.Helper()
	const title, name = "A private key that is out", "lost-backup.example.com"
	v.role("web", map[string]any{"generate_lease": false, "reuse_window": 0})
	first := text(t, v.write("certinext/issue/web", map[string]any{"common_name": name}).Data["serial_number"])
	require.Contains(t, v.run(t, p.take(t, title, "<serial>", first), p.operator), "The campaign has begun")
	v.isFiled(t, "lost-backup")
	second := text(t, v.write("certinext/issue/web", map[string]any{"common_name": name}).Data["serial_number"])
	v.run(t, p.take(t, title), p.operator)
	require.Equal(t, "aborted", v.read("certinext/replace/lost-backup")["state"])
	require.Equal(t, second, v.read("certinext/cert/" + first)["renewed_by"], "the next request takes its place")
}

// isFiled waits until the pass has given a campaign's first certificate its turn.
func (v *server) isFiled(t *testing.T, campaign string) {
	t.Helper()
	waitUntil(t, 3*time.Minute, "a certificate has its turn", func() bool {
		for stage, n := range v.read("certinext/replace/" + campaign)["stages"].(map[string]any) {
			if stage != "waiting" && number(t, n) > 0 {
				return true
			}
		}
		return false
	})
}

// leavesACA has the key of a CA be known as public, and replaces what it has issued.
func (v *server) leavesACA(t *testing.T, ca *authority, p *page) {
	t.Helper()
	const title = "A CA whose key is out"
	var issuing string
	for _, record := range ca.CAs() {
		if record.Family == certinexttest.FamilySSL && record.Signs && !record.Root {
			block, _ := pem.Decode([]byte(record.CertificatePEM))
			cert, err := x509.ParseCertificate(block.Bytes)
			require.NoError(t, err)
			sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
			issuing = hex.EncodeToString(sum[:])
		}
	}
	before := len(ca.Orders())
	out := v.run(t, p.take(t, title, "<hash>", issuing), p.operator)
	require.NotRegexp(t, `(?m)^total +0$`, out)
	require.Len(t, ca.Orders(), before, "a dry run buys nothing")
	require.Contains(t, v.run(t, p.take(t, title, "<hash>", issuing), p.operator), "running")
	v.run(t, p.take(t, title), p.operator)
	require.Equal(t, true, v.read("certinext/roles/web")["replace_revoked"])
	v.write("certinext/replace/ca-key/abort", nil)
	v.write("certinext/config/trust", map[string]any{"distrusted_keys": ""})
	v.write("certinext/config", map[string]any{"sync_interval": 0})
}

// leavesARoot replaces what is below a root that one family of clients drops.
func (v *server) leavesARoot(t *testing.T, ca *authority, p *page) {
	t.Helper()
	const title, name = "A root that clients drop", "dropped.example.com"
	v.role("web", map[string]any{"generate_lease": false})
	first := text(t, v.write("certinext/issue/web", map[string]any{"common_name": name}).Data["serial_number"])
	for _, record := range ca.CAs() {
		if record.Family == certinexttest.FamilySSL && record.Signs && record.Root {
			require.NoError(t, ca.DropRoot("mozilla", record.Name))
		}
	}
	require.NoError(t, ca.ReplaceRoot(certinexttest.FamilySSL))
	roots, err := ca.ClientRoots("mozilla")
	require.NoError(t, err)
	file := v.file(t, "mozilla.pem", string(roots))
	out := v.run(t, p.take(t, title, "@mozilla.pem", "@"+file), p.operator)
	require.Contains(t, out, name)
	v.run(t, p.take(t, title), p.operator)
	v.isFiled(t, "dropped-root")
	v.run(t, p.take(t, title), p.operator)
	require.Equal(t, "aborted", v.read("certinext/replace/dropped-root")["state"])
	again := v.write("certinext/issue/web", map[string]any{"common_name": "after-" + name})
	trust := v.read("certinext/cert/" + text(t, again.Data["serial_number"]))["trust"].(map[string]any)
	require.Contains(t, trust["accepted_by"], "mozilla")
	require.NotEmpty(t, first)
	_, err = v.api.Logical().DeleteWithContext(t.Context(), "certinext/config/trust/mozilla")
	require.NoError(t, err)
}

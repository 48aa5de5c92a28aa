// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

	v.rotates(t, ca, p)
	v.changes(t, p)
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

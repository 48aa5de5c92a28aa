// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// These are the stories of those who repeat what has succeeded: the same request is one purchase.

// requireAgain requires that an answer is an earlier one again: the same certificate and key, said to be reused, and a lease of its own.
func requireAgain(t *testing.T, first, again *api.Secret) {
	t.Helper()
	require.Equal(t, true, again.Data["reused"])
	for field := range first.Data {
		if field != "reused" {
			require.Equal(t, first.Data[field], again.Data[field], field)
		}
	}
	require.Len(t, again.Data, len(first.Data))
	if first.LeaseID != "" {
		require.NotEqual(t, first.LeaseID, again.LeaseID)
	}
}

// failsFor is how long a broken template is left to fail: a minute, or what E2E_FAILS_FOR says, e.g. 1h.
func failsFor(t *testing.T) time.Duration {
	t.Helper()
	name := os.Getenv("E2E_FAILS_FOR")
	if name == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(name)
	require.NoError(t, err)
	return d
}

// Vault Agent asks for the certificate first and finds out afterwards that it cannot use it: it begins anew, again and again, for as long as
// nobody mends the template. It pays once.
func TestVaultAgentWhoseTemplateFailsAfterItsRequestPaysOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	require.NoError(t, v.api.Sys().PutPolicyWithContext(t.Context(), "agent", `path "certinext/issue/+" { capabilities = ["update"] }`))
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in-the-way"), nil, 0o600))
	good := filepath.Join(dir, "good.pem")
	type agent struct {
		name, template, destination string
		role                        map[string]any
		process                     *process
	}
	agents := []*agent{
		{
			name: "typo", destination: good, role: map[string]any{"generate_lease": false},
			template: `{{ with pkiCert "certinext/issue/typo" "common_name=typo.example.com" }}{{ .Cert }}{{ .CAChian }}{{ end }}`,
		},
		{
			name: "unwritable", destination: filepath.Join(dir, "in-the-way", "cert.pem"), role: map[string]any{"generate_lease": false},
			template: `{{ with pkiCert "certinext/issue/unwritable" "common_name=unwritable.example.com" }}{{ .Cert }}{{ .Key }}{{ end }}`,
		},
		{
			name: "leased", destination: filepath.Join(dir, "in-the-way", "leased.pem"),
			template: `{{ with secret "certinext/issue/leased" "common_name=leased.example.com" }}{{ .Data.certificate }}{{ .Data.private_key }}{{ end }}`,
		},
	}
	start := func(a *agent) {
		if a.process != nil {
			a.process.kill() // it pauses between its attempts, and would only stop after that
		}
		a.process = spawn(t, filepath.Join(dir, a.name+".log"), programs.vault, "agent", "-config="+filepath.Join(dir, a.name+".hcl"))
	}
	for _, a := range agents {
		v.role(a.name, a.role)
		v.write("auth/approle/role/"+a.name, map[string]any{"token_policies": "agent", "token_ttl": "24h"})
		secretID := text(t, v.write("auth/approle/role/"+a.name+"/secret-id", nil).Data["secret_id"])
		v.keep("the agent's secret id", secretID)
		for name, content := range map[string]string{
			".role-id": text(t, v.read("auth/approle/role/" + a.name + "/role-id")["role_id"]), ".secret-id": secretID, ".tpl": a.template,
			".hcl": fmt.Sprintf(`
vault { address = %q }
auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = %q
      secret_id_file_path                 = %q
      remove_secret_id_file_after_reading = false
    }
  }
}
template {
  source      = %q
  destination = %q
}
`, v.address, filepath.Join(dir, a.name+".role-id"), filepath.Join(dir, a.name+".secret-id"), filepath.Join(dir, a.name+".tpl"), a.destination),
		} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, a.name+name), []byte(content), 0o600))
		}
		start(a)
	}
	for deadline := time.Now().Add(failsFor(t)); time.Now().Before(deadline); time.Sleep(time.Second) {
		for _, a := range agents {
			if a.process.ended() {
				start(a) // as whatever looks after it does
			}
			require.LessOrEqual(t, len(ca.ordersFor(a.name+".example.com")), 1, "%s was bought again", a.name)
		}
	}
	for _, a := range agents {
		require.Len(t, ca.ordersFor(a.name+".example.com"), 1)
		asked := v.answered("certinext/issue/" + a.name)
		t.Logf("%s: %d answers in %s, and one order", a.name, asked, failsFor(t))
		require.Greater(t, asked, 2, "the agent has not asked again, so that nothing is proven")
	}

	// Somebody mends the template, and the agent has the certificate that was paid for.
	typo := agents[0]
	require.NoError(t, os.WriteFile(filepath.Join(dir, "typo.tpl"), []byte(strings.Replace(typo.template, ".CAChian", ".Key", 1)), 0o600))
	start(typo)
	waitUntil(t, 30*time.Second, "the agent renders", func() bool {
		b, _ := os.ReadFile(good)
		return strings.Contains(string(b), "PRIVATE KEY")
	})
	b, err := os.ReadFile(good)
	require.NoError(t, err)
	v.keep("a rendered key", string(b[strings.Index(string(b), "-----BEGIN EC"):]))
	leaf := parseCertificate(t, string(b))
	require.Equal(t, []string{leaf.SerialNumber.Text(16)}, ca.paid("typo.example.com"))
	for _, a := range agents {
		a.process.kill()
	}
}

// audited is an entry of the audit log: a request, or the response to one.
type audited struct {
	Type    string `json:"type"`
	Request struct {
		Path string `json:"path"`
	} `json:"request"`
	Response struct {
		Data map[string]any `json:"data"`
	} `json:"response"`
}

// answered counts the successful answers of a path, by the audit log.
func (v *server) answered(path string) int {
	return v.audited(path, func(e audited) bool { return e.Type == "response" && e.Response.Data["certificate"] != nil })
}

// asked counts the requests of a path, by the audit log.
func (v *server) asked(path string) int {
	return v.audited(path, func(e audited) bool { return e.Type == "request" })
}

func (v *server) audited(path string, counts func(audited) bool) int {
	v.t.Helper()
	log, err := os.ReadFile(filepath.Join(v.dir, "audit.log"))
	require.NoError(v.t, err)
	n := 0
	for line := range strings.Lines(string(log)) {
		var entry audited
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Request.Path == path && counts(entry) {
			n++
		}
	}
	return n
}

// An answer that is wrapped, and that nobody unwraps in time, is asked for again: over plain HTTP, as scripts do it with curl.
func TestAWrappedAnswerThatNobodyReadsIsAnsweredAgainAndPaidOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	post := func(path, token, wrap, body string) *api.Secret {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.address+"/v1/"+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("X-Vault-Token", token)
		if wrap != "" {
			req.Header.Set("X-Vault-Wrap-TTL", wrap)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		secret, err := api.ParseSecret(resp.Body)
		require.NoError(t, err)
		return secret
	}
	ask := func(wrap string) *api.Secret {
		return post("certinext/issue/web", v.api.Token(), wrap, `{"common_name": "www.example.com"}`)
	}
	var wrapped *api.Secret
	for i := range 5 {
		wrapped = ask("1s")
		require.NotNil(t, wrapped.WrapInfo)
		require.Nil(t, wrapped.Data)
		if i%2 == 0 {
			time.Sleep(1500 * time.Millisecond) // the answer is gone before anybody has looked
		}
	}
	_, err := v.api.Logical().UnwrapWithContext(t.Context(), wrapped.WrapInfo.Token)
	require.Error(t, err, "the last answer could still be read")

	wrapped = ask("1m")
	resp := post("sys/wrapping/unwrap", wrapped.WrapInfo.Token, "", "{}")
	v.keep("a private key", text(t, resp.Data["private_key"]))
	leaf := ca.check(t, resp)
	require.Equal(t, leaf.SerialNumber.Text(16), ca.onlyOrder(t).Serials[0])
	require.Equal(t, 1, ca.onlyOrder(t).Creates)
	require.Equal(t, true, resp.Data["reused"])

	// Whoever revokes it is told that others may have it, too.
	revoked := v.write("certinext/revoke/web", map[string]any{"serial_number": resp.Data["serial_number"]})
	require.Equal(t, int64(6), number(t, revoked.Data["handed_to"]))
	require.Contains(t, strings.Join(revoked.Warnings, " "), "6 times")
	again := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	require.Equal(t, false, again.Data["reused"], "what is revoked is not handed over again")
	require.Len(t, ca.Orders(), 2)
}

// What a repeated request gets is the role's to say, and the request's.
func TestARoleSaysHowLongARepeatedRequestGetsTheSameCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("apart", map[string]any{"reuse_window": 0})
	v.role("brief", map[string]any{"reuse_window": "2s"})
	v.role("patient", map[string]any{"delivery_grace": 0, "reuse_window": "1h"})
	ask := func(role string, more ...string) *api.Secret {
		request := map[string]any{"common_name": role + ".example.com"}
		for _, field := range more {
			request[field] = true
		}
		return v.write("certinext/issue/"+role, request)
	}
	paid := func(role string) int { return len(ca.paid(role + ".example.com")) }

	first := ask("apart")
	require.NotEqual(t, first.Data["serial_number"], ask("apart").Data["serial_number"])
	require.Equal(t, 2, paid("apart"))

	first = ask("brief")
	for range 4 { // the window begins anew with every answer
		time.Sleep(time.Second)
		requireAgain(t, first, ask("brief"))
	}
	time.Sleep(2500 * time.Millisecond)
	require.Equal(t, false, ask("brief").Data["reused"])
	require.Equal(t, 2, paid("brief"))

	first = ask("patient")
	time.Sleep(time.Second) // the grace is over
	v.killPlugin()          // and what the process knew of its answers is gone
	requireAgain(t, first, v.persist(30*time.Second, "certinext/issue/patient", map[string]any{"common_name": "patient.example.com"}))
	require.Equal(t, 1, paid("patient"))

	// force_new passes over what was handed over, each time; the next request without it gets one that there is.
	first = ask("web")
	forced := []any{first.Data["serial_number"]}
	for range 2 {
		resp := ask("web", "force_new")
		require.Equal(t, false, resp.Data["reused"])
		require.NotContains(t, forced, resp.Data["serial_number"])
		forced = append(forced, resp.Data["serial_number"])
	}
	again := ask("web")
	require.Equal(t, true, again.Data["reused"])
	require.Contains(t, forced, again.Data["serial_number"])
	require.Equal(t, 3, paid("web"))

	// An order that nobody has fetched is joined, by force, too: a client that says so with every attempt pays once.
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 3 * time.Second })
	v.role("slow", map[string]any{"issue_timeout": "1s"})
	request := map[string]any{"common_name": "slow.example.com", "force_new": true}
	id := orderID.FindString(v.refused("certinext/issue/slow", request))
	resp := v.persist(30*time.Second, "certinext/issue/slow", request)
	require.Equal(t, id, resp.Data["order_id"])
	require.Equal(t, 1, paid("slow"))
}

// A fleet whose copies share an identity rotates at the same instant, while the plugin dies under it.
func TestAFleetThatAsksAtTheSameInstantPaysOnceWhenThePluginDies(t *testing.T) {
	t.Parallel()
	onLinux(t)
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	request := map[string]any{"common_name": "www.example.com"}
	answers := make([]*api.Secret, 8)
	for round := range 3 {
		var fleet sync.WaitGroup
		for i := range answers {
			fleet.Go(func() {
				for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
					if resp, err := v.send("certinext/issue/web", request); err == nil {
						answers[i] = resp
						return
					}
				}
			})
		}
		if round > 0 {
			time.Sleep(time.Duration(round) * 5 * time.Millisecond)
			v.killPlugin()
		}
		fleet.Wait()
		for _, resp := range answers {
			require.NotNil(t, resp, "round %d", round)
			ca.check(t, resp)
			require.Equal(t, ca.onlyOrder(t).ID, resp.Data["ca_order_id"])
		}
	}
	require.Equal(t, 1, ca.onlyOrder(t).Creates)
}

// The operator's brake stops what would be bought, and nothing else.
func TestPausedOrderingBuysNothingAndHandsOverWhatThereIs(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 2 * time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("web", map[string]any{"issue_timeout": "1s"})
	open := map[string]any{"common_name": "open.example.com"}
	v.refused("certinext/issue/web", open)
	config := ca.account()
	config["ordering"] = "paused"
	v.write("certinext/config", config)

	for _, path := range []string{"certinext/issue/web", "certinext/orders/web"} {
		require.Contains(t, v.refused(path, map[string]any{"common_name": "new.example.com"}), "paused")
	}
	require.Empty(t, ca.ordersFor("new.example.com"))
	require.NotContains(t, v.stored("certinext", "order/"), "new.example.com", "a refused request has left an order behind")
	first := v.persist(30*time.Second, "certinext/issue/web", open)
	requireAgain(t, first, v.write("certinext/issue/web", open))
	forced := map[string]any{"common_name": "open.example.com", "force_new": true}
	require.Contains(t, v.refused("certinext/issue/web", forced), "paused")
	v.endLease(first)
	require.Equal(t, "issued", ca.onlyOrder(t).Status)
	v.write("certinext/revoke/web", map[string]any{"serial_number": first.Data["serial_number"]})
	require.Equal(t, "revoked", ca.onlyOrder(t).Status)

	config["ordering"] = "on"
	v.write("certinext/config", config)
	v.persist(30*time.Second, "certinext/issue/web", map[string]any{"common_name": "new.example.com"})
}

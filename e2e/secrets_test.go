// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// The logs are searched at the end of every story; this one makes as much noise as it can, and asks every path that reads.
func TestNoPathAndNoLogTellsASecret(t *testing.T) {
	t.Parallel()
	for _, dialect := range allDialects {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, &certinexttest.Server{Dialect: dialect, VerifiedDomains: []string{"example.com"}, TokenTTL: 2 * time.Second})
			v := startVault(t)
			v.configure(ca)
			config := ca.account()
			config["organization_number"], config["consent_token"] = certinexttest.DefaultOrganization, certinexttest.DefaultConsentToken
			v.write("certinext/config", config)
			v.role("ov", map[string]any{
				"product_code": "846", "product_variant": "ov",
				"organization_number": certinexttest.DefaultOrganization, "consent_token": certinexttest.DefaultConsentToken,
				"issue_timeout": "2s",
			})

			v.makeSolvers()
			done := v.write("certinext/issue/web", map[string]any{"common_name": "done.example.com", "request_id": "noise"})
			vetted := v.write("certinext/issue/ov", map[string]any{"common_name": "ov.example.com"})
			ca.check(t, vetted)
			v.endLease(vetted)
			v.write("certinext/revoke-with-key", map[string]any{"serial_number": done.Data["serial_number"], "private_key": done.Data["private_key"]})
			v.makeTrouble(ca)
			ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
			open := text(t, v.write("certinext/orders/web", map[string]any{"common_name": "open.example.com"}).Data["order_id"])

			for path, answer := range v.everythingThatReads(open, text(t, done.Data["serial_number"])) {
				require.Empty(t, v.revealed(answer), "%s tells secrets", path)
				require.NotContains(t, answer, "PRIVATE KEY", "%s tells a key", path)
			}
			v.checkStorage(open)
			log, err := os.ReadFile(filepath.Join(v.dir, "vault.log"))
			require.NoError(t, err)
			require.Contains(t, string(log), "[TRACE]", "the log is not at its most verbose")
			audit, err := os.ReadFile(filepath.Join(v.dir, "audit.log"))
			require.NoError(t, err)
			require.Contains(t, string(audit), "certinext/issue/web", "the audit log does not hold the requests")
		})
	}
}

// makeSolvers writes a solver of every kind, and has each fail before it reaches anybody.
func (v *server) makeSolvers() {
	v.t.Helper()
	for _, kind := range backend.SolverKinds() {
		solver := map[string]any{"provider": kind.Name}
		for _, f := range kind.Fields {
			value := "127.0.0.1"
			switch {
			case f.Name == "service_account_json":
				value = v.serviceAccount()
			case f.Secret:
				value = base64.StdEncoding.EncodeToString([]byte(kind.Name + "/" + f.Name + "/" + rand.Text()))
				v.keep("the "+f.Name+" of "+kind.Name, value)
			case f.Default != "":
				value = f.Default
			case f.Name == "hosted_zone_id":
				value = "Z1D633PJN98FT9"
			}
			solver[f.Name] = value
		}
		path := "certinext/dcv/solvers/" + kind.Name
		v.write(path, solver)
		check := v.write(path+"/check", map[string]any{"zone": "example.com", "dcv_resolvers": "127.0.0.1:9"})
		require.Equal(v.t, false, check.Data["ok"])
		require.Empty(v.t, v.revealed(fmt.Sprint(check.Data)), "a check tells secrets")
		solver["provider"] = "nobody"
		require.Empty(v.t, v.revealed(v.refused(path, solver)), "a refusal tells secrets")
	}
}

// serviceAccount makes the key of a Google service account that does not exist.
func (v *server) serviceAccount() string {
	v.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(v.t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(v.t, err)
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	v.keep("the key of a service account", private)
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "dns@example.iam.gserviceaccount.com", "private_key": private,
	})
	require.NoError(v.t, err)
	return string(text)
}

// makeTrouble has calls fail in every way that the CA knows, since errors are what gets logged.
func (v *server) makeTrouble(ca *authority) {
	v.t.Helper()
	for _, kind := range []certinexttest.FaultKind{
		certinexttest.FaultServerError, certinexttest.FaultHTML, certinexttest.FaultSpring, certinexttest.FaultMalformedJSON,
		certinexttest.FaultTruncated, certinexttest.FaultDropped, certinexttest.FaultTokenDeath, certinexttest.FaultWrongKey,
	} {
		for _, op := range []string{certinexttest.OpToken, certinexttest.OpTrack, certinexttest.OpCertificate, certinexttest.OpRevoke} {
			if kind == certinexttest.FaultWrongKey && op != certinexttest.OpCertificate {
				continue // only a download has a key
			}
			ca.Inject(certinexttest.Fault{Operation: op, Kind: kind, Times: 2})
		}
		ca.KillTokens()
		resp, err := v.send("certinext/issue/ov", map[string]any{"common_name": string(kind) + ".example.com"})
		if err == nil {
			v.endLease(resp)
		} else {
			require.True(v.t, isRefusal(err), "%s: %v", kind, err)
		}
		_, _ = v.api.Logical().ReadWithContext(v.t.Context(), "certinext/config/check")
		ca.ClearFaults()
	}
}

// everythingThatReads asks every path of the mount that reads or lists, and returns the answers as they are.
func (v *server) everythingThatReads(order, serial string) map[string]string {
	v.t.Helper()
	answers := make(map[string]string)
	for _, path := range []string{
		"config", "config/check", "roles/web", "roles/ov", "orders/web/" + order, "orders/web/" + order + "/dcv", "cert/" + serial,
		"cert/ca_chain", "cert/ca", "roles?list=true", "orders/web?list=true", "orders/ov?list=true", "certs?list=true",
		"certs/revoked?list=true", "dcv/solvers?list=true", "dcv/solvers/azure", "dcv/solvers/cloudflare", "dcv/solvers/googleclouddns",
		"dcv/solvers/rfc2136", "dcv/solvers/route53", "domains", "status",
	} {
		name, query, _ := strings.Cut(path, "?")
		var params map[string][]string
		if query != "" {
			params = map[string][]string{"list": {"true"}}
		}
		resp, err := v.api.Logical().ReadWithDataWithContext(v.t.Context(), "certinext/"+name, params)
		if err != nil {
			answers[path] = err.Error()
			continue
		}
		require.NotNil(v.t, resp, "%s is not there", path)
		b, err := json.Marshal(resp)
		require.NoError(v.t, err)
		answers[path] = string(b)
	}
	answers["metrics"] = v.run(v.t, "vault read -format=raw certinext/metrics")
	require.Contains(v.t, answers["metrics"], "certinext_breaker_open")
	for _, id := range v.list("certinext/orders/ov") {
		b, err := json.Marshal(v.read("certinext/orders/ov/" + id))
		require.NoError(v.t, err)
		answers["orders/ov/"+id] = string(b)
	}
	return answers
}

// checkStorage requires that what is stored in secret lies below the prefixes that are declared for seal wrapping, and that
// these name what storage really holds.
func (v *server) checkStorage(open string) {
	v.t.Helper()
	entries := v.entries("certinext", "")
	require.Contains(v.t, entries["order/open/web/"+open], "PRIVATE KEY")
	used := make(map[string]bool)
	for key, value := range entries {
		wrapped := slices.IndexFunc(backend.SealWrapPrefixes(), func(prefix string) bool {
			return key == prefix || (strings.HasSuffix(prefix, "/") && strings.HasPrefix(key, prefix))
		})
		if wrapped >= 0 {
			used[backend.SealWrapPrefixes()[wrapped]] = true
			continue
		}
		require.Empty(v.t, v.revealed(value), "%s holds secrets and is not seal-wrapped", key)
		require.NotContains(v.t, value, "PRIVATE KEY", "%s holds a key and is not seal-wrapped", key)
	}
	// What is kept for reuse gets there when its order is closed, long after this test. The stories
	// hold it to the prefix.
	used["reuse/key/"] = true
	require.Len(v.t, used, len(backend.SealWrapPrefixes()), "a prefix names nothing that is stored")
}

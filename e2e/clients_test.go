// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The files client_*_test.go hold the clients of Vault's PKI engine to this engine, one client a file. Agent, Proxy, the
// command line, consul-template, Ansible and Python's hvac are the programs themselves, and run with the configuration that
// their guide in docs/guides shows. The others are doubles: they send the requests of the client word for word, and take the
// answer apart as it does. Each doc comment names the source.
//
// Each of them meets three CAs: one that answers at once, one whose orders outlive their requests, and one that refuses.

// slowly is how long an order of the slow CA takes. The roles there wait for a second.
const slowly = 4 * time.Second

// A stand is a mount where a client is served, with its own CA behind it.
type stand struct {
	*caller // who set it up, and may do everything
	mount   string
	ca      *authority
}

// stand mounts the engine once more, with an account of a CA that has validated example.com. config adds to the account.
func (v *server) stand(t *testing.T, mount string, config map[string]any) *stand {
	t.Helper()
	s := &stand{caller: &caller{t: t, server: v, api: v.api}, mount: mount}
	s.ca = newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	s.ca.keepSecrets(v)
	v.enable(mount, api.MountConfigInput{})
	fields := s.ca.account()
	maps.Copy(fields, config)
	s.write(mount+"/config", fields)
	return s
}

// slow makes orders take longer than their requests wait.
func (s *stand) slow() {
	s.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = slowly })
}

// refuse makes the CA refuse every order, until the function that is returned is called.
func (s *stand) refuse() (mend func()) {
	s.ca.Configure(func(ca *certinexttest.Server) { ca.Catalog = []certinexttest.Product{} })
	return func() { s.ca.Configure(func(ca *certinexttest.Server) { ca.Catalog = nil }) }
}

// refuses has the CA refuse the order of each attempt, which must be told so, buy nothing, and have its certificate when the CA is mended.
func (s *stand) refuses(t *testing.T, role string, attempt func() error) {
	t.Helper()
	mend := s.refuse()
	for range 2 {
		err := attempt()
		require.ErrorContains(t, err, "EMS-915")
		require.True(t, isRefusal(err), "%v", err)
	}
	require.Empty(t, s.ca.Orders())
	s.nothingIsOpen(t, role)
	mend()
	require.NoError(t, attempt())
	s.paidOnce(t, "www.example.com")
}

// fails has the CA answer the placing of an order with 503, which leaves open whether it took the order. A client that tries again
// must buy nothing twice, and end with the certificate once the operator has looked and settled the order.
func (s *stand) fails(t *testing.T, role string, attempt func() error) {
	t.Helper()
	s.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerError})
	s.write(s.mount+"/config", map[string]any{"create_timeout": "1s"}) // never_placed is believed after it
	var order string
	for range 3 {
		err := attempt()
		require.ErrorContains(t, err, "it is not known yet whether CERTInext took the order")
		order = orderID.FindString(err.Error())
	}
	require.Equal(t, 1, s.ca.Calls()[certinexttest.OpCreateSSL], "the order was sent again")
	s.ca.ClearFaults()
	require.Error(t, attempt(), "nobody knows yet")
	time.Sleep(1100 * time.Millisecond)
	s.write(s.mount+"/operator/orders/"+role+"/"+order, map[string]any{"never_placed": true})
	waitUntil(t, 30*time.Second, "the client has its certificate", func() bool { return attempt() == nil })
	s.paidOnce(t, "www.example.com")
	s.nothingIsOpen(t, role)
}

// loses has the CA take an order and answer 503. The engine finds the order in the CA's records by itself.
func (s *stand) loses() {
	s.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerErrorAfter, Times: 1})
}

// paidOnce requires that the CA holds one order for a name, issued, placed once, and returns its serial number.
func (s *stand) paidOnce(t *testing.T, name string) string {
	t.Helper()
	orders := s.ca.ordersFor(name)
	require.Len(t, orders, 1, "%s was ordered another number of times", name)
	require.Equal(t, "issued", orders[0].Status)
	require.Equal(t, 1, orders[0].Creates)
	require.Len(t, orders[0].Serials, 1)
	t.Logf("%s: 1 order paid for 1 certificate of %s", s.mount, name)
	return orders[0].Serials[0]
}

// paidEach requires that each certificate that the client has was paid once, and nothing else was.
func (s *stand) paidEach(t *testing.T, name string, serials []string, count int) {
	t.Helper()
	orders := s.ca.ordersFor(name)
	for _, o := range orders {
		require.Equal(t, 1, o.Creates)
	}
	require.Equal(t, serials, s.ca.paid(name))
	require.Len(t, orders, count)
	t.Logf("%s: %d orders paid for %d certificates of %s", s.mount, len(orders), count, name)
}

// nothingIsOpen requires that no order of a role waits for anything.
func (s *stand) nothingIsOpen(t *testing.T, role string) {
	t.Helper()
	for _, id := range s.list(s.mount + "/orders/" + role) {
		require.Contains(t, []any{"issued", "failed"}, s.read(s.mount + "/orders/" + role + "/" + id)["state"])
	}
}

// approle makes a login of AppRole that grants a policy of the same name, and logs in.
func (s *stand) approle(policy string) *caller {
	s.t.Helper()
	s.write("auth/approle/role/"+policy, map[string]any{"token_policies": policy, "token_ttl": "1h"})
	return s.login(policy)
}

// login logs in with AppRole, as often as it is called: the token is a new one each time, and the identity the same.
func (s *stand) login(name string) *caller {
	s.t.Helper()
	role := "auth/approle/role/" + name
	secretID := text(s.t, s.write(role+"/secret-id", nil).Data["secret_id"])
	s.server.keep("a secret id", secretID)
	resp := s.write("auth/approle/login", map[string]any{"role_id": s.read(role + "/role-id")["role_id"], "secret_id": secretID})
	return s.as(resp.Auth.ClientToken)
}

var fenced = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// guide returns the only block of a language in a guide, with what has to differ here replaced. Whatever is to be replaced has to
// be there.
func guide(t *testing.T, name, language string, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "guides", name+".md"))
	require.NoError(t, err)
	var found []string
	for _, m := range fenced.FindAllStringSubmatch(string(b), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	require.Len(t, found, 1, "blocks of %s in the guide %s", language, name)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, found[0], replace[i], "the guide %s has changed", name)
		found[0] = strings.ReplaceAll(found[0], replace[i], replace[i+1])
	}
	return found[0]
}

// manifests reads YAML documents.
func manifests(t *testing.T, text string) []map[string]any {
	t.Helper()
	var docs []map[string]any
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc map[string]any
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		require.NoError(t, err)
		docs = append(docs, doc)
	}
}

// at returns what stands somewhere in a manifest.
func at(t *testing.T, doc map[string]any, path ...string) any {
	t.Helper()
	for _, name := range path[:len(path)-1] {
		next, ok := doc[name].(map[string]any)
		require.True(t, ok, "no %s in %v", name, doc)
		doc = next
	}
	return doc[path[len(path)-1]]
}

// run runs commands of a guide as the operator at a shell, with Vault's own command line.
func (v *server) run(t *testing.T, commands string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+programs.cliDir+string(os.PathListSeparator)+os.Getenv("PATH"),
		"VAULT_ADDR="+v.address, "VAULT_TOKEN="+v.api.Token(), "HOME="+v.dir)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// file writes a file of a client into the server's folder and returns its path.
func (v *server) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(v.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// patch changes some fields of what stands at a path of the mount.
func (s *stand) patch(t *testing.T, path string, fields map[string]any) {
	t.Helper()
	_, err := s.api.Logical().JSONMergePatch(t.Context(), s.mount+"/"+path, fields)
	require.NoError(t, err)
}

// csrRSA makes an RSA key and its CSR.
func csrRSA(t *testing.T, name string) (key *rsa.PrivateKey, csr string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
	require.NoError(t, err)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

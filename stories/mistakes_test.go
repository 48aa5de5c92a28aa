// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mistake is what people do, and what they should have done.
type mistake struct {
	what string
	op   logical.Operation // a write when empty
	path string            // $order and $serial stand for those of the account's first certificate, $open for an open order
	data map[string]any
	// says are words without which the answer would be of no help.
	says []string
}

type on = map[string]any

// chaptersOfMistakes are the mistakes of docs/mistakes.md, by what people are about to do.
func chaptersOfMistakes(t *testing.T) []struct {
	title    string
	mistakes []mistake
} {
	t.Helper()
	host := func(names ...string) string { return csr(t, newKey(t, elliptic.P256()), names[0], names...) }
	return []struct {
		title    string
		mistakes []mistake
	}{
		{"Writing the config", []mistake{
			{what: "A secret of another account, or with a typing error", path: "config", data: on{"client_secret": "wrong"}, says: []string{"verify_connection=false", "client secret"}},
			{what: "A misspelt field", path: "config", data: on{"signer_plase": "Bengaluru"}, says: []string{"did you mean signer_place?"}},
			{what: "The name of a host instead of its address", path: "config", data: on{"signer_ip": "vault.example.com"}, says: []string{"signer_ip", "IP address"}},
			{what: "A telephone number without its country", path: "config", data: on{"requestor_phone": "04155550123"}, says: []string{"requestor_phone", "E.164"}},
			{what: "An e-mail address that is none", path: "config", data: on{"requestor_email": "platform"}, says: []string{"requestor_email"}},
			{what: "A duration in words", path: "config", data: on{"absent_after": "an hour"}, says: []string{"absent_after", "90s"}},
		}},
		{"Writing a role", []mistake{
			{what: "A product code that the account does not have", path: "roles/shop", data: on{"product_code": "9999", "allowed_domains": "example.com"}, says: []string{"product_code", "vault read certinext/catalog/products"}},
			{what: "No product code", path: "roles/shop", data: on{"allowed_domains": "example.com"}, says: []string{"product_code", "vault read certinext/catalog/products"}},
			{what: "A variant that is none", path: "roles/shop", data: on{"product_code": "842", "product_variant": "domain"}, says: []string{"product_variant", "dv-wildcard"}},
			{what: "A misspelt field", path: "roles/shop", data: on{"product_code": "842", "allowed_domain": "example.com"}, says: []string{"did you mean allowed_domains?"}},
			{what: "A field of Vault's PKI engine that CERTInext cannot honour", path: "roles/shop", data: on{"product_code": "842", "allowed_domains": "example.com", "organization": "Example"}, says: []string{"organization", "cannot be honoured"}},
			{what: "A key that CERTInext does not take", path: "roles/shop", data: on{"product_code": "842", "allowed_domains": "example.com", "key_type": "ec", "key_bits": "521"}, says: []string{"key_bits", "384"}},
			{what: "A solver that is not there yet", path: "roles/shop", data: on{"product_code": "842", "allowed_domains": "example.com", "dcv_solver": "corp"}, says: []string{"vault path-help certinext/dcv/solvers/corp", "first"}},
			{what: "Longer than Vault's clients wait", path: "roles/shop", data: on{"product_code": "842", "allowed_domains": "example.com", "issue_timeout": "5m"}, says: []string{"issue_timeout", "80s"}},
		}},
		{"Asking for a certificate", []mistake{
			{what: "A role that is not there", path: "issue/wbe", data: on{"common_name": "www.example.com"}, says: []string{`"wbe"`, "vault list certinext/roles"}},
			{what: "A misspelt field", path: "issue/web", data: on{"comon_name": "www.example.com"}, says: []string{"did you mean common_name?"}},
			{what: "No name", path: "issue/web", data: on{}, says: []string{"common_name", "required"}},
			{what: "A name of another domain", path: "issue/web", data: on{"common_name": "www.example.net"}, says: []string{"common_name", "example.com"}},
			{what: "A wildcard where the product has none", path: "issue/web", data: on{"common_name": "*.example.com"}, says: []string{"common_name"}},
			{what: "Several names where the product takes one", path: "issue/web", data: on{"common_name": "www.example.com", "alt_names": "api.example.com"}, says: []string{"alt_names", "UCC"}},
			{what: "An address as a name", path: "issue/web", data: on{"common_name": "www.example.com", "ip_sans": "192.0.2.1"}, says: []string{"ip_sans"}},
			{what: "A host that the Internet does not know", path: "issue/any", data: on{"common_name": "db.corp.internal"}, says: []string{"common_name", "private PKI"}},
			{what: "A common name that is too long", path: "issue/any", data: on{"common_name": strings.Repeat("a", 60) + ".example.com"}, says: []string{"common_name", "64"}},
			{what: "A format of another engine", path: "issue/web", data: on{"common_name": "www.example.com", "format": "p12"}, says: []string{"format", "pkcs12_bundle"}},
			{what: "A password for a file of another format", path: "issue/web", data: on{"common_name": "www.example.com", "jks_password": "correct horse"}, says: []string{"jks_password", "format=jks_bundle"}},
			{what: "An organization product without the organization", path: "issue/ov", data: on{"common_name": "www.example.com"}, says: []string{"organization_number", "role or config"}},
		}},
		{"Signing a CSR", []mistake{
			{what: "No CSR", path: "sign/web", data: on{"common_name": "www.example.com"}, says: []string{"csr", "required"}},
			{what: "The name of a file without the @ before it", path: "sign/web", data: on{"csr": "www.csr"}, says: []string{"csr", "PEM"}},
			{what: "A CSR with another name than the request", path: "sign/web", data: on{"csr": host("www.example.com"), "common_name": "api.example.com"}, says: []string{"csr", "api.example.com"}},
			{what: "A CSR for a domain that the role does not allow", path: "sign/web", data: on{"csr": host("www.example.org")}, says: []string{"csr", "example.com"}},
			{what: "A CSR without a common name", path: "sign/web", data: on{"csr": csr(t, newKey(t, elliptic.P256()), "", "www.example.com")}, says: []string{"csr", "csr_without_common_name"}},
			{what: "A key that the role does not take", path: "sign/web", data: on{"csr": csr(t, newKey(t, elliptic.P521()), "www.example.com")}, says: []string{"csr", "256 or 384"}},
		}},
		{"While an order is open", []mistake{
			{what: "An order of another role", op: logical.DeleteOperation, path: "orders/any/$open", says: []string{"no order", "vault list certinext/orders/any"}},
			{what: "Collecting what is not issued yet", path: "orders/web/$open/collect", data: on{}, says: []string{"is not finished", "approve"}},
			{what: "Collecting a second time", path: "orders/web/$order/collect", data: on{}, says: []string{"request another certificate"}},
			{what: "Cancelling what was handed over", op: logical.DeleteOperation, path: "orders/web/$order", says: []string{"revoke this one"}},
			{what: "Settling an order that needs no word", path: "operator/orders/web/$open", data: on{"never_placed": true}, says: []string{"nothing to resolve"}},
			{what: "A name for another request", path: "issue/web", data: on{"common_name": "api.example.com", "request_id": "deploy-17"}, says: []string{"request_id", "deploy-17"}},
		}},
		{"Renewing, reissuing and revoking", []mistake{
			{what: "Renewing too early", path: "renew/web/$serial", data: on{}, says: []string{"renewal_window"}},
			{what: "A reissue that the role does not allow", path: "orders/web/$order/reissue", data: on{}, says: []string{"allow_reissue"}},
			{what: "A certificate that the mount does not have", path: "revoke", data: on{"serial_number": "01:02:03"}, says: []string{"no certificate", "vault list certinext/certs"}},
			{what: "A decimal serial number", path: "revoke", data: on{"serial_number": "123456789012"}, says: []string{"no certificate", "hexadecimal", "1c:be:99:1a:14"}},
			{what: "A decimal serial number with an odd number of digits", path: "revoke", data: on{"serial_number": "12345678901"}, says: []string{"serial_number", "hexadecimal", "02:df:dc:1c:35"}},
			{what: "A serial number with a letter too many", path: "revoke", data: on{"serial_number": "01:b6:9b:4bx"}, says: []string{"serial_number", "such as"}},
			{what: "A reason that is none", path: "revoke", data: on{"serial_number": "$serial", "reason": "old"}, says: []string{"reason", "superseded"}},
			{what: "A reason that CERTInext does not publish", path: "revoke", data: on{"serial_number": "$serial", "reason": "certificate-hold"}, says: []string{"reason", "superseded"}},
		}},
	}
}

const aboutMistakes = `# Mistakes, and what is answered

` + "`make docs`" + ` writes this page: each request was sent to the engine, with a simulated CERTInext behind it, and refused with the text below it. Lines are broken
anew, numbers that differ from run to run are replaced, and long texts are shortened. None of these requests has ordered anything at CERTInext.

What an order waits for, and what CERTInext's own codes mean, is in [Troubleshooting](troubleshooting.md).
`

// TestThePageOfMistakesIsUpToDate makes the mistakes of docs/mistakes.md.
func TestThePageOfMistakesIsUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requireWritten(t, filepath.Join("..", "docs", "mistakes.md"), pageOfMistakes(t))
	})
}

func pageOfMistakes(t *testing.T) string {
	t.Helper()
	m := newMount(t, validated(certinexttest.Live))
	m.write("roles/any", on{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: on{"renewal_window": "24h", "delivery_grace": "0s", "reuse_window": "0s"}})
	m.write("roles/ov", on{"product_code": "846", "product_variant": "ov", "allowed_domains": "example.com", "allow_subdomains": true})
	issued := m.write("issue/web", on{"common_name": "www.example.com", "request_id": "deploy-17"})
	m.ca.Configure(func(ca *certinexttest.Server) { ca.HoldForApproval = true })
	open := m.write("orders/web", on{"common_name": "held.example.com"})
	ours := strings.NewReplacer("$order", issued.Data["order_id"].(string), "$serial", issued.Data["serial_number"].(string),
		"$open", open.Data["order_id"].(string))
	time.Sleep(time.Minute) // nobody else is given the first one any more
	bought := len(m.ca.Orders())

	var page strings.Builder
	page.WriteString(aboutMistakes)
	mask, number := newMask(), 0
	for _, chapter := range chaptersOfMistakes(t) {
		fmt.Fprintf(&page, "\n## %s\n", chapter.title)
		for _, made := range chapter.mistakes {
			number++
			text := made.make(m, ours)
			for _, word := range made.says {
				assert.Contains(t, text, word, made.what)
			}
			fmt.Fprintf(&page, "\n%s:\n\n```text\n$ %s\n\n%s\n```\n", made.what, mask.text(made.command(ours)), wrapped(mask.text(text), 100))
		}
	}
	require.GreaterOrEqual(t, number, 40)
	require.Len(t, m.ca.Orders(), bought, "a mistake has bought something")
	return page.String()
}

// make makes the mistake, and returns what is answered.
func (made mistake) make(m *mount, ours *strings.Replacer) string {
	op := made.op
	if op == "" {
		op = logical.UpdateOperation
	}
	data := maps.Clone(made.data)
	for field, value := range data {
		if text, isText := value.(string); isText {
			data[field] = ours.Replace(text)
		}
	}
	resp, err := m.send(call{op: op, path: ours.Replace(made.path), data: data})
	require.NoError(m.t, err, made.what)
	if !assert.NotNil(m.t, resp, made.what) {
		return ""
	}
	if !assert.True(m.t, resp.IsError(), "%s: %v", made.what, resp.Data) {
		return ""
	}
	return resp.Error().Error()
}

// plain is what a shell takes without quotes.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@,-]+$`)

// command is how the mistake is made at a shell.
func (made mistake) command(ours *strings.Replacer) string {
	words := []string{"vault", "write"}
	if made.op != "" {
		words[1] = string(made.op)
	} else if len(made.data) == 0 {
		words = append(words, "-force")
	}
	words = append(words, "certinext/"+ours.Replace(made.path))
	for _, field := range slices.Sorted(maps.Keys(made.data)) {
		value := ours.Replace(fmt.Sprint(made.data[field]))
		switch {
		case strings.HasPrefix(value, "-----BEGIN"):
			value = "@www.csr"
		case !plain.MatchString(value):
			value = "'" + value + "'"
		}
		words = append(words, field+"="+value)
	}
	return strings.Join(words, " ")
}

// wrapped breaks a text at blanks into lines of at most so many characters, where words allow it.
func wrapped(text string, columns int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > columns {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// requireWritten holds a page to what it would be if it was written now; with -update, it is written.
func requireWritten(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	if string(written) != text {
		t.Fatalf("%s is not what the engine answers: run make docs\n%s", path, firstDifference(string(written), text))
	}
}

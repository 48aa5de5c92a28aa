// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A difference to Vault's PKI engine that is meant, in the answer at a path, by its field, and why; a field * is whatever only this engine has.
// Every other difference is a fault: a field that is missing or added, or whose JSON type is another.
type difference struct{ path, field, why string }

const (
	ourOrder  = "an order was placed for the certificate"
	ourRecord = "the record of a certificate says what became of it"
	ourRole   = "what is ordered under the role, and how"
)

// meant are the differences that are there for a reason.
var meant = []difference{
	{"issue/web", "order_id", ourOrder},
	{"issue/web", "ca_order_id", ourOrder},
	{"issue/web", "reused", "the same request is one purchase"},
	{"issue/web", "renew_after", "clients are told when to renew"},
	{"sign/web", "renew_after", "clients are told when to renew"},
	{"sign/web", "order_id", ourOrder},
	{"sign/web", "ca_order_id", ourOrder},
	{"sign/web", "reused", "the same request is one purchase"},
	{"revoke", "reason", "CERTInext is told a reason"},
	{"revoke", "handed_to", "the same request is one purchase, and its certificate several clients'"},

	{"cert/<serial>", "ca_chain", "no CA of CERTInext has a path of its own"},
	{"cert/<serial>", "issuing_ca", "no CA of CERTInext has a path of its own"},
	{"cert/<serial>", "issuer_id", "said before a certificate is revoked, too"},
	{"cert/<serial>", "serial_number", ourRecord},
	{"cert/<serial>", "expiration", ourRecord},
	{"cert/<serial>", "revocation_reason", ourRecord},
	{"cert/<serial>", "revocation_queued", ourRecord},
	{"cert/<serial>", "revocation_held_until", ourRecord},
	{"cert/<serial>", "role", ourRecord},
	{"cert/<serial>", "order_id", ourRecord},
	{"cert/<serial>", "ca_order_id", ourRecord},
	{"cert/<serial>", "held", ourRecord},
	{"cert/<serial>", "remarks", ourRecord},
	{"cert/<serial>", "adopted_at", ourRecord},
	{"cert/<serial>", "chain", ourRecord},
	{"cert/<serial>", "history", ourRecord},
	{"cert/<serial>", "issuer", ourRecord},
	{"cert/<serial>", "key_bits", ourRecord},
	{"cert/<serial>", "key_type", ourRecord},
	{"cert/<serial>", "key_usage", ourRecord},
	{"cert/<serial>", "ext_key_usage", ourRecord},
	{"cert/<serial>", "names", ourRecord},
	{"cert/<serial>", "not_after", ourRecord},
	{"cert/<serial>", "not_before", ourRecord},
	{"cert/<serial>", "origin", ourRecord},
	{"cert/<serial>", "owner", ourRecord},
	{"cert/<serial>", "requester", ourRecord},
	{"cert/<serial>", "state", ourRecord},
	{"cert/<serial>", "subject", ourRecord},
	{"cert/<revoked>", "adopted_at", ourRecord},
	{"cert/<revoked>", "chain", ourRecord},
	{"cert/<revoked>", "history", ourRecord},
	{"cert/<revoked>", "issuer", ourRecord},
	{"cert/<revoked>", "key_bits", ourRecord},
	{"cert/<revoked>", "key_type", ourRecord},
	{"cert/<revoked>", "key_usage", ourRecord},
	{"cert/<revoked>", "ext_key_usage", ourRecord},
	{"cert/<revoked>", "names", ourRecord},
	{"cert/<revoked>", "not_after", ourRecord},
	{"cert/<revoked>", "not_before", ourRecord},
	{"cert/<revoked>", "origin", ourRecord},
	{"cert/<revoked>", "owner", ourRecord},
	{"cert/<revoked>", "requester", ourRecord},
	{"cert/<revoked>", "state", ourRecord},
	{"cert/<revoked>", "subject", ourRecord},
	{"LIST certs", "key_info", "vault list -detailed tells more than keys"},
	{"LIST certs/revoked", "key_info", "vault list -detailed tells more than keys"},
	{"LIST certs?after=0&limit=1", "key_info", "vault list -detailed tells more than keys"},
	{"cert/<serial>", "trust", ourRecord},
	{"cert/<serial>", "renewal_of", ourRecord},
	{"cert/<serial>", "renewed_by", ourRecord},
	{"cert/<serial>", "ca_renews_at", ourRecord},
	{"cert/<serial>", "renew_ahead_refused", ourRecord},
	{"cert/<serial>", "replacement", ourRecord},
	{"cert/<serial>", "renew_after", ourRecord},
	{"cert/<serial>", "revoke_at", ourRecord},
	{"cert/<serial>", "reissue_of", ourRecord},
	{"cert/<serial>", "subscription_end", ourRecord},
	{"cert/<serial>", "subscription_told", ourRecord},
	{"cert/<serial>", "subscription_price", ourRecord},
	{"cert/<serial>", "subscription_currency", ourRecord},
	{"cert/<serial>", "subscription_certificates", ourRecord},
	{"cert/<revoked>", "ca_chain", "no CA of CERTInext has a path of its own"},
	{"cert/<revoked>", "issuing_ca", "no CA of CERTInext has a path of its own"},
	{"cert/<revoked>", "serial_number", ourRecord},
	{"cert/<revoked>", "revocation_held_until", ourRecord},
	{"cert/<revoked>", "expiration", ourRecord},
	{"cert/<revoked>", "revocation_reason", ourRecord},
	{"cert/<revoked>", "revocation_queued", ourRecord},
	{"cert/<revoked>", "role", ourRecord},
	{"cert/<revoked>", "order_id", ourRecord},
	{"cert/<revoked>", "ca_order_id", ourRecord},
	{"cert/<revoked>", "held", ourRecord},
	{"cert/<revoked>", "remarks", ourRecord},
	{"cert/<revoked>", "trust", ourRecord},
	{"cert/<revoked>", "renewal_of", ourRecord},
	{"cert/<revoked>", "renewed_by", ourRecord},
	{"cert/<revoked>", "ca_renews_at", ourRecord},
	{"cert/<revoked>", "renew_ahead_refused", ourRecord},
	{"cert/<revoked>", "replacement", ourRecord},
	{"cert/<revoked>", "renew_after", ourRecord},
	{"cert/<revoked>", "revoke_at", ourRecord},
	{"cert/<revoked>", "reissue_of", ourRecord},
	{"cert/<revoked>", "subscription_end", ourRecord},
	{"cert/<revoked>", "subscription_told", ourRecord},
	{"cert/<revoked>", "subscription_price", ourRecord},
	{"cert/<revoked>", "subscription_currency", ourRecord},
	{"cert/<revoked>", "subscription_certificates", ourRecord},
	{"cert/ca", "ca_chain", "was there before, as a list"},
	{"ca_chain", "Content-Type", "the chain is PEM, and that engine calls it DER (application/pkix-cert)"},

	{"cert/<unknown>/raw", "status", "an empty 204 could be taken for a certificate: it is a 404"},
	{"cert/<unknown>/raw/pem", "status", "an empty 204 could be taken for a certificate: it is a 404"},

	{"roles/web", "allow_token_displayname", "is always false there, and cannot be written"},
	{"roles/web", "*", ourRole},
}

// covers tells whether a difference is this one.
func (d difference) covers(path, field string, theirs map[string]string) bool {
	if asked, _, _ := strings.Cut(path, " in "); d.path != asked {
		return false
	}
	return d.field == field || (d.field == "*" && theirs[field] == "")
}

// beside mounts Vault's own PKI engine, with a CA and the role "web".
func (v *server) beside() {
	v.t.Helper()
	require.NoError(v.t, v.api.Sys().MountWithContext(v.t.Context(), "pki", &api.MountInput{
		Type: "pki", Config: api.MountConfigInput{MaxLeaseTTL: "87600h"},
	}))
	v.write("pki/root/generate/internal", map[string]any{"common_name": "Root", "ttl": "80000h"})
	v.write("pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "key_bits": 256})
}

// shape is the JSON type of a value. A list is described by its first element.
func shape(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number, float64:
		return "number"
	case string:
		if strings.HasPrefix(v, "-----BEGIN ") {
			return "PEM"
		}
		return "text"
	case []any:
		if len(v) == 0 {
			return "list"
		}
		return "list of " + shape(v[0])
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", v)
}

// same tells whether two shapes may stand for each other: an empty list is one of anything, and a text that is empty may be PEM another time.
func same(theirs, ours string) bool {
	return theirs == ours || (strings.HasPrefix(theirs, "list") && strings.HasPrefix(ours, "list") && (theirs == "list" || ours == "list"))
}

// shapes are those of the fields of an answer.
func shapes(data map[string]any) map[string]string {
	out := make(map[string]string, len(data))
	for field, v := range data {
		out[field] = shape(v)
	}
	return out
}

// whole is the answer to a GET or LIST, described by its status, its kind and, if it is JSON, the shapes of its fields.
func (v *server) whole(method, path string) map[string]string {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.address+"/v1/"+path, nil)
	require.NoError(v.t, err)
	req.Header.Set("X-Vault-Token", v.api.Token())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(v.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	out := map[string]string{"status": resp.Status}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return out
	}
	out["Content-Type"] = resp.Header.Get("Content-Type")
	var answer struct{ Data map[string]any }
	block, _ := pem.Decode(body)
	switch {
	case block != nil:
		out["body"] = "PEM"
	case bytes.HasPrefix(body, []byte{0x30, 0x82}):
		out["body"] = "DER"
	case json.Unmarshal(body, &answer) == nil:
		maps.Copy(out, shapes(answer.Data))
	}
	return out
}

// certificatesOn are the serial numbers of a mount's certificates.
type certificatesOn struct{ valid, revoked string }

// TestSharedPathsAnswerAsVaultsPKIEngineDoes asks both engines of one server the same, path by path.
func TestSharedPathsAnswerAsVaultsPKIEngineDoes(t *testing.T) {
	t.Parallel()
	vaultOnly(t, "the engine that this one is compared with is Vault's, and OpenBao's has gone its own way since")
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.beside()
	_, csr := newCSR(t, "signed.example.com")
	found := map[string][2]map[string]string{} // by path: what that engine answers, and what this one does
	serials := map[string]certificatesOn{}
	for side, mount := range []string{"pki", "certinext"} {
		note := func(path string, shapes map[string]string) {
			both := found[path]
			both[side] = shapes
			found[path] = both
		}
		issue := func(name string) map[string]any {
			return v.write(mount+"/issue/web", map[string]any{"common_name": name}).Data
		}
		valid, revoked := issue("www.example.com"), issue("old.example.com")
		note("issue/web", shapes(valid))
		for _, format := range []string{"der", "pem_bundle"} {
			resp := v.write(mount+"/issue/web", map[string]any{"common_name": format[:3] + ".example.com", "format": format})
			note("issue/web in "+format, shapes(resp.Data))
		}
		note("issue/web in the path of an issuer", shapes(v.write(mount+"/issuer/default/issue/web", map[string]any{"common_name": "i.example.com"}).Data))
		note("sign/web in the path of an issuer", shapes(v.write(mount+"/issuer/default/sign/web", map[string]any{"csr": csr, "common_name": "signed.example.com"}).Data))
		held := issue("held.example.com")
		note("revoke in exchange for the key", shapes(v.write(mount+"/revoke-with-key", map[string]any{
			"serial_number": held["serial_number"], "private_key": held["private_key"],
		}).Data))
		for what, c := range map[string]struct {
			path string
			data map[string]any
		}{
			"revoking a certificate that is not there": {"revoke", map[string]any{"serial_number": "01:02:03"}},
			"revoking nothing":                         {"revoke", nil},
			"issuing under a role that is not there":   {"issue/none", map[string]any{"common_name": "www.example.com"}},
			"issuing for a name that is not allowed":   {"issue/web", map[string]any{"common_name": "www.example.net"}},
			"issuing for no name":                      {"issue/web", nil},
			"signing what is no CSR":                   {"sign/web", map[string]any{"csr": "no CSR"}},
		} {
			_, err := v.send(mount+"/"+c.path, c.data)
			var refused *api.ResponseError
			require.ErrorAs(t, err, &refused, "%s at %s", what, mount)
			note(what, map[string]string{"status": http.StatusText(refused.StatusCode)})
		}
		note("sign/web", shapes(v.write(mount+"/sign/web", map[string]any{"csr": csr, "common_name": "signed.example.com"}).Data))
		note("revoke", shapes(v.write(mount+"/revoke", map[string]any{"serial_number": revoked["serial_number"]}).Data))
		serials[mount] = certificatesOn{valid: text(t, valid["serial_number"]), revoked: text(t, revoked["serial_number"])}
		for _, path := range []string{
			"cert/<serial>", "cert/<revoked>", "cert/<unknown>", "cert/<serial>/raw", "cert/<serial>/raw/pem", "cert/<unknown>/raw",
			"cert/<unknown>/raw/pem", "cert/ca", "cert/ca_chain", "cert/ca/raw", "cert/ca/raw/pem", "ca", "ca/pem", "ca_chain", "roles/web",
			"roles/none", "issuer/default/json", "issuer/default/der", "issuer/default/pem", "config/cluster",
		} {
			concrete := strings.NewReplacer("<serial>", serials[mount].valid, "<revoked>", serials[mount].revoked,
				"<unknown>", "01:02:03").Replace(path)
			note(path, v.whole(http.MethodGet, mount+"/"+concrete))
		}
		for _, path := range []string{"certs", "certs?after=0&limit=1", "certs/revoked", "roles", "roles?after=a&limit=1", "issuers"} {
			note("LIST "+path, v.whole("LIST", mount+"/"+path))
		}
	}
	seen := map[difference]bool{}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		theirs, ours := found[path][0], found[path][1]
		fields := maps.Clone(theirs)
		maps.Copy(fields, ours)
		if theirs["status"] != ours["status"] {
			fields = map[string]string{"status": ""} // one of the two says no more
		}
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			if same(theirs[field], ours[field]) {
				continue
			}
			i := slices.IndexFunc(meant, func(d difference) bool { return d.covers(path, field, theirs) })
			if i < 0 {
				t.Errorf("%s: %s is %q there and %q here", path, field, theirs[field], ours[field])
				continue
			}
			seen[meant[i]] = true
		}
	}
	for _, d := range meant {
		if !seen[d] || d.why == "" {
			t.Errorf("%s: %s is no difference any more, or nobody knows why it is one", d.path, d.field)
		}
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
)

// DraftPrefix begins the fingerprints of drafts, so that a request for a certificate never finds a
// draft of the same names.
const DraftPrefix = "draft:"

// fingerprint returns a hash that is equal for the same request of the same requester under the
// same role and account, however it is phrased (ADR 0020).
func (p *Plan) fingerprint(role *Role, account, requester string) string {
	alts := slices.Sorted(slices.Values(p.DNSNames[min(1, len(p.DNSNames)):]))
	ips := make([]string, 0, len(p.IPs))
	for _, ip := range p.IPs {
		ips = append(ips, ip.String())
	}
	slices.Sort(ips)
	parts := []any{
		"v1", role.Name, account, requester, role.ProductCode, role.Variant,
		p.CommonName(), alts, ips, p.Key.Type, p.Key.Bits, p.csrKeySum(),
	}
	if p.Subject != nil {
		parts = append(parts, p.Subject)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		panic("internal error: strings and numbers do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// csrKeySum returns a hash of the CSR's public key; it is empty without a CSR. The CSR itself is
// not hashed: clients that keep their key make a new CSR for each attempt, in which an ECDSA
// signature always differs, and names may come in another order.
func (p *Plan) csrKeySum() string {
	if p.CSR == "" {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(p.CSRKey)
	if err != nil {
		panic("internal error: a CSR's key does not marshal: " + err.Error())
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// NamesFingerprint returns a hash of what an order is for, apart from its key. By it, a request
// with a new key finds the order that it may re-key (ADR 0019). names holds at least one, the
// common name first; the order of the others does not matter.
func NamesFingerprint(
	role, account, requester, product, variant string, names []string,
) string {
	alts := slices.Sorted(slices.Values(names[1:]))
	parts := []any{"twin", role, account, requester, product, variant, names[0], alts}
	text, err := json.Marshal(parts)
	if err != nil {
		panic("internal error: strings do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// TermsOf returns a hash of what an order under a role is, beside its names, its subject and its
// key: equal as long as role and config order the same thing (ADR 0041).
func TermsOf(role *Role, cfg *account.Config) string {
	defaults := role.OrderDefaults.Or(cfg.OrderDefaults)
	text, err := json.Marshal([]any{
		"terms", cfg.Account(), role.ProductCode, role.Variant, role.ValidityYears,
		defaults.OrganizationNumber, defaults.GroupNumber, role.CustomFields, role.CAProfileID,
		role.MasterProductID, role.AutoSecureWWW, role.Key.Type, role.Key.Bits,
	})
	if err != nil {
		panic("internal error: strings and numbers do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

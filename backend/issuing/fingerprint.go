// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// DraftPrefix keeps the fingerprints of drafts apart from those of orders: who orders does not mean somebody's draft.
const DraftPrefix = "draft:"

// fingerprint names the same requester's same request under the same role and account, however it is phrased.
func (p *Plan) fingerprint(role *Role, account, requester string) string {
	alts := slices.Sorted(slices.Values(p.DNSNames[min(1, len(p.DNSNames)):]))
	ips := make([]string, 0, len(p.IPs))
	for _, ip := range p.IPs {
		ips = append(ips, ip.String())
	}
	slices.Sort(ips)
	parts := []any{
		"v1", role.Name, account, requester, role.ProductCode, role.Variant, p.CommonName(), alts, ips, p.Key.Type, p.Key.Bits, p.csrKeySum(),
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

// csrKeySum is what a CSR adds to the names that it asks for. Clients that keep their key make a CSR anew for each attempt: an ECDSA
// signature is never the same twice, and names may come in another order. Empty without a CSR.
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

// NamesFingerprint names what an order is for, apart from its key.
func NamesFingerprint(role, account, requester, product, variant string, names []string) string {
	alts := slices.Sorted(slices.Values(names[1:]))
	text, err := json.Marshal([]any{"twin", role, account, requester, product, variant, names[0], alts})
	if err != nil {
		panic("internal error: strings do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

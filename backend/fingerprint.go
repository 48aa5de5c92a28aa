// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// draftPrefix keeps the fingerprints of drafts apart from those of orders: who orders does not mean somebody's draft.
const draftPrefix = "draft:"

// fingerprint names the same requester's same request under the same role and account, however it is phrased.
func (p *plan) fingerprint(role *Role, account, requester string) string {
	alts := slices.Sorted(slices.Values(p.dns[min(1, len(p.dns)):]))
	ips := make([]string, 0, len(p.ips))
	for _, ip := range p.ips {
		ips = append(ips, ip.String())
	}
	slices.Sort(ips)
	parts := []any{
		"v1", role.Name, account, requester, role.ProductCode, role.Variant, p.cn(), alts, ips, p.key.Type, p.key.Bits, p.csrKeySum(),
	}
	if p.subject != nil {
		parts = append(parts, p.subject)
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
func (p *plan) csrKeySum() string {
	if p.csr == "" {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(p.csrKey)
	if err != nil {
		panic("internal error: a CSR's key does not marshal: " + err.Error())
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// twinOf names what an order is for, apart from its key.
func twinOf(role, account, requester, product, variant string, names []string) string {
	alts := slices.Sorted(slices.Values(names[1:]))
	text, err := json.Marshal([]any{"twin", role, account, requester, product, variant, names[0], alts})
	if err != nil {
		panic("internal error: strings do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
)

// judgeTrust looks which clients accept a certificate that is about to be stored, or handed over
// (ADR 0047). It returns what an answer that holds it is to say. Where the role refuses what
// clients refuse, and nobody has the certificate yet, it is held until an operator releases it. A
// nil role is read where that matters. The chain of the entry has to be loaded.
func judgeTrust(
	ctx context.Context, h *heldOrder, role *issuing.Role, c *certificates.Entry,
) ([]string, error) {
	if h.journal.Trust == nil || len(c.Held) > 0 {
		return nil, nil
	}
	texts := slices.Concat([]string{c.Certificate}, c.Chain, c.Others)
	certs, err := certificates.Parse(texts)
	if err == nil && len(certs) == 0 {
		err = certificates.ErrNoLeaf
	}
	if err != nil {
		return nil, fmt.Errorf("order %s: the stored certificate: %w", h.id, err)
	}
	v, err := h.journal.Trust.Of(ctx, h.storage, certs[0], certs[1:], h.journal.latestNow())
	if err != nil {
		return nil, err
	}
	if v.IsDoubtful() && role == nil {
		if role, err = roles.Read(ctx, h.storage, c.Role); err != nil {
			return nil, err
		}
	}
	if v.IsDoubtful() && isRefused(role, c) {
		for _, why := range v.Reasons() {
			c.Held = append(c.Held, why+" (the role's trust is refuse)")
		}
		return nil, nil
	}
	return trustWarnings(&v), nil
}

// isRefused reports whether a certificate that clients refuse is held. One that somebody has
// already, or that an operator has released, is not.
func isRefused(role *issuing.Role, c *certificates.Entry) bool {
	return role != nil && role.Trust == issuing.TrustRefuse &&
		c.Delivery == nil && c.ReleasedAt.IsZero()
}

// trustWarnings tells whoever is handed a certificate which clients refuse it.
func trustWarnings(v *trust.Verdict) []string {
	var warnings []string
	for _, why := range v.Reasons() {
		warnings = append(warnings, "trust: "+why)
	}
	for _, link := range v.Avoid {
		warnings = append(warnings, fmt.Sprintf("trust: clients refuse the key of %s, which is in "+
			"one of the certificate's chains: a client that builds that one refuses the "+
			"certificate", link.Name))
	}
	return warnings
}

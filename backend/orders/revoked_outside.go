// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Where the role says replace_revoked, what CERTInext has revoked without having been asked by this
// mount is replaced by the background pass, before its requester notices (ADR 0050). The successor
// is the one that renew_ahead would make, with the id that follows from the certificate: however
// often the revocation is found, there is one.

// succession returns the [certificates.Succession] of a journal.
func succession(journal *Journal) certificates.Succession {
	return func(
		ctx context.Context, s logical.Storage, c *certificates.Entry, reason certinext.Reason,
	) (file func(context.Context) error, err error) {
		role, err := roles.Read(ctx, s, c.Role)
		if err != nil || role == nil || !role.ReplaceRevoked {
			return nil, err
		}
		facts, err := revokedFacts(ctx, journal, s, c, reason)
		why := ahead.NotReplaced(facts)
		switch {
		case err != nil:
			return nil, err
		case why != "":
			journal.Log.Info("nothing is made by itself in the place of a certificate that "+
				"CERTInext has revoked", "role", c.Role, "serial", c.View().Serial, "why", why,
				"reason", reason)
			return nil, nil
		}
		return func(ctx context.Context) error {
			return fileRevoked(ctx, journal, s, c, reason)
		}, nil
	}
}

// fileRevoked files a certificate that CERTInext has revoked for replacement. Its entry, which says
// so in the same write as that it is revoked, is the caller's, who holds the lock.
func fileRevoked(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
	reason certinext.Reason,
) error {
	why := certificates.Replacement{
		Why: "CERTInext has revoked it: " + cmp.Or(string(reason), "without a reason"),
		// Its order is revoked with it, and the entry is going to say so.
		NewOrder: true, ThoughRevoked: true,
	}
	why, err := fileReplaced(ctx, journal, s, c, why)
	if err == nil {
		c.Replacement = mergeReplacement(c.Replacement, why)
	}
	return err
}

// revokedFacts returns what decides whether a successor is made of a certificate that CERTInext has
// revoked. The caller holds the certificate's lock.
func revokedFacts(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
	reason certinext.Reason,
) (ahead.RevokedOutside, error) {
	ends, err := endingOf(ctx, journal.Certificates, s, c)
	if err != nil {
		return ahead.RevokedOutside{}, err
	}
	inPlace, err := tookAPlace(ctx, s, c)
	if err != nil {
		return ahead.RevokedOutside{}, err
	}
	newer, err := hasNewer(ctx, journal, s, c)
	return ahead.RevokedOutside{
		Personal: isPersonal(reason), Handed: c.Delivery != nil,
		Ending:    ends != endNone || c.LeaseEnded,
		Succeeded: newer || c.RenewedBy != "" || c.ReissuedAs != "",
		Lived:     journal.Now().Sub(c.IssuedAt), InPlace: inPlace,
	}, err
}

// isPersonal reports whether a reason is one that somebody gives who does not need the certificate
// any more. Superseded is none of them: a CA has to give it for what it revokes in bulk since it
// was not issued as the rules say.
func isPersonal(reason certinext.Reason) bool {
	return reason == certinext.ReasonCessationOfOperation ||
		reason == certinext.ReasonAffiliationChanged
}

// tookAPlace reports whether a certificate was made after CERTInext had revoked the one that it
// succeeds.
func tookAPlace(ctx context.Context, s logical.Storage, c *certificates.Entry) (bool, error) {
	if c.RenewalOf == "" {
		return false, nil
	}
	before, err := certificates.Read(ctx, s, c.RenewalOf)
	if err != nil || before == nil || before.Revocation == nil {
		return false, err
	}
	return before.Revocation.At.Before(c.IssuedAt), nil
}

// hasNewer reports whether the requester of a certificate was issued a later one for the same
// names. It has asked for that before it was known that this one is revoked.
func hasNewer(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
) (bool, error) {
	o, err := journal.findOrder(ctx, s, c.Role, c.OrderID)
	if err != nil || o == nil || o.Names == "" {
		return false, err
	}
	serial, err := renewal.Newest(ctx, s, c.Role, o.Names)
	if err != nil || serial == "" || serial == c.Serial {
		return false, err
	}
	newest, err := certificates.Read(ctx, s, serial)
	return newest != nil && newest.NotBefore.After(c.NotBefore), err
}

// notNeeded says why a certificate that is revoked needs no successor by now; empty while it does,
// or is not revoked.
func notNeeded(ctx context.Context, a *aheadRun) (why string, err error) {
	if a.cert.Revocation == nil {
		return "", nil
	}
	newer, err := hasNewer(ctx, a.journal, a.storage, a.cert)
	if newer {
		why = "its requester has asked for another one meanwhile"
	}
	return why, err
}

// revokedWarnings tell a requester whose certificates are not replaced by themselves.
func revokedWarnings(w *caller) []string {
	if w.plan == nil || !w.role.ReplaceRevoked || w.plan.Request.EntityID != "" {
		return nil
	}
	return []string{"replace_revoked: nothing is made in the place of what CERTInext revokes for " +
		"a token without an identity entity, since nobody could tell whether it is still there"}
}

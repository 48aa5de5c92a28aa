// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/logical"
)

// CERTInext has no renewal: the successor of a certificate is a new order, at a new order's price.
// A renewal takes the names from the certificate, records which certificate succeeds which, and
// makes sure that a certificate is renewed once.

// renewal completes a request to renew a certificate, which it returns, with the names of that
// certificate and, unless the request has one, with a request id. Repetitions get the same request
// id, so that none of them buys again.
func (journal *Journal) renewal(
	ctx context.Context, s logical.Storage, role *issuing.Role, r issuing.Request,
) (issuing.Request, *certificates.Entry, error) {
	serial, err := serials.Parse("serial", r.Renews)
	if err != nil {
		return r, nil, err
	}
	c, err := certificates.Read(ctx, s, serial)
	if err != nil {
		return r, nil, err
	}
	if c == nil || c.Role != role.Name {
		return r, nil, fault.NoCertificate(strings.ReplaceAll(serial, "-", ":"),
			serials.Mistaken(r.Renews))
	}
	err = mayAct(ctx, s, role.Name, c.Requester, r.Requester, "serial",
		"certificate "+c.View().Serial)
	if err != nil {
		return r, nil, err
	}
	if len(c.Held) > 0 {
		return r, nil, fault.BadField("serial", "%s is held, and has no successor yet: %s",
			c.View().Serial, heldBecause(c))
	}
	r.Renews = serial
	if r.ID == "" {
		r.ID = renewalID + serial
	}
	o, err := journal.findOrder(ctx, s, c.Role, c.OrderID)
	if err != nil {
		return r, nil, err
	}
	if role.Shape().Personal() {
		if o != nil {
			r.Subject = o.Placement.Subject
		}
		return r, c, nil
	}
	if o != nil {
		r.TakeOrdered(o.Placement.DNSNames, o.Placement.IPs)
		return r, c, nil
	}
	certs, err := certificates.Parse([]string{c.Certificate})
	if err == nil {
		r.TakeNames(certs[0])
	}
	return r, c, err
}

// checkRenewalDue returns an error while it is too early for a renewal by this server's clock or by
// CERTInext's: a clock that is ahead must not buy what nobody needs yet. A request that buys
// nothing does not ask for CERTInext's.
func checkRenewalDue(
	ctx context.Context, s logical.Storage, acct *account.Account,
	role *issuing.Role, c *certificates.Entry,
) error {
	due := c.NotAfter.Add(-role.RenewalWindow)
	if role.RenewalWindow == 0 || c.IsToBeReplaced() {
		return nil
	}
	_, seen := acct.ClockSkew()
	if !seen && !acct.Now().Before(due) && !store.IsReading(s) {
		acct.LearnClock(ctx, s)
	}
	skew, _ := acct.ClockSkew()
	if !acct.Now().Add(min(0, skew)).Before(due) {
		return nil
	}
	return fault.BadField("serial", "%s expires at %s: the role renews from %s on "+
		"(renewal_window), and a renewal costs as much as a new certificate",
		c.View().Serial, c.NotAfter.UTC().Format(time.RFC3339), due.UTC().Format(time.RFC3339))
}

// renewalID is the prefix of the request ids that the engine gives to renewals.
const renewalID = issuing.RenewalID

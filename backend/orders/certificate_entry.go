// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
)

// newCertificateEntry returns the entry of a certificate that was downloaded for an order. It is
// neither judged nor stored yet.
func newCertificateEntry(
	o *orderEntry, cert *certificates.Downloaded, now time.Time,
) *certificates.Entry {
	c := certificates.NewEntry(cert, now)
	c.Role = o.Role
	c.Requester = o.Requester
	c.OrderID = o.ID
	c.Owner = askedOf(o).Owner
	c.CAOrderID = o.CAOrderID
	c.Account = o.Account
	c.Family = o.Placement.Family
	if !o.Adopted { // an operator's number may be an order that was placed with another
		c.RequestorEmail = o.Placement.Requestor.Email
	}
	c.RenewalOf = o.Renews
	c.Subscription = o.subscription()
	if o.Reissue != nil {
		c.Replaces = o.Reissue.Serial
	}
	setRenewedByCA(c, o)
	return c
}

// setRenewedByCA sets when CERTInext is to renew the certificate of an order by itself. Of an order
// that was placed outside of the mount, CERTInext does not say whether it does: its own default is
// that it does, and what such an order's role says counts.
func setRenewedByCA(c *certificates.Entry, o *orderEntry) {
	c.CARenewsAt = time.Time{}
	if o.Placement.AutoRenew {
		c.CARenewsAt = renewal.RenewedByCA(c.Life(), o.Placement.RenewBeforeDays).At
	}
}

// containsFold reports whether list contains s, without regard to case.
func containsFold(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(l, s) {
			return true
		}
	}
	return false
}

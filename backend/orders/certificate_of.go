// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
)

func newCertEntry(o *orderEntry, cert *certificates.Downloaded, now time.Time) *certificates.Entry {
	c := certificates.NewEntry(cert, now)
	c.Role, c.Requester, c.OrderID, c.CAOrderID, c.Account = o.Role, o.Requester, o.ID, o.CAOrderID, o.Account
	c.Family, c.RenewalOf = o.Placement.Family, o.Renews
	if o.Reissue != nil {
		c.Replaces = o.Reissue.Serial
	}
	return c
}

// missingNames lists what was ordered and is not in the certificate.
func missingNames(c *certificates.Downloaded, p *placement) []string {
	var missing []string
	for _, n := range p.DNSNames {
		if !containsFold(c.Leaf.DNSNames, n) {
			missing = append(missing, n)
		}
	}
	for _, ip := range p.IPs {
		if c.Leaf.VerifyHostname(ip.String()) != nil {
			missing = append(missing, ip.String())
		}
	}
	return missing
}

func containsFold(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(l, s) {
			return true
		}
	}
	return false
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
)

// An Asked is the stored form of what a requester asked for, as far as it can be asked for again in
// the requester's name. It holds no secret.
type Asked struct {
	Requester   string        `json:"requester"`
	EntityID    string        `json:"entity_id"`
	DisplayName string        `json:"display_name,omitempty"` // of the token
	Owner       string        `json:"owner,omitempty"`        // as the request said
	Metadata    string        `json:"metadata,omitempty"`     // as the request said
	DNSNames    []string      `json:"dns_names"`              // the common name first
	IPs         []string      `json:"ips,omitempty"`
	TTL         time.Duration `json:"ttl,omitempty"` // wanted of the lease, nanoseconds
	// ByCSR is set when the key is the requester's. Then no order can be made ahead.
	ByCSR bool `json:"by_csr,omitempty"`
}

// AskedOf returns what a plan's request asked for; nil when nothing is made ahead for it: its role
// does not say so, nobody could tell whether its requester, a token without an identity entity, is
// still there, or the next request will have a name of its own, and come to another order.
func AskedOf(p *issuing.Plan) *Asked {
	r := p.Request
	switch {
	case !p.Role.RenewAhead.IsOn(), r.EntityID == "", r.Draft:
		return nil
	case r.IsNamed(), p.Subject != nil, len(p.DNSNames) == 0:
		return nil
	}
	a := &Asked{
		Requester: r.Requester, EntityID: r.EntityID, DisplayName: r.DisplayName,
		Owner: r.Owner, Metadata: r.Metadata,
		DNSNames: p.DNSNames, TTL: r.TTL, ByCSR: p.CSR != "",
	}
	for _, ip := range p.IPs {
		a.IPs = append(a.IPs, ip.String())
	}
	return a
}

// Request returns the request that asks for the same again under a role.
func (a *Asked) Request(role string) issuing.Request {
	r := issuing.Request{
		Role: role, Requester: a.Requester, EntityID: a.EntityID, DisplayName: a.DisplayName,
		Owner: a.Owner, Metadata: a.Metadata,
		IPSANs: a.IPs, TTL: a.TTL,
	}
	if len(a.DNSNames) > 0 {
		r.CommonName, r.AltNames = a.DNSNames[0], a.DNSNames[1:]
	}
	return r
}

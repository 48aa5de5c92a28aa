// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
)

// An asking is what an order stores of the request that it was placed for. Later requests that join
// the order leave it as it is.
type asking struct {
	By      Person `json:"by,omitzero"`
	VaultID string `json:"vault_request_id,omitempty"`
	// Owner and Metadata are as the request has given them.
	Owner    string `json:"owner,omitempty"`
	Metadata string `json:"cert_metadata,omitempty"`
}

// An Asked says who has asked for an order, and how. It holds nothing by which a token can be used
// or revoked.
type Asked struct {
	By      Person // an order of an earlier version has at most the entity
	VaultID string // Vault's id of the request; empty when it is not known
	Owner   string // who answers for the certificate, as the request said
	// Metadata is what the request has kept with the order, in base64.
	Metadata string
}

// askedFor returns what is stored of a request.
func askedFor(journal *Journal, r issuing.Request) *asking {
	return &asking{
		By:      personOf(journal, r.EntityID, r.DisplayName),
		VaultID: sanitize.Short(r.VaultID), Owner: r.Owner, Metadata: r.Metadata,
	}
}

// within returns what is stored of a request that is answered within an earlier order: where it
// says nothing of an owner or of metadata, those of the order count on.
func (a *asking) within(earlier *orderEntry) *asking {
	if earlier.Asked != nil {
		a.Owner = cmp.Or(a.Owner, earlier.Asked.Owner)
		a.Metadata = cmp.Or(a.Metadata, earlier.Asked.Metadata)
	}
	return a
}

// askedOf returns who has asked for the order, and how.
func askedOf(o *orderEntry) Asked {
	if o.Asked == nil {
		return Asked{By: Person{EntityID: entityOf(o.Requester)}}
	}
	return Asked(*o.Asked)
}

// called returns a name for a person: the entity's, else what the token shows, else the entity's
// id.
func (p Person) called() string { return cmp.Or(p.Name, p.DisplayName, p.EntityID) }

// requesterName returns how Vault called whoever asked for the order; empty when that is not known,
// or when the order was handed over to another requester since.
func requesterName(o *orderEntry) string {
	by := askedOf(o).By
	if by.EntityID != entityOf(o.Requester) {
		return ""
	}
	return cmp.Or(by.Name, by.DisplayName)
}

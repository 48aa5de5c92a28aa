// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Orders answers what a [Keeper] has to know about the orders that its certificates came from.
type Orders interface {
	// ReissueOf returns the state of the order that reissues a certificate. It returns nil when
	// there is no such order, or when it has ended without a certificate.
	ReissueOf(ctx context.Context, s logical.Storage, c *Entry) (*Reissue, error)

	// FinishRevoked closes the order of a certificate that has just been revoked, if it is still
	// open, so that no client receives its key. The caller holds the certificate's lock. A delivery
	// takes its locks in the other order, first the order's and then the certificate's, so
	// FinishRevoked must only try to lock the order and never wait for it. A delivery that holds
	// the order at that moment sees the revocation when it locks the certificate.
	FinishRevoked(ctx context.Context, s logical.Storage, c *Entry) error

	// OpenOrderOf returns the id of the open order that has a number of CERTInext's; empty when
	// there is none. The caller holds the number's lock.
	OpenOrderOf(ctx context.Context, s logical.Storage, account, number string) (string, error)
}

// A Reissue is the state of an order that reissues a certificate (ADR 0013).
type Reissue struct {
	OrderID   string
	Serial    string // with dashes, of the newer certificate; empty while there is none
	CreatedAt time.Time
	// RevokePrevious is set when the reissue asks CERTInext to revoke the older certificate, for
	// RevokeReason.
	RevokePrevious bool
	RevokeReason   certinext.Reason
	// Uncollected is set when the reissue was made ahead of a request for it, and nobody was handed
	// its certificate yet (ADR 0040).
	Uncollected bool
}

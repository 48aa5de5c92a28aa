// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Orders are asked what certificates do not know of the orders that they came from.
type Orders interface {
	// ReissueOf returns how the order stands that reissues a certificate; nil when there is none, or it is over without one.
	ReissueOf(ctx context.Context, s logical.Storage, c *Entry) (*Reissue, error)

	// FinishRevoked closes the order of a certificate that has just been revoked, if it is still open: nobody may get its key. The
	// certificate is locked, and whoever delivers holds the order before it locks the certificate: so this only tries to hold the
	// order, and never waits for it. Who holds it at that moment sees the revocation.
	FinishRevoked(ctx context.Context, s logical.Storage, c *Entry) error
}

// A Reissue is an order that reissues a certificate.
type Reissue struct {
	OrderID   string
	Serial    string // with dashes, of the newer certificate; empty while there is none
	CreatedAt time.Time
	// RevokePrevious is set when CERTInext was told to revoke the certificate, for RevokeReason.
	RevokePrevious bool
	RevokeReason   certinext.Reason
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
)

// DefaultApprovalTimeout is how long an order waits for its approval unless the role says
// otherwise. Roles of earlier versions have it, too.
const DefaultApprovalTimeout = 7 * 24 * time.Hour

// The bounds of a role's approval timeout. An order that waits keeps a private key, and its names
// are to be judged by somebody who still knows what they are for.
const (
	shortestApproval = time.Minute
	longestApproval  = 30 * 24 * time.Hour
)

func (r *Role) validateApproval() error {
	if r.ApprovalTimeout < shortestApproval || r.ApprovalTimeout > longestApproval {
		return fault.BadField("approval_timeout", "must be between 1m and 720h: an order that "+
			"waits for its approval keeps its private key for as long")
	}
	return nil
}

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

// DefaultMaxUnapproved is how many orders of a role wait for their approval at a time unless the
// role says otherwise. Roles of earlier versions have it, too.
const DefaultMaxUnapproved = 200

// mostUnapproved is how large [Role.MaxUnapproved] may be: each order that waits keeps a private
// key, and is looked at by a person.
const mostUnapproved = 10_000

// UnapprovedOfOne returns how many orders of one requester wait for their approval at a time: half
// of those of the role, so that none keeps all others from asking.
func (r *Role) UnapprovedOfOne() int { return (r.MaxUnapproved + 1) / 2 }

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
	if r.MaxUnapproved < 1 || r.MaxUnapproved > mostUnapproved {
		return fault.BadField("max_unapproved", "%d is not between 1 and %d: an order that waits "+
			"for its approval keeps a private key", r.MaxUnapproved, mostUnapproved)
	}
	return nil
}

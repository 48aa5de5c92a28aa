// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
)

// An approver approves what he has read. The order of a named request has the id of an earlier one
// of that name, which its requester may have ended while the approver thought about it, to ask for
// something else. So what is read has a digest, which the approval repeats.

// proposalDigest names what would be ordered by this wait for an approval; empty when there was
// none. It is no secret, and proves nothing but that two readings were of the same.
func proposalDigest(o *orderEntry) string {
	if o.Approval == nil {
		return ""
	}
	p := o.Placement
	p.Remarks = strings.ReplaceAll(p.Remarks, o.marker(), "")
	p.IdempotencyKey, p.Keyless = "", false // which the way to CERTInext changes
	text, err := json.Marshal(struct {
		ID, Requester, CSR string
		AskedAt            int64
		Placement          placement
	}{o.ID, o.Requester, o.CSR, o.Approval.AskedAt.UnixNano(), p})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// isRead returns an error unless the approver has read what waits now, by the digest that he gives.
func isRead(o *orderEntry, digest string) error {
	now := proposalDigest(o)
	switch {
	case digest == now && now != "":
		return nil
	case digest != "":
		return fault.BadField("proposal", "%q is not what order %s is for now, and waits to be "+
			"approved: vault read <mount>/approvals/%s/%s shows that", digest, o.ID, o.Role, o.ID)
	case o.RequestID != "":
		return fault.BadField("proposal", "is required for order %s: it has a request_id, by "+
			"which something else may have been asked for before. vault read "+
			"<mount>/approvals/%s/%s shows what is ordered, and its proposal", o.ID, o.Role, o.ID)
	}
	return nil
}

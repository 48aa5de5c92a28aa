// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import "strings"

// A Status is the state of an order. Stages may be skipped and repeated and come in any order, and new ones may
// appear: a caller decides from the status it sees and waits on one it does not know.
type Status string

// The statuses that CERTInext documents for v2.
const (
	StatusPendingDCV          Status = "pending-dcv"
	StatusPendingCSR          Status = "pending-csr"
	StatusPendingAgreement    Status = "pending-agreement"
	StatusPendingOrganization Status = "pending-organization-verification"
	StatusPendingDocuments    Status = "pending-documents"
	StatusPendingVetting      Status = "pending-vetting" // of a signer's documents; the newer documentation says pending-approval
	StatusPendingApproval     Status = "pending-approval"
	StatusIssued              Status = "issued" // the certificate may still be some seconds away
	StatusRevoked             Status = "revoked"
	StatusCancelled           Status = "cancelled"
	StatusRejected            Status = "rejected"
	StatusExpired             Status = "expired"
	StatusUnknown             Status = "unknown" // CERTInext could not classify the order
	StatusDraft               Status = "draft"   // placed with SaveAsDraft, not yet an order
)

// Known reports whether s is one of the documented statuses.
func (s Status) Known() bool {
	switch s {
	case StatusPendingDCV, StatusPendingCSR, StatusPendingAgreement, StatusPendingOrganization,
		StatusPendingDocuments, StatusPendingVetting, StatusPendingApproval, StatusIssued, StatusRevoked, StatusCancelled,
		StatusRejected, StatusExpired, StatusUnknown, StatusDraft:
		return true
	}
	return false
}

// Terminal reports whether an order with this status will never yield a certificate any more.
func (s Status) Terminal() bool {
	switch s {
	case StatusRevoked, StatusCancelled, StatusRejected, StatusExpired:
		return true
	}
	return false
}

// parseStatus reads a status whatever its case: the case of the live enumerations is not guaranteed to last.
func parseStatus(s string) Status {
	return Status(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "_", "-"))
}

func equalFold(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), b) }

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "time"

// A v1ID is a status of version 1: a number, and the words that go with it
// (both documented).
type v1ID struct{ id, name string }

// Order statuses of version 1.
var (
	v1Accepted   = v1ID{"2", "Order Accepted"}
	v1InProgress = v1ID{"3", "Order In-Progress"}
	v1Rejected   = v1ID{"4", "Order Rejected"}
	v1Cancelled  = v1ID{"5", "Order Cancelled"}
	v1Fulfilled  = v1ID{"6", "Order Fulfilled"}
	v1OnHold     = v1ID{"7", "On Hold"}
	v1Pending    = v1ID{"8", "Order Pending for Approval"}
)

// Certificate statuses of version 1.
var (
	v1SetupPending    = v1ID{"1", "Setup Pending"}
	v1PendingApprover = v1ID{"2", "Pending for Approver"}
	v1Discrepancy     = v1ID{"3", "Under Discrepancy"}
	v1Approved        = v1ID{"4", "Approved"}
	v1CertRejected    = v1ID{"5", "Rejected"}
	v1Downloaded      = v1ID{"9", "Certificate Downloaded"}
	v1Expired         = v1ID{"12", "Certificate Expired"}
	v1CertCancelled   = v1ID{"13", "Rejected due to Order Cancellation"}
	v1AutoApproved    = v1ID{"15", "Order Auto Approved"}
	v1Generated       = v1ID{"20", "Certificate Generated"}
	v1Revoked         = v1ID{"22", "Certificate Revoked"}
	v1PendingAuto     = v1ID{"24", "Pending for Approver (Auto-approval)"}
	// The words were seen, the number that went with them was not.
	v1PendingSystemRA = v1ID{"2", "Pending System RA"}
	v1PendingLRA      = v1ID{"25", "Organization Authorization Pending LRA"}
)

// statusIDs derives the two statuses of version 1 from the same facts as that
// of version 2.
func (s version1) statusIDs(o *order, now time.Time) (order, certificate v1ID) {
	switch s.status(o, now) {
	case statusCancelled:
		return v1Cancelled, v1CertCancelled
	case statusRejected:
		return v1Rejected, v1CertRejected
	case statusRevoked:
		return v1Fulfilled, v1Revoked
	case statusExpired:
		return v1Fulfilled, v1Expired
	case statusDraft:
		return v1OnHold, v1SetupPending
	case statusIssued:
		return s.issued(o, now)
	case statusPendingDCV:
		// Observed: typical while domain control is open.
		return v1Accepted, v1PendingAuto
	case statusPendingOrganization:
		return v1Accepted, v1PendingLRA
	case statusPendingDocuments:
		return v1Accepted, v1Discrepancy // inferred: the id for papers that are not in order
	case statusPendingCSR, statusPendingAgreement:
		return v1Accepted, v1SetupPending
	default:
		return s.approval(o, now)
	}
}

// issued: until the certificate downloads the order is only approved, though
// version 2 calls it issued.
func (s version1) issued(o *order, now time.Time) (order, certificate v1ID) {
	switch {
	case !s.pemReady(o.certificate(), now):
		return v1InProgress, o.v1Approved()
	case o.downloaded:
		return v1Fulfilled, v1Downloaded
	default:
		return v1Fulfilled, v1Generated
	}
}

// approval tells the wait for an approver from the wait for the signature.
// Version 2 has one status for both.
func (s version1) approval(o *order, now time.Time) (order, certificate v1ID) {
	if pending, _ := s.progress(o, now); pending != "" && len(o.missing) > 0 {
		return v1Pending, v1PendingSystemRA
	} else if pending != "" {
		return v1Pending, v1PendingApprover
	}
	return v1InProgress, o.v1Approved()
}

// v1Approved is by whom an order was approved. Neither means that there is a
// certificate.
func (o *order) v1Approved() v1ID {
	if o.approvedAt.IsZero() {
		return v1AutoApproved
	}
	return v1Approved
}

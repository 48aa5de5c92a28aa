// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import "slices"

// A v1State is a state of version 1 with its display words and the status of version 2 that it
// equals. The status is empty for a state that does not say what the order waits for: waitsFor
// derives it from the order's other facts.
type v1State struct {
	words  string
	status Status
}

// v1OrderStates and v1CertificateStates are the documented ids. Ids 4, 7, 15, 17 and 23 mean
// approved, and were observed without a certificate. 3 is an open question that a person can still
// answer. 24 is an approval that the system gives once the domain's control is proven, and is the
// usual state of an order that waits for that proof (observed 2026).
var (
	v1OrderStates = map[string]v1State{
		"1": {"Order Placed", ""},
		"2": {"Order Accepted", ""},
		"3": {"Order In-Progress", ""},
		"4": {"Order Rejected", StatusRejected},
		"5": {"Order Cancelled", StatusCancelled},
		"6": {"Order Fulfilled", ""},
		"7": {"On Hold (Saved to Draft)", StatusDraft},
		"8": {"Order Pending for Approval", StatusPendingApproval},
		"9": {"Order Pending for Account Administrator Approval", StatusPendingApproval},
	}
	v1CertificateStates = map[string]v1State{
		"1":  {"Setup Pending", ""},
		"2":  {"Pending for Approver", StatusPendingApproval},
		"3":  {"Under Discrepancy", StatusPendingDocuments},
		"4":  {"Approved", ""},
		"5":  {"Rejected", StatusRejected},
		"6":  {"Pending Second Approver", StatusPendingApproval},
		"7":  {"Approved by Second Approver", ""},
		"8":  {"Rejected by Second Approver", StatusRejected},
		"9":  {"Certificate Downloaded", StatusIssued},
		"12": {"Certificate Expired", StatusExpired},
		"13": {"Rejected due to Order Cancellation", StatusCancelled},
		"14": {"Auto Rejected", StatusRejected},
		"15": {"Order Auto Approved", ""},
		"16": {"Pending LRA", StatusPendingApproval},
		"17": {"Approved LRA", ""},
		"18": {"Rejected LRA", StatusRejected},
		"19": {"Invalid Configuration", StatusRejected},
		"20": {"Certificate Generated", StatusIssued},
		"21": {"Download Rejected", StatusRejected},
		"22": {"Certificate Revoked", StatusRevoked},
		"23": {"Rekey Approved", ""},
		"24": {"Pending for Approver (Auto-approval)", ""},
		"25": {"Organization Authorization Pending LRA", StatusPendingApproval},
		"26": {"Organization Authorized LRA", ""},
		"27": {"Organization Authorization Rejected LRA", StatusRejected},
	}
)

// v1AutoApproval is the certificate's state that waits for a validation or, when that is done, for
// an approval.
const v1AutoApproval = "24"

// status reads the two ids, of the order and of its certificate, either of which may be missing or
// new. The certificate's end states come first, then the order's, then the stage that either waits
// for. An unknown id is StatusUnknown, which a caller waits on.
func (w wireTracked) status() Status {
	orderID, certificateID := words(w.OrderStatusID), words(w.CertificateStatusID)
	order, orderKnown := v1OrderStates[orderID]
	certificate, certificateKnown := v1CertificateStates[certificateID]
	switch {
	case slices.Contains([]Status{StatusIssued, StatusRevoked, StatusExpired}, certificate.status):
		return certificate.status
	case order.status.Terminal(), order.status == StatusDraft:
		return order.status
	case certificate.status != "":
		return certificate.status
	case certificateID != "" && !certificateKnown, orderID != "" && !orderKnown:
		return StatusUnknown
	case certificateID == v1AutoApproval:
		return w.waitsFor(StatusPendingApproval)
	case order.status != "":
		return order.status
	case orderID == "6" && certificateID == "":
		return StatusIssued // fulfilled; the download shows whether there is a certificate
	}
	return w.waitsFor(StatusUnknown)
}

// waitsFor returns the first stage, in the sequence that version 2 documents, that the order's
// other facts show to be open, or otherwise if none is (inferred: version 1 has no such status).
func (w wireTracked) waitsFor(otherwise Status) Status {
	const pending = "0"
	for _, d := range w.Domains {
		if !d.Verified() {
			return StatusPendingDCV
		}
	}
	switch {
	case w.Organization.value.Status == pending:
		return StatusPendingOrganization
	case w.CSR.set && !w.CSR.on:
		return StatusPendingCSR
	case w.Agreement.value.Status == pending:
		return StatusPendingAgreement
	}
	return otherwise
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

type wireV1SubmitCSR struct {
	OrderDetails struct {
		RequestorEmail string `json:"requestorEmail"`
		OrderNumber    string `json:"orderNumber"`
		RequestNumber  string `json:"requestNumber"`
		CSR            string `json:"csr"`
	} `json:"orderDetails"`
}

// submitCSR attaches a CSR at any time before issuance, and to a draft.
func (s version1) submitCSR(c *call) (reply, *problem) {
	var req wireV1SubmitCSR
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.OrderDetails
	if problem := checkV1Email(d.RequestorEmail); problem != nil {
		return reply{}, problem
	}
	o, problem := s.findRequest(c, d.OrderNumber, d.RequestNumber)
	if problem != nil {
		return reply{}, problem
	}
	if !filled(d.CSR) {
		return reply{}, v1Failure("EMS-1006", "CSR cannot be empty.")
	}
	if problem := s.attachCSR(c, o, d.CSR); problem != nil {
		return reply{}, problem
	}
	return s.success(c, nil)
}

type wireV1AcceptAgreement struct {
	AgreementDetails struct {
		RequestorEmail  string `json:"requestorEmail"`
		OrderNumber     string `json:"orderNumber"`
		AcceptAgreement string `json:"acceptAgreement"`
		SignerName      string `json:"signerName"`
		SignerPlace     string `json:"signerPlace"`
		SignerIP        string `json:"signerIP"`
	} `json:"agreementDetails"`
}

// acceptAgreement signs the subscriber agreement of an open order.
func (s version1) acceptAgreement(c *call) (reply, *problem) {
	var req wireV1AcceptAgreement
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.AgreementDetails
	if problem := checkV1Email(d.RequestorEmail); problem != nil {
		return reply{}, problem
	}
	o, problem := s.findOrder(c, d.OrderNumber)
	if problem != nil {
		return reply{}, problem
	}
	switch {
	case o.family == FamilyPrivatePKI:
		return reply{}, v1Failure("EMS-956", "Invalid Request for this API")
	case o.agreement != nil:
		return reply{}, v1Failure("EMS-1082", "Agreement already signed.")
	case !s.cancellable(o, c.now) || s.isOver(o, c.now):
		return reply{}, v1Failure("EMS-1165", "Invalid request status.")
	}
	a := wireV1Agreement{d.AcceptAgreement, d.SignerName, d.SignerPlace, d.SignerIP}
	if problem := checkV1Agreement(a); problem != nil {
		return reply{}, problem
	}
	o.sign(a.agreement(), c.now)
	s.settle(o, c.now)
	return s.success(c, nil)
}

type wireV1RejectOrder struct {
	OrderDetails struct {
		OrderNumber   string `json:"orderNumber"`
		RejectRemarks string `json:"rejectRemarks"`
	} `json:"orderDetails"`
}

// rejectOrder withdraws an order that is not yet issued: what version 2 calls
// a cancellation.
func (s version1) rejectOrder(c *call) (reply, *problem) {
	var req wireV1RejectOrder
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.OrderDetails
	o, problem := s.findOrder(c, d.OrderNumber)
	if problem != nil {
		return reply{}, problem
	}
	if problem := firstUnmet(
		demand{filled(d.RejectRemarks), "EMS-964", "Rejection Remarks cannot be empty."},
		demand{o.cancelled == nil, "EMS-985", "This Order was already cancelled"},
		demand{o.rejected == nil, "EMS-986", "This Order is Rejected."},
		demand{s.cancellable(o, c.now), "EMS-987", "Certificate already generated."},
	); problem != nil {
		return reply{}, problem
	}
	o.cancelled = &ending{reason: d.RejectRemarks, at: c.now}
	s.cashier().giveBack(o, c.now)
	return s.success(c, nil)
}

type wireV1RejectRequest struct {
	OrderDetails struct {
		RequestNumber string `json:"requestNumber"`
		RejectRemarks string `json:"rejectRemarks"`
	} `json:"orderDetails"`
}

// rejectRequest withdraws a draft.
func (s version1) rejectRequest(c *call) (reply, *problem) {
	var req wireV1RejectRequest
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.OrderDetails
	o := s.book.requests[d.RequestNumber]
	if problem := firstUnmet(
		demand{filled(d.RequestNumber), "EMS-1004", "Request Number cannot be empty."},
		demand{o != nil, "EMS-1005", "Invalid Request Number."},
		demand{filled(d.RejectRemarks), "EMS-964", "Rejection Remarks cannot be empty."},
		demand{orZero(o).cancelled == nil, "EMS-985", "This Order was already cancelled"},
		demand{orZero(o).rejected == nil, "EMS-986", "This Order is Rejected."},
		demand{orZero(o).draft, "EMS-1169", "Request is already processed."},
	); problem != nil {
		return reply{}, problem
	}
	o.cancelled = &ending{reason: d.RejectRemarks, at: c.now}
	return s.success(c, nil)
}

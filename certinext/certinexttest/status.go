// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"time"
)

// Order statuses of the v2 API.
const (
	statusPendingDCV          = "pending-dcv"
	statusPendingCSR          = "pending-csr"
	statusPendingAgreement    = "pending-agreement"
	statusPendingOrganization = "pending-organization-verification"
	statusPendingDocuments    = "pending-documents"
	statusPendingVetting      = "pending-vetting" // documented only
	statusPendingApproval     = "pending-approval"
	statusIssued              = "issued"
	statusRevoked             = "revoked"
	statusCancelled           = "cancelled"
	statusRejected            = "rejected"
	statusExpired             = "expired"
	// statusDraft is the simulator's own word: drafts have no status on the
	// wire, since they have no order id to ask for.
	statusDraft = "draft"
)

// wireStatuses are the statuses that version 2 has for an order.
var wireStatuses = []string{
	statusPendingDCV, statusPendingCSR, statusPendingAgreement, statusPendingOrganization,
	statusPendingDocuments, statusPendingVetting, statusPendingApproval, statusIssued,
	statusRevoked, statusCancelled, statusRejected, statusExpired,
}

// A requirement is something an order waits for. It reports when it was met,
// given that everything before it was met at the time since.
type requirement struct {
	pending string // status while it is open
	met     func(s *Server, o *order, since, now time.Time) (time.Time, bool)
}

// requirements in the sequence both dialects go through them: "dcv -> (org) ->
// csr -> agreement -> (approval) -> issued", for document signers "documents ->
// approval -> csr -> agreement -> issued".
var requirements = []requirement{
	{statusPendingDCV, (*Server).domainsMet},
	{statusPendingOrganization, (*Server).organizationMet},
	{statusPendingDocuments, documentsMet},
	{statusPendingVetting, (*Server).vettingMet},
	{statusPendingCSR, csrMet},
	{statusPendingAgreement, agreementMet},
	// No source shows the status of an order that CAA holds up.
	{statusPendingApproval, (*Server).caaMet},
	{statusPendingApproval, (*Server).approvalMet},
}

// progress returns the status of the first open requirement, or else when all
// of them were met.
func (s *Server) progress(o *order, now time.Time) (pending string, ready time.Time) {
	ready = o.current().requestedAt
	for _, r := range requirements {
		at, ok := r.met(s, o, ready, now)
		if !ok {
			return r.pending, time.Time{}
		}
		if at.After(ready) {
			ready = at
		}
	}
	return "", ready
}

func (s *Server) domainsMet(o *order, _, now time.Time) (latest time.Time, ok bool) {
	for _, t := range o.targets {
		at, verified := s.verifiedSince(o, t, now)
		if !verified {
			return time.Time{}, false
		}
		if at.After(latest) {
			latest = at
		}
	}
	return latest, true
}

func (s *Server) organizationMet(o *order, _, _ time.Time) (time.Time, bool) {
	if !o.needsOrganization() || o.unnamed() { // who approves has to name one, see approved
		return time.Time{}, true
	}
	return o.organizationVetted()
}

// organizationVetted: a pre-vetted organization is done with, any other must be
// vetted after the order.
func (o *order) organizationVetted() (time.Time, bool) {
	at := o.organization.vettedAt
	if at.IsZero() || (!o.preVetted && at.Before(o.createdAt)) {
		return time.Time{}, false
	}
	return at, true
}

// documentsMet: only signers wait for documents.
func documentsMet(_ *Server, o *order, _, _ time.Time) (time.Time, bool) {
	return o.documentsAt, !o.isSigner() || o.documents > 0
}

// vettingMet: a signer's approver acts on the documents, and on nothing later.
func (s *Server) vettingMet(o *order, since, now time.Time) (time.Time, bool) {
	if !o.isSigner() {
		return time.Time{}, true
	}
	return s.approved(o, since, now)
}

func csrMet(_ *Server, o *order, _, _ time.Time) (time.Time, bool) {
	csr := o.current().csr
	if csr == nil {
		return time.Time{}, false
	}
	return csr.at, true
}

// agreementMet: private PKI has no subscriber agreement.
func agreementMet(_ *Server, o *order, _, _ time.Time) (time.Time, bool) {
	if o.family == FamilyPrivatePKI {
		return time.Time{}, true
	}
	if o.agreement == nil {
		return time.Time{}, false
	}
	return o.agreement.at, true
}

func (s *Server) approvalMet(o *order, since, now time.Time) (time.Time, bool) {
	if o.isSigner() {
		return time.Time{}, true
	}
	return s.approved(o, since, now)
}

// approved: an approver may have been spared by a consent token, may have
// acted, or may act by himself after ApprovalDelay.
func (s *Server) approved(o *order, since, now time.Time) (time.Time, bool) {
	switch {
	case o.unnamed():
		return time.Time{}, false
	case !o.approvedAt.IsZero():
		return o.approvedAt, true
	case !s.needsApproval(o) || s.ApprovalDelay < 0 || len(o.signings) > 1:
		return o.suppliedAt, true
	case s.ApprovalDelay == 0:
		return time.Time{}, false
	}
	at := since.Add(s.ApprovalDelay)
	return at, !now.Before(at)
}

func (s *Server) needsApproval(o *order) bool {
	if s.HoldForApproval || o.product.NeedsApproval || o.isSigner() || len(o.missing) > 0 {
		return true
	}
	return o.needsOrganization() && (!o.consented || s.IgnoreConsentTokens)
}

// needsOrganization: OV and EV name an organization in the certificate.
func (o *order) needsOrganization() bool {
	v := productTypes[o.product.Type].validation
	return o.family == FamilySSL && v != "dv"
}

// status derives where o stands. While the CA is signing, an order whose
// requirements are all met is shown as pending-approval.
func (s *Server) status(o *order, now time.Time) string {
	switch {
	case o.cancelled != nil:
		return statusCancelled
	case o.rejected != nil:
		return statusRejected
	case o.revoked != nil:
		return statusRevoked
	case o.draft:
		return statusDraft
	}
	sg := o.current()
	if sg.cert == nil {
		if s.isOver(o, now) {
			return statusExpired
		}
		pending, _ := s.progress(o, now)
		if pending == statusPendingVetting && s.Dialect != Documented {
			pending = statusPendingApproval // the newer documentation has no other word
		}
		return orDefault(pending, statusPendingApproval)
	}
	if now.After(sg.ends) {
		return statusExpired
	}
	return statusIssued
}

// shownStatus is what the API says. With IssuedBeforeCSR an order that only
// lacks its CSR is called issued, as was seen live.
func (s *Server) shownStatus(o *order, now time.Time) string {
	st := s.status(o, now)
	if st == statusPendingCSR && s.IssuedBeforeCSR && len(o.signings) == 1 {
		return statusIssued
	}
	return st
}

// settle signs what has become due. It is called before anyone looks, so that
// no clock has to tick in the background.
func (s *Server) settle(o *order, now time.Time) {
	s.settleOne(o, now)
	s.catchUp(now)
}

// settleAll settles all orders, those included that the CA places meanwhile.
func (s *Server) settleAll(now time.Time) {
	for i := 0; i < len(s.book.sequence); i++ {
		s.settleOne(s.book.sequence[i], now)
		s.catchUp(now)
	}
}

// settleOne is settle without what the CA does next of itself.
func (s *Server) settleOne(o *order, now time.Time) {
	sg := o.current()
	if o.draft || !o.isOpen() {
		return
	}
	if s.isBlocked(sg.csr) {
		s.turnDown(o, now)
		return
	}
	s.wantCAA(o, now)
	pending, ready := s.progress(o, now)
	due := ready.Add(s.IssueDelay)
	if pending != "" || now.Before(due) || s.isOver(o, due) {
		return
	}
	s.issue(o, sg, due)
	s.scheduleRenewal(o)
}

// pemReady reports whether the newest certificate can be downloaded yet.
func (s *Server) pemReady(sg *signing, now time.Time) bool {
	return sg != nil && !now.Before(sg.issuedAt.Add(s.PEMLag))
}

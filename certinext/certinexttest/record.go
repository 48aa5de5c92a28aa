// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
)

// An OrderRecord is what the CA believes about one order or draft. Times are
// zero where the thing has not happened.
type OrderRecord struct {
	// ID is the order id; drafts have none. RequestID is the request id.
	ID        string `json:"id,omitempty"`
	RequestID string `json:"requestId"`
	// Family is FamilySSL, FamilyPrivatePKI, FamilySignature or FamilySMIME.
	Family      string `json:"family"`
	ProductCode string `json:"productCode"`
	Variant     string `json:"variant"`
	// Status is the derived order status, or "draft".
	Status string `json:"status"`
	// Domain is the common name; AdditionalDomains are the further names as
	// asked for, addresses of private orders included.
	Domain string `json:"domain"`
	// Subject is the common name of a document signer, which has no Domain.
	Subject           string   `json:"subject,omitempty"`
	AdditionalDomains []string `json:"additionalDomains,omitempty"`
	AutoSecureWWW     bool     `json:"autoSecureWww"`
	Organization      string   `json:"organization,omitempty"`
	Group             string   `json:"group,omitempty"`
	// Missing are the parts that the order is parked for: see [Demands.ParkWithout].
	Missing []string `json:"missing,omitempty"`
	Remarks string   `json:"remarks,omitempty"`
	Tags    []string `json:"tags,omitempty"`
	// Documents counts those that were handed in.
	Documents int `json:"documents,omitempty"`
	// CSR is the newest request as it was sent.
	CSR string `json:"csr,omitempty"`
	// Keys are the SHA-256 of the public keys (their SubjectPublicKeyInfo) of all requests that
	// were taken, oldest first, in hexadecimal.
	Keys []string `json:"keys,omitempty"`
	// ReusedKey says that the public key was certified for another order.
	ReusedKey bool `json:"reusedKey,omitempty"`
	// Serials are the serial numbers of all certificates, oldest first, in
	// lower-case hexadecimal without separators.
	Serials []string `json:"serials,omitempty"`
	// CertificatePEM is the newest certificate.
	CertificatePEM string `json:"certificatePem,omitempty"`
	// LifetimeCut says that the setting certificateLifetime, or otherLifetime for S/MIME, was more
	// than a CA may give the newest certificate, which lives for as long as is allowed instead.
	LifetimeCut bool `json:"lifetimeCut,omitempty"`
	// Creates counts the create calls that led to this order; more than one
	// means replays under an idempotency key, or a promoted draft.
	Creates int `json:"creates"`
	// AutoRenew says that the CA renews by itself, RenewalOf which order it renewed by this one.
	AutoRenew bool   `json:"autoRenew"`
	RenewalOf string `json:"renewalOf,omitempty"`
	// SubscriptionEnd is when what was bought ends. Paid is what it has cost, less refunds.
	SubscriptionEnd time.Time `json:"subscriptionEnd,omitzero"`
	Paid            Amount    `json:"paid,omitzero"`
	IdempotencyKey  string    `json:"idempotencyKey,omitempty"`
	CreatedAt       time.Time `json:"createdAt"`
	IssuedAt        time.Time `json:"issuedAt,omitzero"`
	CancelledAt     time.Time `json:"cancelledAt,omitzero"`
	CancelReason    string    `json:"cancelReason,omitempty"`
	RejectedAt      time.Time `json:"rejectedAt,omitzero"`
	RejectRemark    string    `json:"rejectRemark,omitempty"`
	RevokedAt       time.Time `json:"revokedAt,omitzero"`
	RevokeReason    string    `json:"revokeReason,omitempty"`
	RevokeNote      string    `json:"revokeNote,omitempty"`
}

// ErrNoOrder is returned for an order id that the CA does not know.
var ErrNoOrder = errors.New("no such order")

// Orders returns all orders and drafts, oldest first.
func (s *Server) Orders() []OrderRecord {
	var records []OrderRecord
	s.withCAA(func(now time.Time) {
		records = make([]OrderRecord, 0, len(s.book.sequence))
		s.settleAll(now)
		for _, o := range s.book.sequence {
			records = append(records, s.record(o, now))
		}
	})
	return records
}

// Order returns one order by its id, and whether there is one.
func (s *Server) Order(id string) (r OrderRecord, known bool) {
	s.withCAA(func(now time.Time) {
		if o := s.book.orders[id]; o != nil {
			s.settle(o, now)
			r, known = s.record(o, now), true
		}
	})
	return r, known
}

func (s *Server) record(o *order, now time.Time) OrderRecord {
	r := OrderRecord{
		ID: o.id, RequestID: o.requestID, Family: o.family, ProductCode: o.product.Code,
		Variant: o.variant, Status: s.status(o, now), Domain: o.domain,
		AdditionalDomains: slices.Clone(o.additional), AutoSecureWWW: o.www, Group: o.group,
		Remarks: o.remarks, Tags: slices.Clone(o.tags), Missing: slices.Clone(o.missing),
		ReusedKey: o.reusedKey, Creates: o.creates,
		IdempotencyKey: o.idempotencyKey, CreatedAt: o.createdAt, AutoRenew: o.renewal.auto,
		RenewalOf: o.renewalOf, SubscriptionEnd: s.terms(o).Ends(), Paid: o.paid,
	}
	for _, ip := range o.hosts {
		r.AdditionalDomains = append(r.AdditionalDomains, ip.String())
	}
	if o.organization != nil {
		r.Organization = o.organization.Number
	}
	if o.subject != nil {
		r.Subject, r.Documents = o.subject.displayName, o.documents
	}
	if csr := o.current().csr; csr != nil {
		r.CSR = csr.text
	}
	for _, sg := range o.signings {
		if sg.csr != nil {
			r.Keys = append(r.Keys, fmt.Sprintf("%x", sg.csr.fingerprint()))
		}
		if sg.cert != nil {
			r.Serials = append(r.Serials, sg.cert.SerialNumber.Text(16))
			r.IssuedAt, r.LifetimeCut = sg.issuedAt, sg.lifetimeCut
			r.CertificatePEM = string(pem.EncodeToMemory(&pem.Block{
				Type: "CERTIFICATE", Bytes: sg.cert.Raw,
			}))
		}
	}
	if e := o.cancelled; e != nil {
		r.CancelledAt, r.CancelReason = e.at, e.reason
	}
	if e := o.rejected; e != nil {
		r.RejectedAt, r.RejectRemark = e.at, e.reason
	}
	if e := o.revoked; e != nil {
		r.RevokedAt, r.RevokeReason, r.RevokeNote = e.at, e.reason, e.note
	}
	return r
}

// A DomainRecord is what the CA believes about one domain of the account. Times
// are zero where the thing has not happened.
type DomainRecord struct {
	// ID names it in calls; Name is the DNS name.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Organization is the number of the organization that it belongs to.
	Organization string `json:"organization"`
	Method       string `json:"method"`
	// Verified says that it counts for orders now: it was validated, has not run
	// out and was not deactivated.
	Verified bool `json:"verified"`
	// Open says that there is a challenge to meet: for the first time, or to
	// renew what still counts.
	Open       bool      `json:"open"`
	Inactive   bool      `json:"inactive,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
	VerifiedAt time.Time `json:"verifiedAt,omitzero"`
	ValidTill  time.Time `json:"validTill,omitzero"`
	// Attempts counts the verifications of this domain itself.
	Attempts int `json:"attempts"`
}

// Domains returns all domains of the account, in the order in which they were
// registered.
func (s *Server) Domains() []DomainRecord {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	records := make([]DomainRecord, 0, len(s.zones))
	for _, d := range s.zones {
		records = append(records, DomainRecord{
			ID: d.id, Name: d.name, Organization: d.organizationNumber(), Method: d.method,
			Verified: d.validAt(now), Open: d.openAt(now), Inactive: d.inactive,
			CreatedAt: d.createdAt, VerifiedAt: d.verifiedAt, ValidTill: d.validTill,
			Attempts: len(d.attempts),
		})
	}
	return records
}

// Calls returns how often each operation was called since the start or the
// last ResetCalls, refused calls and calls struck by faults included.
func (s *Server) Calls() map[string]int {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// ResetCalls sets all counts of [Server.Calls] to zero.
func (s *Server) ResetCalls() {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
}

// Approve is the approver's consent to an order, given ahead of time if the
// order is not yet at pending-approval. It returns [ErrNoOrder] for an unknown
// id, and an error for an order that has ended.
func (s *Server) Approve(orderID string) error {
	return s.decide(orderID, func(o *order, now time.Time) {
		o.approvedAt = now
	})
}

// Reject is the approver's refusal, with the remark that the order will show.
// Its errors are those of [Server.Approve].
func (s *Server) Reject(orderID, remark string) error {
	return s.decide(orderID, func(o *order, now time.Time) {
		o.rejected = &ending{reason: remark, at: now}
		s.cashier().giveBack(o, now)
	})
}

func (s *Server) decide(orderID string, act func(*order, time.Time)) error {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.book.orders[orderID]
	if o == nil {
		return fmt.Errorf("order %q: %w", orderID, ErrNoOrder)
	}
	now := s.now()
	s.settle(o, now)
	if o.ended() {
		return fmt.Errorf(
			"order %q is %s and can no longer be decided on", orderID, s.status(o, now),
		)
	}
	act(o, now)
	s.settle(o, now)
	return nil
}

// Promote places the order of a draft, as a user does in the portal.
func (s *Server) Promote(requestID string) error {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.book.requests[requestID]
	if o == nil || !o.isOpenDraft() {
		return fmt.Errorf("draft %q: %w", requestID, ErrNoOrder)
	}
	if s.isBlocked(o.current().csr) {
		return fmt.Errorf("draft %q: %s", requestID, compromisedKey)
	}
	now := s.now()
	s.catchUp(now)
	if price, _ := s.cashier().quote(o); s.funds.Affords(s.cashier().purse(o.group), price) != nil {
		return fmt.Errorf("draft %q costs %s, which its purse does not hold", requestID, price)
	}
	o.draft, o.id, o.createdAt = false, s.newOrderID(), now
	o.current().requestedAt = now
	s.book.file(o)
	_ = s.cashier().sell(o, money.Order, now) // affordable, see above
	s.settle(o, now)
	return nil
}

// Vet completes the verification of an organization, named by its number, for
// all orders that wait for it and for those to come.
func (s *Server) Vet(organization string) error {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	org := s.organization(organization)
	if org == nil {
		return fmt.Errorf("no such organization %q", organization)
	}
	now := s.now()
	org.vettedAt = now
	s.settleAll(now)
	return nil
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

var v1Verbs = map[Family]string{
	FamilySSL:        "GenerateOrderSSL",
	FamilyPrivatePKI: "GenerateOrderPrivatePKI",
	FamilySignature:  "GenerateOrderSignature",
	FamilySMIME:      "GenerateOrderSMIME",
}

func (c v1) create(
	ctx context.Context, s *session, operation string, r OrderRequest,
) (*Order, error) {
	verb, ok := v1Verbs[r.Family]
	if !ok {
		return nil, &InvalidRequestError{
			Field: "Family", Problem: "must be ssl, private-pki, signature or smime",
		}
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := r.checkV1(); err != nil {
		return nil, err
	}
	body, err := mergeDeep(newWireV1Order(r), r.Extra)
	if err != nil {
		return nil, err
	}
	req := c.tell(operation, verb, "orderDetails", body)
	req.repeat, req.timeout = repeatNever, c.createTimeout()
	req.secrets = r.secrets()
	o, err := fetch(ctx, c.Client, req, func(body []byte) (*Order, error) {
		w, err := decodeTracked(body)
		if err != nil {
			return nil, err
		}
		o := &Order{ID: safeID(w.OrderNumber), RequestID: safeID(w.RequestNumber)}
		return o, placed(o, r)
	})
	if err != nil {
		return nil, err
	}
	s.requestors.remember(o.ID, r.Requestor.Email)
	return o, nil
}

// checkV1 refuses what version 1 would refuse or cannot express.
func (r OrderRequest) checkV1() error {
	switch {
	case r.AccountingModel != "" && r.AccountingModel != AccountingCash &&
		r.AccountingModel != AccountingCredit:
		return &InvalidRequestError{Field: "AccountingModel", Problem: "must be cash or credit"}
	case r.CAProfileID != "":
		return &InvalidRequestError{Field: "CAProfileID", Problem: "cannot be chosen in version 1"}
	case r.MasterProductID != "":
		return &InvalidRequestError{
			Field: "MasterProductID", Problem: "cannot be chosen in version 1",
		}
	case r.Family == FamilyPrivatePKI && strings.TrimSpace(r.CSR) == "":
		return &InvalidRequestError{ // documented
			Field: "CSR", Problem: "must be set for private PKI in version 1",
		}
	case r.Family == FamilySMIME && (r.Subject == nil || strings.TrimSpace(r.Subject.Email) == ""):
		return &InvalidRequestError{Field: "Subject.Email", Problem: "must be set"} // documented
	case r.Agreement != nil && r.Family != FamilyPrivatePKI:
		return r.Agreement.checkV1()
	}
	return nil
}

// checkV1 refuses an agreement that version 1 would refuse. Observed: EMS-1091 for a loopback
// address.
func (a *Agreement) checkV1() error {
	ip, err := netip.ParseAddr(a.SignerIP)
	if err != nil || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return &InvalidRequestError{
			Field: "Agreement.SignerIP", Problem: "must be a public IP address in version 1",
		}
	}
	return nil
}

// mergeDeep adds the members of extra that known does not send, in the blocks of known too: version
// 1 has its further fields, such as an EV order's companyRegistrationNumber, inside of them.
func mergeDeep(known any, extra map[string]any) (any, error) {
	if len(extra) == 0 {
		return known, nil
	}
	fields, err := merge(known, extra)
	if err != nil {
		return nil, err
	}
	for name, value := range fields {
		raw, sent := value.(json.RawMessage)
		more, both := extra[name].(map[string]any)
		if !sent || !both || !strings.HasPrefix(string(raw), "{") {
			continue
		}
		if fields[name], err = mergeDeep(raw, more); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (c v1) track(ctx context.Context, operation string, f Family, id string) (*Order, error) {
	if err := orderKey(f, id); err != nil {
		return nil, asError(operation, err)
	}
	r := c.ask(operation, "TrackOrder", "orderDetails", wireOrderKey{OrderNumber: id})
	r.ofOrder = true
	w, err := fetch(ctx, c.Client, r, func(body []byte) (wireTracked, error) {
		w, err := decodeTracked(body)
		if err != nil {
			return w, err
		}
		return w, namesOrder(w.OrderNumber, id)
	})
	if err != nil {
		return nil, err
	}
	c.session.requestors.remember(id, words(w.Requestor.value.Email))
	o := w.order()
	if o.ID == "" && r.answered {
		// TrackOrder's answer names no order (documented). It repeats the call's transaction id
		// (documented as a member of every answer, and inferred from the samples to be the
		// request's), which identifies the order as well.
		o.ID = id
	}
	return o, nil
}

// A requestorCache holds the requestor's address of each order: version 1 needs it in nearly every
// call on an order (documented as mandatory). Tracking does not need it and returns it.
type requestorCache struct {
	mu      sync.Mutex
	byOrder map[string]string
}

const maxRequestors = 10_000 // orders that are remembered

func (q *requestorCache) remember(orderID, email string) {
	if email == "" {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byOrder == nil || len(q.byOrder) >= maxRequestors {
		q.byOrder = map[string]string{}
	}
	q.byOrder[orderID] = email
}

// suggest remembers the address of an order of which none is known.
func (q *requestorCache) suggest(orderID, email string) {
	if q.recall(orderID) == "" {
		q.remember(orderID, email)
	}
}

func (q *requestorCache) recall(orderID string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.byOrder[orderID]
}

// requestor returns the address that an order was placed with; empty when CERTInext does not say. f
// only has to be a family.
func (c v1) requestor(ctx context.Context, operation string, f Family, id string) (string, error) {
	if err := orderKey(f, id); err != nil {
		return "", asError(operation, err)
	}
	s, e := c.open(operation)
	if e != nil {
		return "", e
	}
	if email := s.requestors.recall(id); email != "" {
		return email, nil
	}
	if _, err := c.track(ctx, operation, f, id); err != nil {
		return "", err
	}
	return s.requestors.recall(id), nil
}

// changeOrder sends the block that block makes for the requestor's address.
func (c v1) changeOrder(
	ctx context.Context, operation, verb, name string, f Family, id string,
	block func(requestor string) any,
) error {
	requestor, err := c.requestor(ctx, operation, f, id)
	if err != nil {
		return err
	}
	r := c.tell(operation, verb, name, block(requestor))
	r.ofOrder = true
	return c.change(ctx, r)
}

// A call of version 1 cannot say that a key is attested: CERTInext checks the CSR of a document
// signer itself (documented).
func (c v1) submitCSR(
	ctx context.Context, operation string, f Family, id, csr string, _ bool,
) error {
	block := func(requestor string) any {
		return wireOrderKey{Requestor: &requestor, OrderNumber: id, CSR: csr}
	}
	return c.changeOrder(ctx, operation, "SubmitCSR", "orderDetails", f, id, block)
}

func (c v1) accept(ctx context.Context, operation string, f Family, id string, a Agreement) error {
	if err := a.checkV1(); err != nil {
		return asError(operation, err)
	}
	block := func(requestor string) any {
		return wireV1Acceptance{
			Requestor: requestor, OrderNumber: id, wireV1Agreement: *newWireV1Agreement(&a),
		}
	}
	return c.changeOrder(ctx, operation, "AgreementAcceptance", "agreementDetails", f, id, block)
}

func (c v1) cancel(ctx context.Context, operation string, f Family, id, reason string) error {
	if err := orderKey(f, id); err != nil {
		return asError(operation, err)
	}
	r := c.tell(operation, "RejectOrder", "orderDetails", wireRejection{
		OrderNumber: id, Remarks: reason,
	})
	r.ofOrder = true
	if err := c.change(ctx, r); !IsRefusal(err) || !HasCode(err, codeAlreadyCancelled) {
		return err
	}
	return nil
}

func (c v1) cancelDraft(ctx context.Context, operation, requestID, reason string) error {
	if _, err := segment("requestID", requestID); err != nil {
		return asError(operation, err)
	}
	r := c.tell(operation, "RejectRequest", "orderDetails", wireRejection{
		RequestNumber: requestID, Remarks: reason,
	})
	r.ofOrder = true
	return c.change(ctx, r)
}

// v1Reasons are those that the documentation lists for all families.
var v1Reasons = liveSSLReasons

func (c v1) reasons(Family) []Reason { return append([]Reason(nil), v1Reasons...) }

func (c v1) revoke(
	ctx context.Context, operation string, f Family, id string, r RevokeRequest,
) error {
	if r.RequestorEmail != "" && orderKey(f, id) == nil {
		s, e := c.open(operation)
		if e != nil {
			return e
		}
		s.requestors.suggest(id, r.RequestorEmail)
	}
	block := func(requestor string) any {
		return wireV1Revocation{
			OrderNumber: id, Requestor: requestor, ReasonID: strconv.Itoa(r.Reason.number()),
			Remarks: r.Note,
		}
	}
	return c.changeOrder(ctx, operation, "RevokeOrder", "revocationDetails", f, id, block)
}

func (c v1) certificate(
	ctx context.Context, operation string, f Family, id string,
) (*Bundle, error) {
	requestor, err := c.requestor(ctx, operation, f, id)
	if err != nil {
		return nil, err
	}
	r := c.ask(operation, "GetCertificate", "orderDetails", wireOrderKey{
		Requestor: &requestor, OrderNumber: id,
	})
	r.ofOrder = true
	b, err := fetch(ctx, c.Client, r, decodeV1Bundle)
	if err != nil {
		return nil, err
	}
	b.OrderID = id
	return b, nil
}

// certificatePEM does the same as certificate: version 1 has one form only.
func (c v1) certificatePEM(
	ctx context.Context, operation string, f Family, id string,
) (*Bundle, error) {
	return c.certificate(ctx, operation, f, id)
}

// v1Methods are version 1's numerals. The newer documentation of version 2 numbers DNS 2 and HTTP
// 1.
var v1Methods = map[DCVMethod]string{DCVMethodDNS: "1", DCVMethodHTTP: "2", DCVMethodEmail: "3"}

func (c v1) challenge(
	ctx context.Context, operation, orderID, domain string, m DCVMethod,
) (*Challenge, error) {
	requestor, err := c.requestor(ctx, operation, FamilySSL, orderID)
	if err != nil {
		return nil, err
	}
	r := c.ask(operation, "GetDcv", "dcvDetails", wireDCV{
		Requestor: requestor, OrderNumber: orderID, DomainName: domain, Method: v1Methods[m],
	})
	r.ofOrder = true
	return fetch(ctx, c.Client, r, func(body []byte) (*Challenge, error) {
		return decodeChallenge(body, domain, m)
	})
}

// verify asks for the validation and then tracks the order once, because the answer only confirms
// the request. A validation by mail goes to the first address that is offered.
func (c v1) verify(ctx context.Context, operation, orderID, domain string, m DCVMethod) error {
	address := ""
	if m == DCVMethodEmail {
		ch, err := c.challenge(ctx, operation, orderID, domain, m)
		if err != nil {
			return err
		}
		address = ch.EmailTo[0]
	}
	block := func(requestor string) any {
		return wireDCV{
			Requestor: requestor, OrderNumber: orderID, DomainName: domain, Method: v1Methods[m],
			Email: address,
		}
	}
	err := c.changeOrder(ctx, operation, "VerifyDcv", "dcvDetails", FamilySSL, orderID, block)
	if err != nil {
		return err
	}
	o, err := c.track(ctx, operation, FamilySSL, orderID)
	if err != nil {
		return verifying(operation, err)
	}
	return o.proven(operation, domain)
}

// proven returns nil when the order shows that control of the domain is proven, and otherwise why
// not.
func (o *Order) proven(operation, domain string) error {
	for _, d := range o.Domains {
		switch {
		case bareDomain(d.Domain) != bareDomain(domain):
		case d.Verified():
			return nil
		case equalFold(d.DCVStatus, "REJECTED"):
			return &Error{
				Operation: operation, Status: http.StatusUnprocessableEntity, enveloped: true,
				Err: errors.New("CERTInext rejected the domain's validation"),
			}
		default:
			return verifying(operation, nil)
		}
	}
	if o.Status == StatusIssued {
		return nil
	}
	return verifying(operation, nil)
}

// verifying returns the error of a validation that was asked for and has no result yet.
func verifying(operation string, cause error) *Error {
	e := &Error{
		Operation: operation, Status: http.StatusUnprocessableEntity, Err: errVerifying,
		enveloped: true,
	}
	if cause != nil {
		e.Err = fmt.Errorf("%w: %w", errVerifying, cause)
	}
	return e
}

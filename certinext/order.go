// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"net/http"
	"strings"
)

// TrackOrder returns the present state of an order. The live service leaves out much of what was
// ordered, so a caller keeps its own record of the names, the product and the marker.
//
// The Order's ID is empty when the answer names no order, and an answer that names another order is
// an error. Caches and gateways between the client and CERTInext can give either, with a status
// that ends an order: a caller believes a final status only together with the ID.
//
// A 404 of CERTInext's own ([IsRefusal]) means that the id is unknown, or belongs to another
// family, or is a request id (observed 2026). Version 1 does not tell families apart: an order is
// found under each.
func (c *Client) TrackOrder(ctx context.Context, f Family, id string) (*Order, error) {
	return c.protocolFor(f).track(ctx, "tracking order", f, id)
}

func (c v2) track(ctx context.Context, operation string, f Family, id string) (*Order, error) {
	path, err := orderPath(f, id, "")
	if err != nil {
		return nil, asError(operation, err)
	}
	o, err := fetch(ctx, c.Client, c.read(operation, path, nil), func(body []byte) (*Order, error) {
		return decodeOrderOf(body, id)
	})
	if err != nil {
		return nil, err
	}
	if o.Status == "" {
		o.Status = StatusUnknown
	}
	return o, nil
}

// SubmitCSR gives the order its certificate signing request, in PEM. The live service takes it any
// time before issuance, also before the domains are validated. attested is true only for a key made
// in an attested hardware module, as document signers need; version 1 ignores it and checks the key
// itself.
//
// A 422 is a malformed CSR, a common name that is not the order's domain, a CSR that was already
// submitted, or an order past that stage: tracking tells which.
func (c *Client) SubmitCSR(ctx context.Context, f Family, id, csr string, attested bool) error {
	const operation = "submitting CSR"
	if strings.TrimSpace(csr) == "" {
		return asError(operation, &InvalidRequestError{Field: "csr", Problem: "must be set"})
	}
	return c.protocolFor(f).submitCSR(ctx, operation, f, id, csr, attested)
}

func (c v2) submitCSR(
	ctx context.Context, operation string, f Family, id, csr string, attested bool,
) error {
	return c.changeOrder(
		ctx, operation, http.MethodPut, f, id, "/csr", wireCSR{CSR: csr, Attested: attested},
		changedOrder(id),
	)
}

// AcceptAgreement signs the subscriber agreement of an order. An agreement that was accepted in the
// create needs no further one, and a 422 because the order is not waiting for it is harmless.
// Private PKI orders have no agreement.
func (c *Client) AcceptAgreement(ctx context.Context, f Family, id string, a Agreement) error {
	const operation = "accepting agreement"
	switch {
	case f == FamilyPrivatePKI:
		return asError(operation, &InvalidRequestError{
			Field: "Family", Problem: "private-pki has no agreement",
		})
	case !a.Accepted:
		return asError(operation, &InvalidRequestError{
			Field: "Agreement.Accepted", Problem: "must be true",
		})
	}
	return c.protocolFor(f).accept(ctx, operation, f, id, a)
}

func (c v2) accept(ctx context.Context, operation string, f Family, id string, a Agreement) error {
	return c.changeOrder(
		ctx, operation, http.MethodPost, f, id, "/agreement", wireAcceptance{newWireAgreement(&a)},
		changedOrder(id),
	)
}

// CancelOrder withdraws an order that is not issued yet. reason is free text; CERTInext wants one,
// so an empty one is replaced. Cancelling an order that is cancelled already succeeds: CERTInext
// answers 404 or 422 then, and the order is tracked to tell this from a refusal. An issued order is
// refused, and is to be revoked instead.
func (c *Client) CancelOrder(ctx context.Context, f Family, id, reason string) error {
	err := c.protocolFor(f).cancel(
		ctx, "cancelling order", f, id, freeText(reason, "No longer required", maxWords),
	)
	if !ambiguousRefusal(err) {
		return err
	}
	if o, trackErr := c.TrackOrder(ctx, f, id); trackErr == nil && o.is(id, StatusCancelled) {
		return nil
	}
	return err
}

func (c v2) cancel(ctx context.Context, operation string, f Family, id, reason string) error {
	return c.changeOrder(
		ctx, operation, http.MethodPost, f, id, "/cancel", wireCancellation{Reason: reason},
		changedOrder(id, StatusCancelled),
	)
}

// CancelDraft withdraws a draft, by its request id (documented). A draft that was promoted is an
// order and is cancelled by CancelOrder.
func (c *Client) CancelDraft(ctx context.Context, requestID, reason string) error {
	return c.protocol().cancelDraft(
		ctx, "cancelling draft", requestID, freeText(reason, "Draft no longer needed", maxWords),
	)
}

func (c v2) cancelDraft(ctx context.Context, operation, requestID, reason string) error {
	path, err := segment("requestID", requestID)
	if err != nil {
		return asError(operation, err)
	}
	req, err := c.write(operation, http.MethodPost, "/ssl-certificates/requests/"+path+"/cancel",
		wireCancellation{Reason: reason})
	if err != nil {
		return asError(operation, err)
	}
	req.accept = cancelledDraft(requestID)
	return c.change(ctx, req)
}

// is reports whether the answer names the order id and has the status s.
func (o *Order) is(id string, s Status) bool { return o.ID == id && o.Status == s }

// changeOrder sends body to a resource of the order. accept checks whether an answer is a success
// of this call.
func (c v2) changeOrder(
	ctx context.Context, operation, method string, f Family, id, below string, body any,
	accept func(*reply) error,
) error {
	path, err := orderPath(f, id, below)
	if err != nil {
		return asError(operation, err)
	}
	req, err := c.write(operation, method, path, body)
	if err != nil {
		return asError(operation, err)
	}
	req.accept = accept
	return c.change(ctx, req)
}

// ambiguousRefusal reports whether the answer has one of the statuses that may also mean that the
// order already is in the state that was asked for. The caller tracks the order then, so a
// gateway's answer does no harm.
func ambiguousRefusal(err error) bool {
	return HasStatus(err, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
}

// A ReissueRequest asks for another certificate within an issued order.
type ReissueRequest struct {
	// CSR is in PEM, with a key that no order has had yet.
	CSR string
	// UpdateNames replaces the order's further names by AdditionalDomains, for multi-domain
	// products; new ones have to be validated. Otherwise the names stay, and only the key changes.
	UpdateNames       bool
	AdditionalDomains []string
	// Reason is free text; CERTInext wants one (documented), so an empty one is replaced.
	Reason string
	// RevokePrevious has CERTInext revoke the certificate that the order had, for RevokeReason;
	// superseded when that is empty.
	RevokePrevious bool
	RevokeReason   Reason
}

// ReissueOrder asks for another certificate within an issued SSL order (documented for version 2;
// no client is known to have used it). The order keeps its id and gets another RequestID, by which
// a caller can tell whether a reissue was accepted. Until the new certificate is there,
// [Client.Certificate] may deliver the one before. What a reissue costs is not documented.
//
// Like a create it is sent once, and again only after a 401 of CERTInext's own. An answer that does
// not name the order is an error. After an error whose Acted is true, a caller tracks the order and
// compares its RequestID.
func (c *Client) ReissueOrder(
	ctx context.Context, f Family, id string, r ReissueRequest,
) (*Order, error) {
	const operation = "reissuing certificate"
	req, err := c.reissue(operation, f, id, r)
	if err != nil {
		return nil, asError(operation, err)
	}
	o, err := fetch(ctx, c, req, func(body []byte) (*Order, error) {
		o, err := decodeOrderOf(body, id)
		if err == nil && o.ID == "" {
			err = errNoOrderID // documented: 201 with the order's own id
		}
		return o, err
	})
	if err != nil {
		return nil, err
	}
	if o.Status == "" {
		o.Status = StatusUnknown
	}
	return o, nil
}

// reissue builds the call.
func (c *Client) reissue(operation string, f Family, id string, r ReissueRequest) (*call, error) {
	if _, e := c.open(operation); e != nil {
		return nil, e
	}
	switch {
	case c.Version == V1:
		return nil, &InvalidRequestError{
			Field: "Version", Problem: "must be V2: version 1 has no reissue",
		}
	case f != FamilySSL:
		return nil, &InvalidRequestError{
			Field: "Family", Problem: "must be ssl: there is no reissue of others",
		}
	case strings.TrimSpace(r.CSR) == "":
		return nil, &InvalidRequestError{Field: "CSR", Problem: "must be set"}
	}
	w := wireReissue{
		Mode: "rekey", Reason: freeText(r.Reason, "Rekey", maxWords), CSR: r.CSR,
		RevokePrevious: r.RevokePrevious,
	}
	if r.UpdateNames {
		w.Mode, w.AdditionalDomains = "update-sans", r.AdditionalDomains
		for _, name := range r.AdditionalDomains {
			if problem := dnsNameProblem(name); problem != "" {
				return nil, &InvalidRequestError{Field: "AdditionalDomains", Problem: problem}
			}
		}
	}
	if r.RevokePrevious {
		reason, err := ParseReason(first(text(r.RevokeReason), text(ReasonSuperseded)))
		if err != nil {
			return nil, err
		}
		w.RevokeReason = reason.spelling(c.Credentials.dialect())
	}
	path, err := orderPath(f, id, "/reissue")
	if err != nil {
		return nil, err
	}
	req, err := c.write(operation, http.MethodPost, path, w)
	if err != nil {
		return nil, err
	}
	req.repeat, req.timeout = repeatNever, c.createTimeout()
	return req, nil
}

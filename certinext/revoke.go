// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"crypto/sha256"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A RevokeRequest says why an order's certificate is to be revoked.
type RevokeRequest struct {
	// Reason is needed. Which ones CERTInext takes depends on the family; see [Client.RevokeOrder].
	Reason Reason
	// Note is free text. Semicolons, which CERTInext refuses (observed 2026), become commas, line
	// breaks become spaces, and 200 characters are kept. If empty, a short default is sent.
	Note string
	// IdempotencyKey is sent as a header in version 2; see [OrderRequest.IdempotencyKey]. If empty,
	// a random one is made for this call.
	IdempotencyKey string
	// RequestorEmail is the address that the order was placed with. Version 1 needs it, and tracks
	// the order to learn it if it is empty.
	RequestorEmail string
}

// RevokeOrder revokes the certificate of an issued order. CERTInext revokes by order, never by
// serial number; CRL and OCSP follow within hours (documented: 4, for private PKI 5 to 15 minutes).
//
// sent is the reason that CERTInext recorded. It is the caller's, with one exception: an order that
// turns out to be revoked already is a success, and sent is then the reason it was revoked with, or
// empty if CERTInext does not say. CERTInext answers 404 or 422 to such an order just as to an
// unknown one, so the order is tracked then.
//
// For SSL orders the live service takes key-compromise, affiliation-changed, superseded,
// cessation-of-operation and privilege-withdrawn only (observed 2026). Any other reason is refused
// before anything is sent, with an [*UnsupportedReasonError]: a substitute would be published in
// the CRL, so choosing one is left to the caller.
func (c *Client) RevokeOrder(
	ctx context.Context, f Family, id string, r RevokeRequest,
) (sent Reason, err error) {
	const operation = "revoking certificate"
	if _, e := c.open(operation); e != nil {
		return "", e
	}
	reason, err := ParseReason(string(r.Reason))
	if err != nil {
		return "", asError(operation, err)
	}
	p := c.protocolFor(f)
	if supported := p.reasons(f); !slices.Contains(supported, reason) {
		return "", asError(operation, &UnsupportedReasonError{
			Reason: reason, Family: f, Supported: supported,
		})
	}
	r.Reason, r.Note = reason, freeText(r.Note, "Revoked through the CERTInext API", maxWords)
	if err = p.revoke(ctx, operation, f, id, r); err == nil {
		return reason, nil
	}
	if !ambiguousRefusal(err) {
		return "", err
	}
	o, trackErr := c.TrackOrder(ctx, f, id)
	if trackErr != nil || !o.is(id, StatusRevoked) {
		return "", err
	}
	return recorded(o), nil
}

// Reasons returns the reasons of revocations that CERTInext takes for a family of products.
func Reasons(c *Client, f Family) []Reason { return c.protocolFor(f).reasons(f) }

func (c v2) reasons(f Family) []Reason { return supportedReasons(c.Credentials.dialect(), f) }

// revoke sends the reason in the dialect's spelling and, if CERTInext does not know that, once in
// the other.
func (c v2) revoke(
	ctx context.Context, operation string, f Family, id string, r RevokeRequest,
) error {
	path, err := orderPath(f, id, "/revoke")
	if err != nil {
		return asError(operation, err)
	}
	s, e := c.open(operation)
	if e != nil {
		return e
	}
	key, err := c.idempotencyKey(s, r.IdempotencyKey)
	if err != nil {
		return asError(operation, err)
	}
	d := c.Credentials.dialect()
	other := live + documented - d
	err = c.revokeAs(ctx, operation, id, path, r.Reason.spelling(d), r.Note, key)
	if !IsRefusal(err, http.StatusBadRequest) || r.Reason.spelling(d) == r.Reason.spelling(other) {
		return err
	}
	again := c.revokeAs(ctx, operation, id, path, r.Reason.spelling(other), r.Note, derivedKey(key))
	if !IsRefusal(again, http.StatusBadRequest) {
		return again
	}
	return err
}

func (c v2) revokeAs(ctx context.Context, operation, id, path, reason, note, key string) error {
	req, err := c.write(operation, http.MethodPost, path, wireRevocation{
		Reason: reason, Note: note,
	})
	if err != nil {
		return asError(operation, err)
	}
	req.header.Set("Idempotency-Key", key)
	req.accept = changedOrder(id, StatusRevoked)
	return c.change(ctx, req)
}

// derivedKey returns another key for the same revocation in its other spelling: one key with two
// bodies is a conflict (documented).
func derivedKey(key string) string {
	sum := sha256.Sum256([]byte("other spelling of the reason\n" + key))
	return formatUUID(sum[:16])
}

// recorded returns the reason that an order was revoked with.
func recorded(o *Order) Reason {
	if o.Revocation == nil {
		return ""
	}
	r, err := ParseReason(o.Revocation.Reason)
	if err != nil {
		return ""
	}
	return r
}

// A Reason is a reason for a revocation, in the spelling of CERTInext's live service.
type Reason string

// The reasons of RFC 5280, section 5.3.1, but for removeFromCRL. CERTInext does not take all of
// them: see [Client.RevokeOrder].
const (
	ReasonUnspecified          Reason = "unspecified"
	ReasonKeyCompromise        Reason = "key-compromise"
	ReasonCACompromise         Reason = "ca-compromise"
	ReasonAffiliationChanged   Reason = "affiliation-changed"
	ReasonSuperseded           Reason = "superseded"
	ReasonCessationOfOperation Reason = "cessation-of-operation"
	ReasonCertificateHold      Reason = "certificate-hold"
	ReasonPrivilegeWithdrawn   Reason = "privilege-withdrawn"
	ReasonAACompromise         Reason = "aa-compromise"
)

// reasons lists every Reason with its number in RFC 5280 and the spelling of the published
// collection.
var reasons = []struct {
	reason Reason
	number int
	camel  string
}{
	{ReasonUnspecified, 0, "unspecified"},
	{ReasonKeyCompromise, 1, "keyCompromise"},
	{ReasonCACompromise, 2, "caCompromise"},
	{ReasonAffiliationChanged, 3, "affiliationChanged"},
	{ReasonSuperseded, 4, "superseded"},
	{ReasonCessationOfOperation, 5, "cessationOfOperation"},
	{ReasonCertificateHold, 6, "certificateHold"},
	{ReasonPrivilegeWithdrawn, 9, "privilegeWithdrawn"},
	{ReasonAACompromise, 10, "aaCompromise"},
}

// Observed on the live service for SSL orders, 2026: the others are answered 422 "Invalid Revoke
// Reason ID".
var liveSSLReasons = []Reason{
	ReasonKeyCompromise, ReasonAffiliationChanged, ReasonSuperseded, ReasonCessationOfOperation,
	ReasonPrivilegeWithdrawn,
}

// Documented in the published collection: these for every family, and ca-compromise for SSL too.
var documentedReasons = []Reason{
	ReasonUnspecified, ReasonKeyCompromise, ReasonAffiliationChanged, ReasonSuperseded,
	ReasonCessationOfOperation, ReasonPrivilegeWithdrawn,
}

// ParseReason reads a reason as CERTInext, RFC 5280 or Vault spell it: key-compromise,
// keyCompromise, key_compromise or 1, in any case. The error is an [*InvalidRequestError].
func ParseReason(s string) (Reason, error) {
	folded := foldReason(s)
	number, err := strconv.Atoi(strings.TrimSpace(s))
	for _, r := range reasons {
		if folded == foldReason(string(r.reason)) || (err == nil && number == r.number) {
			return r.reason, nil
		}
	}
	return "", &InvalidRequestError{
		Field: "Reason",
		Problem: "must be a reason of RFC 5280, such as key-compromise or superseded, not " +
			strconv.Quote(shownReason(s)),
	}
}

// shownReason is what a message quotes of a text that is no reason. It may be a key in the wrong
// field.
func shownReason(s string) string {
	if strings.Contains(s, "PRIVATE KEY") {
		return "…"
	}
	return cut(clean(s), 40)
}

func foldReason(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(
		strings.ToLower(strings.TrimSpace(s)),
	)
}

// supportedReasons returns the reasons that CERTInext takes. For the live service and families
// other than SSL all nine are documented, and none was tried.
func supportedReasons(d dialect, f Family) []Reason {
	switch {
	case d == documented && f == FamilySSL:
		return append(slices.Clone(documentedReasons), ReasonCACompromise)
	case d == documented:
		return slices.Clone(documentedReasons)
	case f == FamilySSL:
		return slices.Clone(liveSSLReasons)
	}
	var all []Reason
	for _, r := range reasons {
		all = append(all, r.reason)
	}
	return all
}

// number returns the reason's number in RFC 5280; zero for an unknown reason.
func (r Reason) number() int {
	for _, known := range reasons {
		if known.reason == r {
			return known.number
		}
	}
	return 0
}

// spelling returns the reason as the dialect writes it. The live service answers 400 to camel case.
func (r Reason) spelling(d dialect) string {
	if d == documented {
		for _, known := range reasons {
			if known.reason == r {
				return known.camel
			}
		}
	}
	return string(r)
}

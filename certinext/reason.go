// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"slices"
	"strconv"
	"strings"
)

// A Reason is a reason for a revocation, in the spelling of CERTInext's live service.
type Reason string

// The reasons of RFC 5280, section 5.3.1, but for removeFromCRL. CERTInext does not take all of them: see
// [Client.RevokeOrder].
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

// reasons lists every Reason with its number in RFC 5280 and the spelling of the published collection.
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

// Observed on the live service for SSL orders, 2026: the others are answered 422 "Invalid Revoke Reason ID".
var liveSSLReasons = []Reason{
	ReasonKeyCompromise, ReasonAffiliationChanged, ReasonSuperseded, ReasonCessationOfOperation, ReasonPrivilegeWithdrawn,
}

// Documented in the published collection: these for every family, and ca-compromise for SSL too.
var documentedReasons = []Reason{
	ReasonUnspecified, ReasonKeyCompromise, ReasonAffiliationChanged, ReasonSuperseded, ReasonCessationOfOperation,
	ReasonPrivilegeWithdrawn,
}

// ParseReason reads a reason as CERTInext, RFC 5280 or Vault spell it: key-compromise, keyCompromise, key_compromise or
// 1, in any case. The error is an [*InvalidRequestError].
func ParseReason(s string) (Reason, error) {
	folded := foldReason(s)
	number, err := strconv.Atoi(strings.TrimSpace(s))
	for _, r := range reasons {
		if folded == foldReason(string(r.reason)) || err == nil && number == r.number {
			return r.reason, nil
		}
	}
	return "", &InvalidRequestError{
		Field: "Reason", Problem: "must be a revocation reason of RFC 5280, not " + strconv.Quote(cut(clean(s), 40)),
	}
}

func foldReason(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(strings.TrimSpace(s)))
}

// supportedReasons returns the reasons that CERTInext takes. For the live service and families other than SSL all nine
// are documented, and none was tried.
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

// number is the reason's in RFC 5280; zero for one that is not known.
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

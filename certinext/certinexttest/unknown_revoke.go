// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/settings"
)

// A ReissueRevocation says whether a reissue revokes the certificates that the order had before.
// What is published leaves it to the caller; a customer's account was seen to have had a default.
type ReissueRevocation int

const (
	// ReissueRevokesAsked revokes them if the call says so.
	ReissueRevokesAsked ReissueRevocation = iota
	// ReissueRevokesAlways revokes them, as superseded where the call names no reason.
	ReissueRevokesAlways
	// ReissueRevokesNever leaves them alone, whatever the call says.
	ReissueRevokesNever
)

var reissueRevocations = []string{
	ReissueRevokesAsked: "asked", ReissueRevokesAlways: "always", ReissueRevokesNever: "never",
}

// MarshalText names the rule.
func (r ReissueRevocation) MarshalText() ([]byte, error) { return nameOf(reissueRevocations, r) }

// UnmarshalText reads asked, always or never.
func (r *ReissueRevocation) UnmarshalText(b []byte) error {
	return byName(reissueRevocations, b, r)
}

// revokes tells whether a reissue call revokes what came before it.
func (r ReissueRevocation) revokes(req wireReissue) bool {
	asked := req.RevokePrevious || req.RevokeAllPriorReissues
	return r == ReissueRevokesAlways || (r == ReissueRevokesAsked && asked)
}

// revokedWith are the signings whose certificates go when an order is revoked.
func (u Unknowns) revokedWith(o *order) []*signing {
	if newest := o.certificate(); u.NewestRevokedOnly && newest != nil {
		return []*signing{newest}
	}
	return o.signings
}

// takes tells whether an order of a family may be revoked for a known reason.
func (u Unknowns) takes(reason revokeReason, family string) bool {
	return reason.accepted || (family != FamilySSL && !u.FiveReasons)
}

func (u *Unknowns) revocationSettings() settings.List {
	return settings.List{
		{
			Name: "reissueRevokes", Field: &u.ReissueRevokes, Names: reissueRevocations,
			Source: sourceUnknown,
			Help: "`asked`, always or never: whether a reissue revokes the certificates that " +
				"the order had before",
		},
		{
			Name: "newestRevokedOnly", Field: &u.NewestRevokedOnly, Source: sourceUnknown,
			Help: "revoking an order that was reissued revokes its newest certificate only",
		},
		{
			Name: "fiveReasons", Field: &u.FiveReasons, Source: sourceUnknown,
			Help: "live version 2: private PKI and signatures are revoked for the five reasons " +
				"of public SSL only",
		},
	}
}

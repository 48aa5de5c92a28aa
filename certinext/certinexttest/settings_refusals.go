// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/settings"
)

// refusalSettings are which orders are refused, and which are parked.
func (s *Server) refusalSettings() settings.List {
	return settings.List{
		{
			Name: "anyName", Field: &s.Names.AnyName, Source: sourceRules,
			Help: "certify for the public what no public CA may: public suffixes such as co.uk, " +
				"special-use names such as host.local, unknown top-level domains, common names " +
				"over 64 characters, labels that are no punycode",
		},
		{
			Name: "exceptedZones", Field: &s.Names.ExceptedZones,
			Wrong: func() string { return wrongDomains(s.Names.ExceptedZones) },
			Help: "comma-separated special-use `names` at and below which names are certified " +
				"all the same (default: example, which documentation uses)",
		},
		{
			Name: "loneUCC", Field: &s.Demands.LoneUCC, Source: sourceGateway,
			Help: "take orders of UCC products with a single name, though additional domains are " +
				"among what such a product requires",
		},
		{
			Name: "fullParticulars", Field: &s.Demands.FullParticulars, Source: sourceGateway,
			Help: "version 1 asks for an OV or EV organization's address, and for an EV order's " +
				"contract signer and approver, though a pre-vetted organization is named; the " +
				"vendor's collection does not",
		},
		{
			Name: "parkWithout", Field: &s.Demands.ParkWithout, Source: sourceGateway,
			Wrong: s.Demands.wrong,
			Help: "comma-separated `parts` (organization, technical-contact, group) without " +
				"which an SSL order is taken and waits for a person of the CA",
		},
	}
}

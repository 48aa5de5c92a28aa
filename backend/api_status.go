// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/metrics"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/standing"
)

// How a mount stands.
type (
	// A MountStatus is how a mount stands at a moment.
	MountStatus = standing.Status
	// An OrderGroup is several open orders, and the oldest of them.
	OrderGroup = standing.Group
	// A RevocationStatus is how the queue of revocations stands.
	RevocationStatus = standing.Revocations
	// A CertificateStatus is how many certificates live, and how long.
	CertificateStatus = standing.Certificates
	// A DomainStatus is how the registered domains stand.
	DomainStatus = standing.Domains
	// An Expiry is how many expire within some days.
	Expiry = standing.Expiry
	// A BudgetLeft is what a subject of a budget has left.
	BudgetLeft = standing.Budget
	// CampaignStatus is [standing.Campaign].
	CampaignStatus = standing.Campaign
	// A CAStatus is how CERTInext answers.
	CAStatus = standing.CA
	// A BreakerStatus says whether work leaves CERTInext alone.
	BreakerStatus = standing.Breaker
)

// The states of an order that a status points out.
const (
	StateApproval   = string(orders.StateApproval)
	StateUnresolved = string(orders.StateUnresolved)
	StateHeld       = string(orders.StateHeld)
)

// MetricsMediaType is [metrics.MediaType].
const MetricsMediaType = metrics.MediaType

// WriteMetrics is [metrics.Write].
func WriteMetrics(s *MountStatus, version string) ([]byte, error) {
	return metrics.Write(s, version)
}

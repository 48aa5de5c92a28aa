// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"slices"
	"strconv"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/standing"
	"github.com/prometheus/client_golang/prometheus"
)

// A family is one metric with its labels.
type family struct {
	name, help string
	labels     []string
	kind       prometheus.ValueType
	// values tells the family's values one after the other, each with those of its labels.
	values func(s *standing.Status, tell func(value float64, labels ...string))
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// single returns what tells one value without labels.
func single(of func(*standing.Status) float64) func(*standing.Status, func(float64, ...string)) {
	return func(s *standing.Status, tell func(float64, ...string)) { tell(of(s)) }
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds returns a time as Prometheus has it; 0 for the zero time.
func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}

func expiries(tell func(float64, ...string), all []standing.Expiry) {
	for _, e := range all {
		tell(float64(e.Count), strconv.Itoa(e.Days))
	}
}

// families are all metrics but the histogram and the version.
var families = slices.Concat(orders, kept, money, ca, work)

var orders = []family{
	{
		"certinext_orders", "Open orders, by role, state, and who has to act next.",
		[]string{"role", "state", "waits_for"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			for kind, n := range s.Orders.Kinds {
				tell(float64(n), kind.Role, kind.State, kind.WaitsFor)
			}
		},
	},
	{
		"certinext_orders_oldest_created_timestamp_seconds",
		"When the oldest open order of a state was created.",
		[]string{"state"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			for state, group := range s.Orders.States {
				tell(seconds(group.Oldest.CreatedAt), state)
			}
		},
	},
	{
		"certinext_orders_unreadable", "Entries of open orders that cannot be decoded.", nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Orders.Unreadable) }),
	},
	{
		"certinext_orders_complete", "1 when all open orders were read since the last start.",
		nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.Orders.Complete) }),
	},
	{
		"certinext_changes_total", "Changes that people were told of since the last start.",
		[]string{"change", "role"},
		counter,
		func(s *standing.Status, tell func(float64, ...string)) {
			for _, c := range s.Changes {
				tell(float64(c.Count), c.Change, c.Role)
			}
		},
	},
	{
		"certinext_events_unsent_total", "Events that could not be sent since the last start.",
		nil, counter,
		single(func(s *standing.Status) float64 { return float64(s.UnsentEvents) }),
	},
}

var kept = []family{
	{
		"certinext_revocations", "Queued revocations: due to be sent, sent and not seen yet, or " +
			"waiting for the end of a lease.",
		[]string{"state"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			r := s.Revocations
			tell(float64(r.Due-r.Sent), "due")
			tell(float64(r.Sent), "sent")
			tell(float64(r.Queued-r.Due), "waiting")
		},
	},
	{
		"certinext_revocations_failing", "Revocations whose latest attempt has failed.", nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Revocations.Failing) }),
	},
	{
		"certinext_revocations_blocked", "Revocations that cannot be tried, by why.",
		[]string{"reason"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			for why, n := range s.Revocations.Blocked {
				tell(float64(n), why)
			}
		},
	},
	{
		"certinext_revocations_oldest_queued_timestamp_seconds",
		"Since when the oldest revocation that is due is queued; 0 when none is.", nil, gauge,
		single(func(s *standing.Status) float64 { return seconds(s.Revocations.OldestQueuedAt) }),
	},
	{
		"certinext_certificates", "Certificates that are neither revoked nor expired.", nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Certificates.Live) }),
	},
	{
		"certinext_certificates_expiring", "Live certificates that expire within some days.",
		[]string{"within_days"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			expiries(tell, s.Certificates.Expiring)
		},
	},
	{
		"certinext_certificates_complete", "1 when all certificates were counted.", nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.Certificates.Complete) }),
	},
	{
		"certinext_certificates_distrusted",
		"Live certificates with a key that clients refuse in each of their chains.", nil, gauge,
		single(func(s *standing.Status) float64 {
			return float64(s.Certificates.Trust.Distrusted)
		}),
	},
	{
		"certinext_certificates_partly_distrusted",
		"Live certificates with a key that clients refuse in some of their chains.", nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Certificates.Trust.Partly) }),
	},
	{
		"certinext_certificates_refused",
		"Live certificates that a family of clients does not accept.",
		[]string{"family"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			for family, n := range s.Certificates.Trust.Refused {
				tell(float64(n), family)
			}
		},
	},
	{
		"certinext_certificates_trust_unknown",
		"Live certificates whose chains were not looked at, or cannot be read.", nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Certificates.Trust.Unknown) }),
	},
	{
		"certinext_domains", "Registered domains.", nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Domains.Registered) }),
	},
	{
		"certinext_domains_unvalidated", "Registered domains that are not validated.", nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Domains.Unvalidated) }),
	},
	{
		"certinext_domains_failing", "Registered domains whose latest validation has failed.",
		nil, gauge,
		single(func(s *standing.Status) float64 { return float64(s.Domains.Failing) }),
	},
	{
		"certinext_domains_expiring", "Registered domains whose validation ends within some days.",
		[]string{"within_days"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			expiries(tell, s.Domains.Expiring)
		},
	},
}

var money = []family{
	{
		"certinext_budget_orders_left", "Orders that a budget still admits in its period.",
		[]string{"budget", "role"},
		gauge, budgets(func(b standing.Budget) (float64, bool) {
			if b.OrdersLeft == nil {
				return 0, false
			}
			return float64(*b.OrdersLeft), true
		}),
	},
	{
		"certinext_budget_open_left", "Open orders that a budget still admits.",
		[]string{"budget", "role"},
		gauge, budgets(func(b standing.Budget) (float64, bool) {
			if b.OpenLeft == nil {
				return 0, false
			}
			return float64(*b.OpenLeft), true
		}),
	},
	{
		"certinext_budget_spend_left", "Money that a budget still admits, in its currency.",
		[]string{"budget", "role"},
		gauge, budgets(func(b standing.Budget) (float64, bool) {
			left, err := strconv.ParseFloat(b.SpendLeft, 64)
			return left, err == nil
		}),
	},
}

// budgets tells a value of each budget of the mount or of roles. Requesters are many, and persons.
func budgets(
	of func(standing.Budget) (value float64, limited bool),
) func(*standing.Status, func(float64, ...string)) {
	return func(s *standing.Status, tell func(float64, ...string)) {
		for _, b := range s.Budgets {
			if value, limited := of(b); limited && b.Per != "requester" {
				tell(value, b.Name, b.Subject)
			}
		}
	}
}

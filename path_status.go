// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"strconv"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathStatus has what says how the mount stands. Its reads are forwarded: only the active node
// remembers what it has done.
func (b *secretsBackend) pathStatus() []*framework.Path {
	scrape := writing(b.readMetrics,
		"Read how the mount stands in the text format of Prometheus.",
		"read", "metrics", nil)
	return []*framework.Path{
		{
			Pattern: "status$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readStatus,
					"Read how the mount stands.", "read", "status", statusFields()),
			},
			HelpSynopsis:    "What is open, what waits for whom, and how CERTInext answers.",
			HelpDescription: statusHelp,
		},
		{
			Pattern: "metrics$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: scrape,
			},
			HelpSynopsis:    "The status of the mount as metrics for Prometheus.",
			HelpDescription: metricsHelp,
		},
	}
}

func statusFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"at": {Type: framework.TypeString, Description: "As of when, in RFC 3339."},
		"orders": {
			Type: framework.TypeMap,
			Description: "Open orders: open, in_doubt, held, unreadable, complete (false while " +
				"they are still being read after a start), and by_state and by_waits_for with " +
				"count and oldest of each.",
		},
		"approvals": {
			Type:        framework.TypeMap,
			Description: "Orders that wait for an approval in Vault: waiting, and the oldest.",
		},
		"revocations": {
			Type: framework.TypeMap,
			Description: "The queue of revocations: queued, due, sent (CERTInext has taken them " +
				"and does not show it yet), failing, blocked (how many cannot be tried, by " +
				"held, no-config or other-account), oldest_serial_number and oldest_queued_at " +
				"of those that are due, complete.",
		},
		"certificates": {
			Type: framework.TypeMap,
			Description: "Live certificates: live, expiring (how many within so many days), " +
				"complete (false until the mount has counted all).",
		},
		"domains": {
			Type: framework.TypeMap,
			Description: "Registered domains: registered, unvalidated, failing, expiring (how " +
				"many validations end within so many days), next_name and next_valid_till, " +
				"complete.",
		},
		"budgets": {
			Type: framework.TypeSlice,
			Description: "What the first 100 budgets and subjects have left, as the last order " +
				"or background pass has counted it.",
		},
		"campaigns": {
			Type: framework.TypeSlice,
			Description: "The first 10 campaigns that are not over, each with name, state, open " +
				"(certificates that are under way or wait) and failed (stuck, or left).",
		},
		"certinext": {
			Type: framework.TypeMap,
			Description: "How CERTInext answers this process: configured, held, ordering, " +
				"requests_per_second, last_good_at, clock_ahead_seconds, clock_in_doubt, " +
				"breakers and operations, each with its outcomes, latency and latest error.",
		},
		"last_pass": {
			Type:        framework.TypeMap,
			Description: "The latest background pass that has ended, and how many have.",
		},
		"last_sync": {Type: framework.TypeMap, Description: "The latest synchronization."},
		"changes": {
			Type: framework.TypeSlice,
			Description: "How often this process has told people of which change, by log and " +
				"event.",
		},
		"events_unsent": {
			Type:        framework.TypeInt,
			Description: "Events that this process could not send.",
		},
	}
}

func (b *secretsBackend) readStatus(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	s, err := backend.Standing(ctx, b.engine, req.Storage)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeStatus(s)}, nil
}

func (b *secretsBackend) readMetrics(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	s, err := backend.Standing(ctx, b.engine, req.Storage)
	if err != nil {
		return nil, err
	}
	text, err := backend.WriteMetrics(s, Version)
	if err != nil {
		return nil, err
	}
	return rawResponse(text, backend.MetricsMediaType), nil
}

func encodeStatus(s *backend.MountStatus) map[string]any {
	changes := make([]map[string]any, 0, len(s.Changes))
	for _, c := range s.Changes {
		changes = append(changes, map[string]any{
			"change": c.Change, "role": c.Role, "count": c.Count,
		})
	}
	waiting := s.Orders.States[backend.StateApproval]
	return map[string]any{
		"at":           rfc3339(s.At),
		"orders":       encodeOpenOrders(s),
		"approvals":    encodeOrderGroup("waiting", waiting, s.At),
		"revocations":  encodeRevocationQueue(&s.Revocations),
		"certificates": encodeExpiring("live", s.Certificates.Live, &s.Certificates),
		"domains":      encodeDomainStatus(&s.Domains),
		"budgets":      encodeBudgetsLeft(s.Budgets),
		"campaigns":    encodeCampaigns(s.Campaigns),
		"certinext":    encodeCA(&s.CA, s.At),
		"last_pass": map[string]any{
			"began_at": rfc3339(s.Pass.Began), "seconds": s.Pass.Took.Seconds(),
			"error": s.Pass.Error, "passes": s.Pass.Ended, "failed": s.Pass.Failed,
		},
		"last_sync": map[string]any{
			"state": s.Sync.State, "started_at": rfc3339(s.Sync.StartedAt),
			"finished_at": rfc3339(s.Sync.FinishedAt), "revoked": s.Sync.Revoked,
			"failed": s.Sync.Failed, "error": s.Sync.Error,
		},
		"changes":       changes,
		"events_unsent": s.UnsentEvents,
	}
}

func encodeOpenOrders(s *backend.MountStatus) map[string]any {
	groups := func(all map[string]backend.OrderGroup) map[string]any {
		out := make(map[string]any, len(all))
		for name, group := range all {
			out[name] = encodeOrderGroup("count", group, s.At)
		}
		return out
	}
	return map[string]any{
		"open":         s.Orders.Open,
		"in_doubt":     s.Orders.States[backend.StateUnresolved].Count,
		"held":         s.Orders.States[backend.StateHeld].Count,
		"by_state":     groups(s.Orders.States),
		"by_waits_for": groups(s.Orders.WaitsFor),
		"unreadable":   s.Orders.Unreadable,
		"complete":     s.Orders.Complete,
	}
}

// encodeOrderGroup tells how many orders there are, by the given name, and the oldest of them.
func encodeOrderGroup(name string, group backend.OrderGroup, at time.Time) map[string]any {
	out := map[string]any{name: group.Count}
	if o := group.Oldest; group.Count > 0 {
		out["oldest"] = map[string]any{
			"order_id": o.ID, "role": o.Role, "state": o.State, "waits_for": o.WaitsFor,
			"created_at": rfc3339(o.CreatedAt), "age_seconds": int64(at.Sub(o.CreatedAt).Seconds()),
		}
	}
	return out
}

func encodeRevocationQueue(r *backend.RevocationStatus) map[string]any {
	blocked := make(map[string]any, len(r.Blocked))
	for why, n := range r.Blocked {
		blocked[why] = n
	}
	return map[string]any{
		"queued": r.Queued, "due": r.Due, "sent": r.Sent, "failing": r.Failing,
		"blocked": blocked, "oldest_serial_number": r.Oldest,
		"oldest_queued_at": rfc3339(r.OldestQueuedAt), "complete": r.Complete,
	}
}

func encodeExpiries(all []backend.Expiry) map[string]any {
	out := make(map[string]any, len(all))
	for _, e := range all {
		out[strconv.Itoa(e.Days)] = e.Count
	}
	return out
}

func encodeExpiring(name string, n int, c *backend.CertificateStatus) map[string]any {
	return map[string]any{
		name: n, "expiring": encodeExpiries(c.Expiring), "complete": c.Complete,
	}
}

func encodeDomainStatus(d *backend.DomainStatus) map[string]any {
	return map[string]any{
		"registered": d.Registered, "unvalidated": d.Unvalidated, "failing": d.Failing,
		"expiring": encodeExpiries(d.Expiring), "next_name": d.Next.Name,
		"next_valid_till": rfc3339(d.Next.ValidTill), "complete": d.Complete,
	}
}

func encodeCampaigns(all []backend.CampaignStatus) []map[string]any {
	out := make([]map[string]any, 0, len(all))
	for _, c := range all {
		out = append(out, map[string]any{
			"name": c.Name, "state": c.State, "open": c.Open, "failed": c.Failed,
		})
	}
	return out
}

func encodeBudgetsLeft(all []backend.BudgetLeft) []map[string]any {
	out := make([]map[string]any, 0, len(all))
	for _, b := range all {
		one := map[string]any{
			"name": b.Name, "per": b.Per, "subject": b.Subject, "refills_at": rfc3339(b.RefillsAt),
		}
		if b.OrdersLeft != nil {
			one["orders_left"] = *b.OrdersLeft
		}
		if b.OpenLeft != nil {
			one["open_left"] = *b.OpenLeft
		}
		if b.SpendLeft != "" {
			one["spend_left"], one["currency"] = amount(b.SpendLeft), b.Currency
		}
		out = append(out, one)
	}
	return out
}

func encodeCA(ca *backend.CAStatus, at time.Time) map[string]any {
	operations := make(map[string]any, len(ca.Operations))
	for i := range ca.Operations {
		o := &ca.Operations[i]
		mean := 0.0
		if o.Timed > 0 {
			mean = o.Took.Seconds() / float64(o.Timed)
		}
		operations[o.Name] = map[string]any{
			"outcomes": o.Outcomes, "mean_seconds": mean, "last_seconds": o.Last.Seconds(),
			"last_good_at": rfc3339(o.LastGood), "last_error": o.Error,
			"last_error_at": rfc3339(o.Failed),
		}
	}
	breaker := func(b backend.BreakerStatus) map[string]any {
		return map[string]any{
			"paused": b.IsPaused(at), "until": rfc3339(b.Until), "why": b.Why,
			"in_doubt": b.InDoubt,
		}
	}
	ordering := "on"
	if ca.OrderingPaused {
		ordering = "paused"
	}
	out := map[string]any{
		"configured": ca.Configured, "held": ca.Held, "ordering": ordering,
		"requests_per_second": ca.RatePerSecond, "last_good_at": rfc3339(ca.LastGood),
		"operations": operations, "clock_in_doubt": ca.ClockInDoubt,
		"breakers": map[string]any{
			"background": breaker(ca.Background), "revocations": breaker(ca.Revoking),
		},
	}
	if ca.ClockKnown {
		out["clock_ahead_seconds"] = ca.Ahead.Seconds()
	}
	return out
}

const statusHelp = `
Shows what an operator looks at first: the open orders by state and by whom they wait for, the
oldest of each, what is in doubt or held; the queue of revocations, and why some of it cannot be
tried; what expires soon; what the budgets have left; how CERTInext answers, by operation; the
latest background pass and synchronization.

It reads no order and no certificate, and asks nobody: it is made of what the active node
remembers since its start, and of a few entries. Where complete is false, it does not know all yet.
`

const metricsHelp = `
The same as status, in Prometheus' text format: vault read -format=raw <mount>/metrics. A scrape
configuration, rules for alerts and a dashboard are in the documentation, docs/monitoring.md. No
series names a certificate, a domain or a requester. Counters begin anew when another node becomes
active.
`

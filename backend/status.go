// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/campaigns"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/standing"
	"github.com/hashicorp/vault/sdk/logical"
)

// Standing returns how the mount stands, from what this process remembers and a number of storage
// reads that is bounded whatever is stored. It asks nobody.
func Standing(ctx context.Context, e *Engine, s logical.Storage) (*standing.Status, error) {
	now := e.Now()
	out := &standing.Status{At: now, Pass: e.passes.standing()}
	out.Orders = countOrders(ctx, e, s)
	out.Certificates = countCertificates(ctx, e, s, now)
	var errs [6]error
	out.Revocations, errs[0] = countRevocations(ctx, e, s)
	out.Domains, errs[1] = countDomains(ctx, e, s, now)
	out.Budgets, errs[2] = budgetsLeft(ctx, e, s)
	out.CA, errs[3] = standingOfCA(ctx, e, s)
	out.Sync, errs[4] = standingOfSync(ctx, e, s)
	out.Campaigns, errs[5] = openCampaigns(ctx, s)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	told, unsent := e.Notices.Counts()
	out.UnsentEvents = unsent
	for what, n := range told {
		out.Changes = append(out.Changes,
			standing.Change{Change: string(what.Change), Role: what.Role, Count: n})
	}
	slices.SortFunc(out.Changes, func(a, b standing.Change) int {
		return cmp.Or(cmp.Compare(a.Change, b.Change), cmp.Compare(a.Role, b.Role))
	})
	return out, nil
}

func countOrders(ctx context.Context, e *Engine, s logical.Storage) standing.Orders {
	open, unreadable, whole := orders.Standings(ctx, e.Orders, s)
	all := make([]standing.Order, 0, len(open))
	for _, o := range open {
		all = append(all, standing.Order{
			ID: o.ID, Role: o.Role, State: string(o.State), WaitsFor: string(o.WaitsFor),
			CreatedAt: o.CreatedAt,
		})
	}
	out := standing.CountOrders(all)
	out.Unreadable, out.Complete = unreadable, whole
	return out
}

// countCertificates counts what the index has, and has it filled behind the request if it is not
// whole yet.
func countCertificates(
	ctx context.Context, e *Engine, s logical.Storage, now time.Time,
) standing.Certificates {
	e.Certificates.Index.Begin(ctx, s, 0)
	out := standing.CountCertificates(e.Certificates.Index.ByExpiry(now, standing.Bounds()))
	out.Complete = e.Certificates.Index.IsComplete()
	return out
}

func countRevocations(
	ctx context.Context, e *Engine, s logical.Storage,
) (standing.Revocations, error) {
	q, err := certificates.LookAtQueue(ctx, e.Certificates, s)
	return standing.Revocations{
		Queued: q.Queued, Due: q.Due, Sent: q.Sent, Failing: q.Failing, Blocked: q.Blocked,
		Oldest: q.Oldest, OldestQueuedAt: q.OldestQueuedAt, Complete: q.Whole,
	}, err
}

func countDomains(
	ctx context.Context, e *Engine, s logical.Storage, now time.Time,
) (standing.Domains, error) {
	known, whole, err := domains.Validities(ctx, e.Domains, s)
	all := make([]standing.Domain, 0, len(known))
	for _, d := range known {
		all = append(all, standing.Domain{
			Name: d.Name, ValidTill: d.ValidTill, Failing: d.Failing,
		})
	}
	out := standing.CountDomains(all, now)
	out.Complete = whole
	return out, err
}

// budgetsLeft returns what the budgets have left, of the first budgets and their first subjects.
func budgetsLeft(
	ctx context.Context, e *Engine, s logical.Storage,
) (out []standing.Budget, err error) {
	names, err := e.Spending.Budgets(ctx, s)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		b, err := e.Spending.Budget(ctx, s, name)
		if err != nil {
			return nil, err
		}
		room := standing.MostBudgets - len(out)
		if room <= 0 {
			break
		}
		if b == nil {
			continue
		}
		some, err := e.Spending.StoredUsages(ctx, s, b, room)
		if err != nil {
			return nil, err
		}
		for i := range some {
			out = append(out, budgetLeft(b, &some[i]))
		}
	}
	return out, nil
}

// openCampaigns returns the first campaigns that are not over.
func openCampaigns(ctx context.Context, s logical.Storage) ([]standing.Campaign, error) {
	all, err := campaigns.Summaries(ctx, s, standing.MostCampaigns)
	out := make([]standing.Campaign, 0, len(all))
	for _, c := range all {
		out = append(out, standing.Campaign{
			Name: c.Name, State: string(c.State), Open: c.Open, Failed: c.Failed,
		})
	}
	return out, err
}

func budgetLeft(b *spending.Budget, u *spending.Usage) standing.Budget {
	out := standing.Budget{
		Name: b.Name, Per: string(b.Per), Subject: u.Subject, RefillsAt: u.RefillsAt,
		Currency: u.Currency,
	}
	if b.MaxOrders > 0 {
		out.OrdersLeft = &u.OrdersLeft
	}
	if b.MaxOpenOrders > 0 {
		out.OpenLeft = &u.OpenLeft
	}
	if b.MaxSpend != "" {
		out.SpendLeft = u.SpendLeft.String()
	}
	return out
}

func standingOfCA(ctx context.Context, e *Engine, s logical.Storage) (standing.CA, error) {
	cfg, err := e.Account.Config(ctx, s)
	if err != nil {
		return standing.CA{}, err
	}
	out := standing.CA{
		Configured: cfg != nil, Held: e.Account.MayChange() != nil,
		Background: breakerOf(&e.Account.Breaker), Revoking: breakerOf(&e.Account.Revoking),
		ClockInDoubt: e.Account.ClockInDoubt(),
	}
	if cfg != nil {
		out.OrderingPaused, out.RatePerSecond = cfg.IsPaused(), cfg.RequestsPerSecond
	}
	out.Ahead, out.ClockKnown = e.Account.ClockSkew()
	for _, o := range e.Account.Calls.Operations() {
		out.Operations = append(out.Operations, operationOf(&o))
	}
	out.LastGood = standing.LastGood(out.Operations)
	return out, nil
}

func breakerOf(b *account.Breaker) standing.Breaker {
	p := b.Now()
	return standing.Breaker{InDoubt: p.InDoubt(), Until: p.Until, Why: p.Why}
}

func operationOf(o *account.Operation) standing.Operation {
	out := standing.Operation{
		Name: o.Name, Outcomes: make(map[string]int, len(o.Outcomes)), Took: o.Took, Last: o.Last,
		Within:   make(map[float64]uint64, len(account.Bounds)),
		LastGood: o.LastGood, Failed: o.Failed, Error: o.Error,
	}
	for outcome, n := range o.Outcomes {
		out.Outcomes[string(outcome)] = n
		if outcome != account.OutcomeCancelled {
			out.Timed += uint64(max(n, 0))
		}
	}
	for i, bound := range account.Bounds {
		out.Within[bound] = o.Within[i]
	}
	return out
}

func standingOfSync(ctx context.Context, e *Engine, s logical.Storage) (standing.Sync, error) {
	st, err := e.Inventory.Status(ctx, s)
	if err != nil {
		return standing.Sync{}, err
	}
	return standing.Sync{
		State: st.State, StartedAt: st.StartedAt, FinishedAt: st.FinishedAt,
		Revoked: st.Revoked, Failed: st.Failed, Error: st.LastError,
	}, nil
}

// passLog remembers the background passes of this process. The zero value remembers none.
type passLog struct {
	mu   sync.Mutex
	last standing.Pass
}

// note remembers a pass that has ended.
func (l *passLog) note(began time.Time, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.Ended++
	l.last.Began, l.last.Took, l.last.Error = began, took, ""
	if err != nil {
		l.last.Failed++
		l.last.Error = sanitize.Error(err)
	}
}

func (l *passLog) standing() standing.Pass {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

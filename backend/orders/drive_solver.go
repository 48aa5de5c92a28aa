// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// An orderChallenger asks CERTInext for the challenges of an order's domains, and to look for them.
type orderChallenger struct {
	client *certinext.Client
	order  *orderEntry
}

func (c orderChallenger) Challenge(
	ctx context.Context, domain string,
) (*certinext.Challenge, error) {
	return c.client.DCVChallenge(ctx, c.order.CAOrderID, domain, certinext.DCVMethodDNS)
}

func (c orderChallenger) Verify(ctx context.Context, domain string) error {
	return c.client.VerifyDCV(ctx, c.order.CAOrderID, domain, certinext.DCVMethodDNS)
}

// chooseSolver sets the order's solver to that of its role, and returns a run of it; nil when
// people validate the domains. Only SSL orders have a solver.
func (d *driver) chooseSolver() *validation.Run {
	r := d.roleOrDefaults()
	solver := r.DNS.Solver
	if d.order.Placement.Family != certinext.FamilySSL {
		solver = ""
	}
	if d.order.Solver != solver {
		d.order.Solver, d.order.dirty = solver, true
	}
	if solver == "" {
		return nil
	}
	challenger := orderChallenger{d.client, d.order}
	return d.journal.Publisher.NewRun(d.storage, orderOwner(d.order), r.DNS, challenger)
}

// validate has the solver work on the domains whose control is not validated. It reports whether
// the drive is over.
func (d *driver) validate(ctx context.Context) (done bool) {
	o, run := d.order, d.solver
	open, unrequested := o.ownDomains(o.openDomains(d.remote))
	d.tried.validated = true
	run.SetUnrequested(unrequested)
	if len(o.Needs) == 0 && len(open) > 0 {
		d.setNeeds([]string{fmt.Sprintf("the solver %s validates control of %s",
			o.Solver, validation.DisplayDomain(open[0]))})
		d.latest.Store(o.view())
	}
	if d.purpose.isHurried() {
		// The caller only wants to know where the order stands: the solver's work would take too
		// long.
		return ctx.Err() != nil
	}
	progress := run.Round(ctx, open)
	events := run.TakeEvents()
	for _, event := range events {
		o.note(d.journal.Now(), "%s", event)
	}
	needs, stuck := run.Needs()
	if o.Stuck != stuck {
		o.Stuck, o.dirty = stuck, true
	}
	if stuck {
		o.LastError = sanitize.Text(strings.Join(needs, "; "), validation.MaxText)
		d.journal.Log.Warn("a solver cannot validate an order's domains",
			"order_id", o.ID, "solver", o.Solver, "error", o.LastError)
	}
	d.lastErr = run.TakeUnanswered()
	if progress {
		validation.AwaitTidy(run.Tidy(ctx, false))
		d.remote = nil // the next answer tells which domains are left, or that the order goes on
	}
	if len(events) > 0 {
		// A failure only loses lines of the history: published records have a journal of their own
		// (ADR 0015).
		if err := d.save(ctx); err != nil {
			d.journal.Log.Warn("a solver's work could not be added to the order's history",
				"order_id", o.ID, "error", err)
		}
	}
	return ctx.Err() != nil
}

// leavesToSolver reports whether a solver validates the order's domains, and this drive is too
// short-lived to run it.
func (d *driver) leavesToSolver() bool {
	return d.purpose.isHurried() && d.solver != nil &&
		d.remote != nil && d.remote.Status == certinext.StatusPendingDCV
}

// ownDomains splits domains into those whose control the order's names need, and others: a solver
// publishes nothing for a domain that was not ordered.
func (o *orderEntry) ownDomains(domains []string) (own, unrequested []string) {
	for _, domain := range domains {
		isOwn := func(name string) bool { return covers(domain, name) }
		if slices.ContainsFunc(o.Placement.DNSNames, isOwn) {
			own = append(own, domain)
			continue
		}
		unrequested = append(unrequested, domain)
	}
	return own, unrequested
}

// covers reports whether an order of name needs control of domain: domain is the name, a parent of
// it, or the www name that CERTInext adds to it.
func covers(domain, name string) bool {
	domain = strings.ToLower(strings.TrimPrefix(domain, "*."))
	name = strings.ToLower(strings.TrimPrefix(name, "*."))
	if !strings.Contains(domain, ".") {
		return false
	}
	return domain == name || strings.HasSuffix(name, "."+domain) || domain == "www."+name
}

// withdraw removes the records that were published for the order, by this drive or an earlier one,
// once they are not needed any more. A caller that only wants to know the order's state does not
// wait for that.
func (d *driver) withdraw(ctx context.Context) {
	run, over := d.solver, !d.order.awaitsValidation()
	if run == nil || d.purpose.isHurried() || (!over && !run.Begun()) {
		return
	}
	validation.AwaitTidy(run.Tidy(ctx, over))
}

// awaitsValidation reports whether CERTInext still has to validate the order's domains, so that its
// published records are needed.
func (o *orderEntry) awaitsValidation() bool {
	return o.State == StatePending && o.CAStatus == certinext.StatusPendingDCV
}

// OwnerKind is the kind of owner, of published records, that an order is.
const OwnerKind = "order"

func orderOwner(o *orderEntry) string { return OwnerKind + "/" + o.Role + "/" + o.ID }

// KeepsRecords reports whether the records that are published for an order have to stay: a request
// or the pass holds the order and takes care of them, or the order waits for a solver's validation.
func (journal *Journal) KeepsRecords(
	ctx context.Context, s logical.Storage, role, id string,
) (bool, error) {
	t, open := journal.registry.status(id)
	if open && t.busy != nil {
		return true, nil
	}
	needed, err := journal.needsRecords(ctx, s, role, id)
	// Handing over a certificate leaves the order's entry as it was (ADR 0005).
	return needed && t.handed == nil, err
}

// needsRecords reports whether the stored order waits for a solver's validation, with the account
// that config holds.
func (journal *Journal) needsRecords(
	ctx context.Context, s logical.Storage, role, id string,
) (bool, error) {
	o, err := store.Get[orderEntry](ctx, s, OpenPrefix+role+"/"+id)
	if err != nil || o == nil || !o.awaitsValidation() {
		return false, err
	}
	r, err := roles.Read(ctx, s, role)
	if err != nil || r == nil || r.DNS.Solver == "" {
		return false, err // without a solver, people validate the domains
	}
	cfg, err := journal.Account.Config(ctx, s)
	return cfg != nil && account.SameAccount(o.Account, cfg.Account()), err
}

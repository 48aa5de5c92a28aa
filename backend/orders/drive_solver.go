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

// orderChallenger asks for an order's validations.
type orderChallenger struct {
	client *certinext.Client
	order  *orderEntry
}

func (c orderChallenger) Challenge(ctx context.Context, domain string) (*certinext.Challenge, error) {
	return c.client.DCVChallenge(ctx, c.order.CAOrderID, domain, certinext.DCVMethodDNS)
}

func (c orderChallenger) Verify(ctx context.Context, domain string) error {
	return c.client.VerifyDCV(ctx, c.order.CAOrderID, domain, certinext.DCVMethodDNS)
}

// solver returns what validates the order's domains, nil when people do.
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
	return d.journal.Publisher.NewRun(d.storage, orderOwner(d.order), r.DNS, orderChallenger{d.client, d.order})
}

// validate has the solver work on the domains that are open. It reports whether the drive is over.
func (d *driver) validate(ctx context.Context) (done bool) {
	o, w := d.order, d.solver
	open, strange := o.ownDomains(o.openDomains(d.remote))
	d.tried.validated = true
	w.SetStrange(strange)
	if len(o.Needs) == 0 && len(open) > 0 {
		d.setNeeds([]string{fmt.Sprintf("the solver %s validates control of %s", o.Solver, validation.WholeName(open[0]))})
		d.latest.Store(o.view())
	}
	if d.purpose.isHurried() {
		return ctx.Err() != nil // somebody waits who wants to know where the order stands, and no more
	}
	progress := w.Round(ctx, open)
	events := w.TakeEvents()
	for _, event := range events {
		o.note(d.journal.Now(), "%s", event)
	}
	needs, stuck := w.Needs()
	if o.Stuck != stuck {
		o.Stuck, o.dirty = stuck, true
	}
	if stuck {
		o.LastError = sanitize.Text(strings.Join(needs, "; "), validation.MaxText)
		d.journal.Log.Warn("a solver cannot validate an order's domains", "order_id", o.ID, "solver", o.Solver, "error", o.LastError)
	}
	d.lastErr = w.TakeUnanswered()
	if progress {
		validation.Tidied(w.Tidy(ctx, false))
		d.remote = nil // tells which domains are left, or that the order goes on
	}
	if len(events) > 0 {
		if err := d.save(ctx); err != nil { // nothing depends on it: the journal of records is a thing of its own
			d.journal.Log.Warn("what a solver has done could not be noted", "order_id", o.ID, "error", err)
		}
	}
	return ctx.Err() != nil
}

// leavesToSolver reports whether the order's domains are validated by other drives than this one.
func (d *driver) leavesToSolver() bool {
	return d.purpose.isHurried() && d.solver != nil && d.remote != nil && d.remote.Status == certinext.StatusPendingDCV
}

// ownDomains parts domains into those that the order's names are, or are below, and others: a solver publishes nothing for a domain
// that nobody has ordered for.
func (o *orderEntry) ownDomains(domains []string) (own, strange []string) {
	for _, domain := range domains {
		if slices.ContainsFunc(o.Placement.DNSNames, func(name string) bool { return covers(domain, name) }) {
			own = append(own, domain)
			continue
		}
		strange = append(strange, domain)
	}
	return own, strange
}

// covers reports whether control of a domain is what a name of an order needs: its own, a parent's, or that of the www name that
// CERTInext adds to it.
func covers(domain, name string) bool {
	domain, name = strings.ToLower(strings.TrimPrefix(domain, "*.")), strings.ToLower(strings.TrimPrefix(name, "*."))
	return strings.Contains(domain, ".") && (domain == name || strings.HasSuffix(name, "."+domain) || domain == "www."+name)
}

// withdraw removes what was published for the order, by this drive or by one before it, when it is not waited for any more.
func (d *driver) withdraw(ctx context.Context) {
	w, over := d.solver, !d.order.awaitsValidation()
	if w == nil || d.purpose.isHurried() || !over && !w.Begun() {
		return
	}
	validation.Tidied(w.Tidy(ctx, over))
}

// awaitsValidation reports whether what was published for the order is still needed.
func (o *orderEntry) awaitsValidation() bool {
	return o.State == StatePending && o.CAStatus == certinext.StatusPendingDCV
}

// OwnerKind is the kind of owner that an order is, of published records.
const OwnerKind = "order"

func orderOwner(o *orderEntry) string { return OwnerKind + "/" + o.Role + "/" + o.ID }

// KeepsRecords reports whether what is published for an order has to stay: somebody works on it and looks after its records, or it waits for its
// validation by a solver.
func (journal *Journal) KeepsRecords(ctx context.Context, s logical.Storage, role, id string) (bool, error) {
	t, open := journal.registry.status(id)
	if open && t.busy != nil {
		return true, nil
	}
	needed, err := journal.needsRecords(ctx, s, role, id)
	return needed && t.handed == nil, err // the entry of an order whose certificate was handed over is as it was before
}

// needsRecords reports whether an order waits for its validation by a solver.
func (journal *Journal) needsRecords(ctx context.Context, s logical.Storage, role, id string) (bool, error) {
	o, err := store.Get[orderEntry](ctx, s, OpenPrefix+role+"/"+id)
	if err != nil || o == nil || !o.awaitsValidation() {
		return false, err
	}
	r, err := roles.Read(ctx, s, role)
	if err != nil || r == nil || r.DNS.Solver == "" {
		return false, err // people validate it from now on
	}
	cfg, err := journal.Account.Config(ctx, s)
	return cfg != nil && account.SameAccount(o.Account, cfg.Account()), err
}

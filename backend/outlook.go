// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/caa"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// An Outlook is what an order would cost, count to and wait for.
type Outlook struct {
	Price spending.Price
	// Years are what a year costs, as far as the price is known; none when the certificates live as
	// long as they were ordered for.
	Years   []preview.Year
	Budgets []spending.Forecast // that the order would count to
	Domains []DomainOutlook     // of a publicly trusted certificate
}

// The words for whether a domain is validated.
const (
	validatedYes     = "yes"
	validatedNo      = "no"
	validatedUnknown = "unknown"
)

// A DomainOutlook is what an order would wait for at one of its names.
type DomainOutlook struct {
	Name      string
	Validated string    // yes, no or unknown
	Covering  string    // the account's domain whose validation covers the name
	ValidTill time.Time // zero when CERTInext does not say, or the domain is not validated
	// Method and Solver are by which it would be validated; empty when it is. How says it in words.
	Method certinext.DCVMethod
	Solver string
	How    string
	CAA    caa.Finding
}

// A prospect is an order that may be placed.
type prospect struct {
	role     *issuing.Role
	purchase orders.Purchase
	names    []string // of hosts
	within   bool     // its certificates are succeeded within its subscription
	buys     bool     // it would count to budgets
	begins   bool     // CERTInext would look at its domains
}

// roleOf returns the role of an order as it is now, or one with defaults where it is gone.
func roleOf(ctx context.Context, s logical.Storage, name string) (*issuing.Role, error) {
	role, err := roles.Read(ctx, s, name)
	if role == nil {
		role = issuing.NewRole(name)
	}
	return role, err
}

// lookOut returns the outlook of an order.
func lookOut(
	ctx context.Context, e *Engine, s logical.Storage, what prospect,
) (out Outlook, err error) {
	if what.buys {
		out.Budgets, out.Price, err = e.Spending.Foresee(ctx, s, spending.Purchase(what.purchase))
	} else {
		out.Price, err = books{e}.Price(ctx, s, spending.Purchase(what.purchase), true)
	}
	if err != nil {
		return Outlook{}, err
	}
	isPublic := what.role.Shape().Public()
	if isPublic {
		out.Years = preview.Years(out.Price.Amount, what.purchase.Years, what.within)
	}
	if what.begins && isPublic {
		out.Domains, err = lookAtDomains(ctx, e, s, what)
	}
	return out, err
}

const (
	// caaTime bounds all questions about the CAA records of one order.
	caaTime = 10 * time.Second
	// mostNames is at how many names of an order it is looked.
	mostNames = 100
)

// lookAtDomains says of each name of an order how it is or would be validated, and whether CAA
// records forbid it.
func lookAtDomains(
	ctx context.Context, e *Engine, s logical.Storage, what prospect,
) ([]DomainOutlook, error) {
	a, err := e.Account.Session(ctx, s)
	if err != nil {
		return nil, err
	}
	names := what.names[:min(len(what.names), mostNames)]
	found := make(chan []caa.Finding, 1)
	go func() { found <- lookAtCAA(ctx, e, what.role, names) }()
	var list account.DomainList
	unread := e.Account.MayAsk(s)
	if unread == nil {
		list, unread = account.KnownDomains(ctx, e.Account, a, false)
	}
	all := make([]DomainOutlook, 0, len(names))
	for _, name := range names {
		d := DomainOutlook{Name: name}
		if unread == nil {
			d.validation(ctx, e, a, list)
		} else {
			d.Validated = validatedUnknown
			d.How = "the account's domains cannot be read: " + sanitize.Error(unread)
		}
		if d.Validated != validatedYes {
			d.validateBy(what.role)
		}
		all = append(all, d)
	}
	for i, finding := range <-found {
		all[i].CAA = finding
	}
	return all, nil
}

// lookAtCAA looks the CAA records of names up through the resolvers of a role.
func lookAtCAA(
	ctx context.Context, e *Engine, role *issuing.Role, names []string,
) []caa.Finding {
	ctx, cancel := context.WithTimeout(ctx, caaTime)
	defer cancel()
	l := caa.Looker{Look: validation.Resolver(e.Publisher, &role.DNS).CAA}
	out := make([]caa.Finding, 0, len(names))
	for _, name := range names {
		out = append(out, l.Find(ctx, name))
	}
	return out
}

// validation sets whether the account's domains cover the name, and until when.
func (d *DomainOutlook) validation(
	ctx context.Context, e *Engine, a *account.Session, list account.DomainList,
) {
	covering, ok := list.Covering(strings.TrimPrefix(d.Name, "*."))
	if ok && covering.ValidTill.IsZero() && covering.ID != "" {
		details, err := account.DomainDetails(ctx, e.Account, a, covering.ID)
		if err == nil {
			covering.ValidTill = details.ValidTill
		}
	}
	isOver := ok && !covering.ValidTill.IsZero() && !covering.ValidTill.After(books{e}.Time())
	switch {
	case ok && !isOver:
		d.Validated, d.Covering = validatedYes, sanitize.Short(covering.Name)
		d.ValidTill = covering.ValidTill
	case list.Whole:
		d.Validated = validatedNo
	default:
		d.Validated = validatedUnknown
		d.How = fmt.Sprintf("the account has more than %d domains, and none of the first covers "+
			"it", len(list.Domains))
	}
}

// validateBy sets how the name would be validated.
func (d *DomainOutlook) validateBy(role *issuing.Role) {
	d.Method, d.Solver = role.DCVMethod, role.DNS.Solver
	how := "somebody has to act: vault read <mount>/orders/" + role.Name + "/<id>/dcv says how"
	if d.Solver != "" {
		how = "solver " + d.Solver + " publishes a TXT record"
	}
	if d.How != "" {
		how = d.How + "; " + how
	}
	d.How = how
}

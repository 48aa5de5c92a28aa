// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Bounds of what one check asks. Vault's clients give up after 60 s.
const (
	// questionTimeout bounds one question: a slow one must not keep others from being asked.
	questionTimeout = 15 * time.Second
	// atOnce is how many questions are under way at the same time.
	atOnce = 4
	// mostAsked is how many groups, products and organizations each are asked about.
	mostAsked = 20
	// mostDomains is how many of the account's domains are read.
	mostDomains = 1000
)

// Answers are what CERTInext has said. A question that was not asked, or not answered, has no
// answer: nothing is judged by it.
type answers struct {
	mu            sync.Mutex
	groups        []certinext.Group
	organizations []certinext.Organization
	details       map[string]*certinext.Organization // by number; nil for one that there is not
	products      map[string][]certinext.Product     // by group
	fields        map[string][]certinext.CustomFieldSpec
	domains       []certinext.Domain
	domainsKnown  bool // domains are all that there are
}

// A question is one call to CERTInext.
type question struct {
	ask func(ctx context.Context) error
	// unchecked says what was not checked when the question has no answer; empty for one that
	// orders do not depend on.
	unchecked string
}

// ask asks CERTInext what the config and the roles depend on, each thing once.
func (c *Checker) ask(
	ctx context.Context, a *account.Session, all []*issuing.Role, r *Report, said *findings,
) *answers {
	ctx, cancel := context.WithTimeout(ctx, account.AskPatience)
	defer cancel()
	got := &answers{
		details:  make(map[string]*certinext.Organization),
		products: make(map[string][]certinext.Product),
		fields:   make(map[string][]certinext.CustomFieldSpec),
	}
	if c.identify(ctx, a, r, said) {
		said.note("CERTInext was asked nothing else, since it does not accept the credentials")
		return got
	}
	questions := c.questions(a, needsOf(a.Config, all, said), got)
	failed := make([]error, len(questions))
	next := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range next {
				failed[i] = asked(ctx, questions[i])
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	workers.Wait()
	for i, err := range failed {
		switch q := questions[i]; {
		case err == nil:
		case q.unchecked == "":
			said.note("%s", explain(err, a.Config))
		default:
			said.problem("%s; %s was not checked", explain(err, a.Config), q.unchecked)
		}
	}
	r.Products = got.products[a.Config.GroupNumber]
	return got
}

// asked asks one question.
func asked(ctx context.Context, q question) error {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.ask(ctx)
}

// Needs are what the orders of a mount depend on at CERTInext.
type needs struct {
	groups        []string // "" for the account's own catalog
	products      []string
	organizations []string
	domains       bool
}

// needsOf collects what the orders of a config and its roles depend on.
func needsOf(cfg *account.Config, all []*issuing.Role, said *findings) needs {
	groups := map[string]bool{cfg.GroupNumber: true}
	products, organizations := map[string]bool{}, map[string]bool{}
	n := needs{}
	if cfg.OrganizationNumber != "" {
		organizations[cfg.OrganizationNumber] = true
	}
	for _, r := range all {
		d := r.OrderDefaults.Or(cfg.OrderDefaults)
		groups[d.GroupNumber] = true
		if r.ProductCode != "" {
			products[r.ProductCode] = true
		}
		if d.OrganizationNumber != "" && usesOrganization(r, cfg) {
			organizations[d.OrganizationNumber] = true
		}
		n.domains = n.domains || (r.Shape().Public() && len(r.AllowedDomains) > 0)
	}
	n.groups = bounded(groups, "group", said)
	n.products = bounded(products, "product", said)
	n.organizations = bounded(organizations, "organization", said)
	return n
}

// bounded returns the first of some numbers, and notes how many it leaves out.
func bounded(numbers map[string]bool, what string, said *findings) []string {
	list := slices.Sorted(maps.Keys(numbers))
	if left := len(list) - mostAsked; left > 0 {
		said.note("CERTInext was not asked about %s: a check asks about %d; "+
			"vault read <mount>/config/check role=<name> looks at one role",
			plural(left, what), mostAsked)
		list = list[:mostAsked]
	}
	return list
}

// usesOrganization reports whether the orders of a role name an organization.
func usesOrganization(r *issuing.Role, cfg *account.Config) bool {
	return r.Shape().Vetted() || r.Shape().Personal() ||
		(cfg.Version() == certinext.V1 && r.Shape().Public())
}

// questions returns the questions that tell what is needed. Their answers go into got.
func (c *Checker) questions(a *account.Session, n needs, got *answers) []question {
	var all []question
	for _, group := range n.groups {
		ask := func(ctx context.Context) error {
			products, _, err := c.acct.CatalogProducts(ctx, a, group, true)
			return got.keep(err, func() { got.products[group] = products })
		}
		all = append(all, question{unchecked: "product_code", ask: ask})
	}
	if len(n.groups) > 1 || n.groups[0] != "" || len(n.organizations) > 0 {
		ask := func(ctx context.Context) error {
			groups, err := a.Client.Groups(ctx)
			return got.keep(err, func() { got.groups = groups })
		}
		all = append(all, question{unchecked: "group_number", ask: ask})
	}
	for _, code := range n.products {
		ask := func(ctx context.Context) error {
			fields, _, err := c.acct.CatalogFields(ctx, a, code, true)
			if certinext.HasStatus(err, http.StatusNotFound, http.StatusUnprocessableEntity,
				http.StatusNotImplemented) {
				return nil // nothing to check by
			}
			return got.keep(err, func() { got.fields[code] = fields })
		}
		all = append(all, question{unchecked: "custom_fields", ask: ask})
	}
	all = append(all, organizationQuestions(a, n.organizations, got)...)
	if n.domains {
		all = append(all, question{ask: func(ctx context.Context) error {
			domains, whole, err := someDomains(ctx, a)
			return got.keep(err, func() { got.domains, got.domainsKnown = domains, whole })
		}})
	}
	return all
}

// organizationQuestions returns the questions about organizations: the list tells whether they are
// vetted, the details what for.
func organizationQuestions(a *account.Session, numbers []string, got *answers) []question {
	if len(numbers) == 0 {
		return nil
	}
	const field = "organization_number"
	all := []question{{unchecked: field, ask: func(ctx context.Context) error {
		organizations, err := a.Client.Organizations(ctx)
		return got.keep(err, func() { got.organizations = organizations })
	}}}
	for _, number := range numbers {
		all = append(all, question{unchecked: field, ask: func(ctx context.Context) error {
			o, err := a.Client.Organization(ctx, number)
			if isUnknown(err) {
				o, err = nil, nil
			}
			return got.keep(err, func() { got.details[number] = o })
		}})
	}
	return all
}

// isUnknown reports whether CERTInext itself says that there is no such organization.
func isUnknown(err error) bool {
	return certinext.IsRefusal(err, http.StatusNotFound) || certinext.HasCode(err, "EMS-1073")
}

// someDomains reads the account's domains, and reports whether these are all.
func someDomains(ctx context.Context, a *account.Session) ([]certinext.Domain, bool, error) {
	var domains []certinext.Domain
	for d, err := range a.Client.Domains(ctx, certinext.DomainFilter{}) {
		if err != nil {
			return nil, false, err
		}
		if len(domains) == mostDomains {
			return domains, false, nil
		}
		domains = append(domains, d)
	}
	return domains, true, nil
}

// keep stores an answer unless there is none.
func (got *answers) keep(err error, store func()) error {
	if err != nil {
		return err
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	store()
	return nil
}

// organization returns what CERTInext says of an organization. isKnown is false when it has not
// been asked; there is none of that number when it is true and o is nil.
func (got *answers) organization(number string) (o *certinext.Organization, isKnown bool) {
	o, isKnown = got.details[number]
	if o == nil {
		return nil, isKnown
	}
	whole := *o
	for _, listed := range got.organizations {
		if listed.Number == number {
			whole.PreVetted = cmp.Or(whole.PreVetted, listed.PreVetted)
			whole.ValidationFor = cmp.Or(whole.ValidationFor, listed.ValidationFor)
		}
	}
	return &whole, true
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// Bounds of what one check asks. Vault's clients give up after 60 s.
const (
	// questionTimeout bounds one question: a slow one must not keep others from being asked.
	questionTimeout = 15 * time.Second
	// atOnce is how many questions of one kind are under way at the same time. Each kind has its
	// own turn: slow answers about one thing must not keep another from being asked.
	atOnce = 2
	// mostAsked is how many groups, products and organizations each are asked about.
	mostAsked = 50
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
	domains       account.DomainList
}

// A question is one call to CERTInext.
type question struct {
	about string // that is asked for, such as the groups
	ask   func(ctx context.Context) error
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
	refusal := c.identify(ctx, a, r, said)
	if refusal != nil && signInFailed(refusal) {
		said.problem("%s", explain(refusal, a.Config))
		said.note("CERTInext was asked nothing else, since it does not accept the credentials")
		return got
	}
	kinds := c.questions(a, needsOf(a.Config, all, said), got)
	unanswered := askAll(ctx, kinds)
	sayUnknown(said, refusal, len(unanswered) < len(slices.Concat(kinds...)), a.Config)
	sayUnanswered(said, unanswered, a.Config)
	r.Products = got.products[a.Config.GroupNumber]
	return got
}

// An unanswered is a question without an answer.
type unanswered struct {
	question
	err error
}

// askAll asks all questions, each kind in its own turn, and returns those without an answer.
func askAll(ctx context.Context, kinds [][]question) []unanswered {
	failed := make([][]error, len(kinds))
	var workers sync.WaitGroup
	for k, questions := range kinds {
		failed[k] = make([]error, len(questions))
		var next atomic.Int64
		for range atOnce {
			workers.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(questions)); i = next.Add(1) - 1 {
					failed[k][i] = asked(ctx, questions[i])
				}
			})
		}
	}
	workers.Wait()
	var all []unanswered
	for k, questions := range kinds {
		for i, q := range questions {
			if err := failed[k][i]; err != nil {
				all = append(all, unanswered{q, err})
			}
		}
	}
	return all
}

// sayUnknown says why CERTInext does not tell who the account is. An account that is forbidden to
// ask that, and is answered other questions, may order.
func sayUnknown(said *findings, err error, isAnsweredElse bool, cfg *account.Config) {
	switch {
	case err == nil:
	case isForbidden(err) && isAnsweredElse:
		said.note("the account may not ask who it is, so account_number is not shown: %s",
			sanitize.Error(err))
	default:
		said.problem("%s", explain(err, cfg))
	}
}

// sayUnanswered says which questions have no answer, those for one reason together.
func sayUnanswered(said *findings, all []unanswered, cfg *account.Config) {
	var reasons []string
	about, unchecked := map[string][]string{}, map[string][]string{}
	for _, u := range all {
		reason := explain(u.err, cfg)
		if about[reason] == nil {
			reasons = append(reasons, reason)
		}
		about[reason] = append(about[reason], u.about)
		if u.unchecked != "" && !slices.Contains(unchecked[reason], u.unchecked) {
			unchecked[reason] = append(unchecked[reason], u.unchecked)
		}
	}
	for _, reason := range reasons {
		text := "CERTInext was asked for " + someOf(about[reason]) + ": " + reason
		switch fields := unchecked[reason]; len(fields) {
		case 0:
			said.note("%s", text)
		case 1:
			said.problem("%s; %s was not checked", text, fields[0])
		default:
			said.problem("%s; %s were not checked", text, phrase.And(fields...))
		}
	}
}

// errNoTime is the error of a question that was not asked.
var errNoTime = errors.New("there was no time left to ask, since other answers took too long")

// asked asks one question.
func asked(ctx context.Context, q question) error {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	if ctx.Err() != nil {
		return errNoTime
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

// bounded returns the first of some numbers, and says how many it leaves out: nothing is known
// of those.
func bounded(numbers map[string]bool, what string, said *findings) []string {
	list := slices.Sorted(maps.Keys(numbers))
	if left := len(list) - mostAsked; left > 0 {
		said.problem("CERTInext was not asked about %s: a check asks about %d; "+
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

// questions returns the questions that tell what is needed, by kinds. Their answers go into got.
func (c *Checker) questions(a *account.Session, n needs, got *answers) [][]question {
	return [][]question{
		c.productQuestions(a, n.groups, got),
		groupQuestions(a, n, got),
		c.fieldQuestions(a, n.products, got),
		organizationQuestions(a, n.organizations, got),
		c.domainQuestions(a, n.domains, got),
	}
}

// productQuestions ask for what each group may order.
func (c *Checker) productQuestions(
	a *account.Session, groups []string, got *answers,
) (all []question) {
	for _, group := range groups {
		about := "its products"
		if group != "" {
			about = "the products of group " + sanitize.Short(group)
		}
		ask := func(ctx context.Context) error {
			products, _, err := c.acct.CatalogProducts(ctx, a, group, true)
			return got.keep(err, func() { got.products[group] = products })
		}
		all = append(all, question{about: about, unchecked: "product_code", ask: ask})
	}
	return all
}

// groupQuestions ask for the groups, when anything names one.
func groupQuestions(a *account.Session, n needs, got *answers) []question {
	if len(n.groups) == 1 && n.groups[0] == "" && len(n.organizations) == 0 {
		return nil
	}
	ask := func(ctx context.Context) error {
		groups, err := a.Client.Groups(ctx)
		return got.keep(err, func() { got.groups = groups })
	}
	return []question{{about: "its groups", unchecked: "group_number", ask: ask}}
}

// fieldQuestions ask for the custom fields of products.
func (c *Checker) fieldQuestions(
	a *account.Session, products []string, got *answers,
) (all []question) {
	for _, code := range products {
		ask := func(ctx context.Context) error {
			fields, _, err := c.acct.CatalogFields(ctx, a, code, true)
			if certinext.HasStatus(err, http.StatusNotFound, http.StatusUnprocessableEntity,
				http.StatusNotImplemented) {
				return nil // nothing to check by
			}
			return got.keep(err, func() { got.fields[code] = fields })
		}
		all = append(all, question{
			about:     "the custom fields of product " + sanitize.Short(code),
			unchecked: "custom_fields", ask: ask,
		})
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
	all := []question{{
		about: "its organizations", unchecked: field,
		ask: func(ctx context.Context) error {
			organizations, err := a.Client.Organizations(ctx)
			return got.keep(err, func() { got.organizations = organizations })
		},
	}}
	for _, number := range numbers {
		ask := func(ctx context.Context) error {
			o, err := a.Client.Organization(ctx, number)
			if isUnknown(err) {
				o, err = nil, nil
			}
			return got.keep(err, func() { got.details[number] = o })
		}
		about := "organization " + sanitize.Short(number)
		all = append(all, question{about: about, unchecked: field, ask: ask})
	}
	return all
}

// domainQuestions ask for the domains. Orders do not depend on the answer.
func (c *Checker) domainQuestions(a *account.Session, isNeeded bool, got *answers) []question {
	if !isNeeded {
		return nil
	}
	return []question{{about: "its domains", ask: func(ctx context.Context) error {
		list, err := account.KnownDomains(ctx, c.acct, a, true)
		return got.keep(err, func() { got.domains = list })
	}}}
}

// isUnknown reports whether CERTInext itself says that there is no such organization.
func isUnknown(err error) bool {
	return certinext.IsRefusal(err, http.StatusNotFound) || certinext.HasCode(err, "EMS-1073")
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

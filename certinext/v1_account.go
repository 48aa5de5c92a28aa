// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// me makes a call that only checks the credentials. The answer does not name the account, so the
// number returned is the access key's, or the one that owner found for the token.
func (c v1) me(ctx context.Context, operation string) (*Account, error) {
	s, e := c.open(operation)
	if e != nil {
		return nil, e
	}
	if err := c.change(ctx, c.ask(operation, "ValidateCredentials", "", nil)); err != nil {
		return nil, err
	}
	if key, ok := c.Credentials.(AccessKey); ok {
		return &Account{Number: key.AccountNumber}, nil
	}
	a, e := c.owner(ctx, s, operation)
	if e != nil {
		return nil, e
	}
	known := *a
	return &known, nil
}

func (c v1) groups(ctx context.Context, operation string) ([]Group, error) {
	return fetch(ctx, c.Client, c.ask(operation, "GetGroupDetails", "", nil), decodeV1Groups)
}

// organizations returns those of all groups, each once: version 1 does not list organizations
// themselves.
func (c v1) organizations(ctx context.Context, operation string) ([]Organization, error) {
	groups, err := c.groups(ctx, operation)
	if err != nil {
		return nil, err
	}
	all, seen := []Organization{}, map[string]bool{}
	for _, g := range groups {
		for _, o := range g.Organizations {
			if !seen[o.Number] {
				all = append(all, Organization{
					Number: o.Number, Name: o.Name, ValidationFor: o.ValidationFor,
				})
			}
			seen[o.Number] = true
		}
	}
	return all, nil
}

// organization first looks for the organization's group: without one, version 1 looks in the
// account's default group (documented).
func (c v1) organization(ctx context.Context, operation, number string) (*Organization, error) {
	if _, err := segment("number", number); err != nil {
		return nil, asError(operation, err)
	}
	groups, err := c.groups(ctx, operation)
	if err != nil {
		return nil, err
	}
	key := wireOrganizationKey{OrganizationNumber: number, GroupNumber: groupOf(groups, number)}
	return fetch(
		ctx, c.Client, c.ask(operation, "GetOrganizationDetails", "organizationDetails", key),
		decodeV1Organization,
	)
}

func groupOf(groups []Group, organization string) string {
	for _, g := range groups {
		for _, o := range g.Organizations {
			if o.Number == organization {
				return g.Number
			}
		}
	}
	return ""
}

func (c v1) products(ctx context.Context, operation, groupNumber string) ([]Product, error) {
	r := c.ask(operation, "GetProductDetails", "productDetails", wireProductKey{
		GroupNumber: groupNumber,
	})
	products, err := fetch(ctx, c.Client, r, decodeProducts)
	for i := range products {
		if products[i].Category.ID == categorySMIME {
			products[i].Family = FamilySMIME
		}
	}
	return products, err
}

// customFields needs the product's category, which is in the catalog. On some accounts the catalog
// is empty unless a group is named (observed 2026).
func (c v1) customFields(
	ctx context.Context, operation, productCode string,
) ([]CustomFieldSpec, error) {
	if _, err := segment("productCode", productCode); err != nil {
		return nil, asError(operation, err)
	}
	key, err := c.productKey(ctx, operation, productCode)
	if err != nil {
		return nil, err
	}
	return fetch(
		ctx, c.Client, c.ask(operation, "GetFieldDetails", "productDetails", key),
		decodeV1CustomFields,
	)
}

// productKey finds a product in the account's catalog, and then in those of its groups.
func (c v1) productKey(ctx context.Context, operation, code string) (wireProductKey, error) {
	key := wireProductKey{ProductCode: code}
	found := func(group string) (bool, error) {
		products, err := c.products(ctx, operation, group)
		for _, p := range products {
			if p.Code == code {
				key.GroupNumber, key.CategoryID = group, p.Category.ID
				return true, nil
			}
		}
		return false, err
	}
	if ok, err := found(""); ok || err != nil {
		return key, err
	}
	groups, err := c.groups(ctx, operation)
	if err != nil {
		return key, err
	}
	for _, g := range groups {
		if ok, err := found(g.Number); ok || err != nil {
			return key, err
		}
	}
	return key, &Error{
		Operation: operation, Status: http.StatusNotFound, enveloped: true,
		Err: fmt.Errorf("the catalog lists no product %s", code),
	}
}

// domains applies the filter here: version 1 takes none, and returns all domains at once.
func (c v1) domains(
	ctx context.Context, operation string, f DomainFilter,
) iter.Seq2[Domain, error] {
	if f.GroupNumber != "" {
		return failing[Domain](operation, &InvalidRequestError{
			Field:   "GroupNumber",
			Problem: "cannot select domains in version 1, which does not tell their group",
		})
	}
	return func(yield func(Domain, error) bool) {
		domains, err := fetch(
			ctx, c.Client, c.ask(operation, "GetDomainDetails", "", nil), decodeV1Domains,
		)
		if err != nil {
			yield(Domain{}, err)
			return
		}
		for _, d := range domains {
			if f.selects(d) && !yield(d, nil) {
				return
			}
		}
	}
}

// selects reports whether d is selected by all fields of the filter, as version 2's server does.
func (f DomainFilter) selects(d Domain) bool {
	return f.matches(d) && (f.OrganizationID == "" || f.OrganizationID == d.OrganizationID) &&
		strings.Contains(strings.ToLower(d.Name), strings.ToLower(f.Search))
}

func (c v1) ordersReport(
	ctx context.Context, operation string, f ReportFilter,
) iter.Seq2[ReportRow, error] {
	return f.report(operation, c.firstPage(), func(number int) (page[wireReportRow], error) {
		return c.reportPage(ctx, operation, f, number)
	})
}

func (c v1) reportPage(
	ctx context.Context, operation string, f ReportFilter, number int,
) (page[wireReportRow], error) {
	r := c.ask(operation, "GetOrderReport", "searchCriteria", f.criteria(number, c.now()))
	p, err := fetch(ctx, c.Client, r, decodeV1Report)
	if nothingFound(err) {
		return page[wireReportRow]{number: number}, nil
	}
	return p, err
}

// firstPage is the number of the first page of the orders report (documented).
func (c v1) firstPage() int { return 1 }

// criteria returns the part of the filter that version 1 applies. Status is not among it: a status
// of version 2 is several ids, of the order and of its certificate.
func (f ReportFilter) criteria(number int, now time.Time) wireCriteria {
	w := wireCriteria{
		GroupNumber: f.GroupNumber, DomainName: f.Domain,
		PageNumber: strconv.Itoa(number), PageSize: strconv.Itoa(reportPageSize),
	}
	if f.From.IsZero() && f.To.IsZero() {
		return w
	}
	// Documented: either date needs the other, and neither may be in the future.
	from, to := f.From, f.To
	if from.IsZero() {
		from = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	if to.IsZero() || to.After(now) {
		to = now
	}
	w.From, w.Till = from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly)
	return w
}

// Observed: a report without rows may come as a refusal. Its words were not recorded, so only plain
// ones count as an empty report: a caller that looks for a lost order places it anew when there is
// none.
var nothingFoundPattern = regexp.MustCompile(
	`(?i)^no (orders?|records?|requests?|results?|data)` +
		`( (is|are|was|were|has been|have been))? (found|available)\b`)

func nothingFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.enveloped && !e.toAnother && v1Statuses[e.Code] == 0 &&
		nothingFoundPattern.MatchString(e.Detail)
}

// absentVerb reports whether err is the answer of a server that does not have version 1.
func absentVerb(err error) bool {
	var e *Error
	return errors.As(err, &e) && !e.enveloped &&
		HasStatus(
			e, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone,
			http.StatusNotImplemented,
		)
}

func (c v1) ledger(ctx context.Context, operation, groupNumber string) iter.Seq2[LedgerRow, error] {
	fetchPage := func(number int) (page[wireLedgerRow], error) {
		r := c.ask(operation, "GetLedgerStatementDetails", "statementDetails", wireStatementKey{
			GroupNumber: groupNumber, PageNumber: strconv.Itoa(number), PageSize: "50",
		})
		return fetch(ctx, c.Client, r, decodeV1Ledger)
	}
	return func(yield func(LedgerRow, error) bool) {
		for w, err := range rows(1, fetchPage) {
			if !yield(LedgerRow(w), err) {
				return
			}
		}
	}
}

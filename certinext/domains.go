// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// A Domain is one that the account registered, apart from any order. While it is verified, orders for it and, where the
// account allows inheritance, for names below it need no validation of their own; no field tells whether they do. The same
// name may appear twice, under two organizations.
type Domain struct {
	ID               string // opaque
	Name             string
	OrganizationID   string
	OrganizationName string
	Status           string // ACTIVE, INACTIVE, EXPIRED
	DCVStatus        string // PENDING, VERIFIED, REJECTED
	DCVMethod        string // empty in lists on the live service
	CreatedAt        time.Time
	VerifiedAt       time.Time // zero in lists on the live service
	ValidTill        time.Time // some 200 days after the validation; zero when not verified
}

// A DomainFilter selects domains. The zero value selects all.
type DomainFilter struct {
	Search         string // a name, or with Exact unset a part of one; parts were broken until July 2026
	Exact          bool
	Status         string // ACTIVE, INACTIVE, EXPIRED, in any case
	DCVStatus      string // PENDING, VERIFIED, REJECTED, EXPIRED, in any case
	OrganizationID string
	GroupNumber    string // version 2 only: version 1 does not tell it, and the filter is refused
}

const (
	domainPageSize = 100
	maxPages       = 10_000
)

// errIncomplete is a list that ended before the number of rows that CERTInext announced.
var errIncomplete = errors.New("the list ended before all rows that CERTInext announced had come")

// Domains returns the account's domains, sorted by name, each once. A call may take seconds. Iteration ends with
// the first error, which comes with a zero Domain.
//
// Observed: CERTInext refuses some filters, and some together, so statuses are also, and where needed only, compared
// here; and it pages reliably in one order only, which is therefore asked for.
func (c *Client) Domains(ctx context.Context, f DomainFilter) iter.Seq2[Domain, error] {
	return c.protocol().domains(ctx, "listing domains", f)
}

func (c v2) domains(ctx context.Context, operation string, f DomainFilter) iter.Seq2[Domain, error] {
	return func(yield func(Domain, error) bool) {
		seen := map[string]bool{}
		for offset, pages := 0, 0; ; pages++ {
			p, err := fetch(ctx, c.Client, c.read(operation, "/domains", f.query(offset)), decodeDomains)
			if err != nil {
				yield(Domain{}, err)
				return
			}
			fresh := 0
			for _, d := range p.rows {
				key := d.ID + "\n" + d.Name + "\n" + d.OrganizationID
				if seen[key] {
					continue
				}
				seen[key] = true
				fresh++
				if f.matches(d) && !yield(d, nil) {
					return
				}
			}
			offset += len(p.rows)
			switch {
			case p.total >= 0 && offset >= p.total, p.total < 0 && fresh == 0:
				return // a bare list announces nothing and is followed until it brings nothing new
			case fresh == 0, pages == maxPages:
				yield(Domain{}, &Error{Operation: operation, Err: errIncomplete})
				return
			}
		}
	}
}

func (f DomainFilter) query(offset int) url.Values {
	q := url.Values{
		"sortBy": {"domainName"}, "sortDir": {"asc"},
		"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(domainPageSize)},
	}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("search", f.Search)
	if f.Exact {
		q.Set("exactMatch", "true")
	}
	set("organizationId", f.OrganizationID)
	set("groupNumber", f.GroupNumber)
	// One status at most, and dcvStatus EXPIRED never: both were observed to be answered 400.
	switch {
	case f.DCVStatus != "" && !equalFold(f.DCVStatus, "EXPIRED"):
		q.Set("dcvStatus", upper(f.DCVStatus))
	case f.DCVStatus == "":
		set("domainStatus", upper(f.Status))
	}
	return q
}

func (f DomainFilter) matches(d Domain) bool {
	return (f.Status == "" || equalFold(f.Status, d.Status)) && (f.DCVStatus == "" || equalFold(f.DCVStatus, d.DCVStatus)) &&
		(!f.Exact || f.Search == "" || equalFold(f.Search, d.Name))
}

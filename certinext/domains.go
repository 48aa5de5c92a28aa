// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Domain is one that the account registered, apart from any order. While it is verified, orders
// for it and, where the account allows inheritance, for names below it need no validation of their
// own; no field tells whether they do. The same name may appear twice, under two organizations.
type Domain struct {
	// ID is opaque, 48 characters on the live service (observed 2026). It names the domain to every
	// call on a single one.
	ID string
	// Name is the DNS name.
	Name string
	// OrganizationID and OrganizationName are those of the organization that the domain is
	// validated for.
	OrganizationID   string
	OrganizationName string
	// Status is ACTIVE, INACTIVE or EXPIRED (documented).
	Status string
	// DCVStatus is PENDING, VERIFIED or REJECTED (documented).
	DCVStatus string
	// DCVMethod is a [DCVMethod]; empty in lists on the live service (observed 2026).
	DCVMethod string
	// CreatedAt is when the domain was registered, in UTC.
	CreatedAt time.Time
	// VerifiedAt is in UTC; zero when not verified, and in lists on the live service (observed
	// 2026).
	VerifiedAt time.Time
	// ValidTill is the end of the validation in UTC, some 200 days after it (observed 2026); zero
	// when not verified.
	ValidTill time.Time
}

// A DomainFilter selects domains. The zero value selects all.
type DomainFilter struct {
	// Search is a name, or with Exact unset a part of one; parts were broken until July 2026.
	Search string
	// Exact selects the name that is Search, in any case.
	Exact bool
	// Status is ACTIVE, INACTIVE or EXPIRED, in any case; empty for all.
	Status string
	// DCVStatus is PENDING, VERIFIED, REJECTED or EXPIRED, in any case; empty for all.
	DCVStatus string
	// OrganizationID is as [Domain] has it; empty for all.
	OrganizationID string
	// GroupNumber is a billing group's; empty for all. Version 2 only: version 1 does not return
	// the group, and the filter is refused.
	GroupNumber string
}

const (
	domainPageSize = 100
	maxPages       = 10_000
)

// errIncomplete is the error of a list that ended before all rows that CERTInext announced had
// come.
var errIncomplete = errors.New("the list ended before all rows that CERTInext announced had come")

// Domains returns the account's domains, sorted by name, each once. A call may take seconds.
// Iteration ends with the first error, which comes with a zero Domain.
//
// Observed: CERTInext refuses some filters, and some together, so statuses are compared here as
// well, and those that it refuses only here. It pages reliably only when sorted by name, which is
// therefore asked for.
func (c *Client) Domains(ctx context.Context, f DomainFilter) iter.Seq2[Domain, error] {
	return c.protocol().domains(ctx, "listing domains", f)
}

func (c v2) domains(
	ctx context.Context, operation string, f DomainFilter,
) iter.Seq2[Domain, error] {
	return func(yield func(Domain, error) bool) {
		seen := map[string]bool{}
		for offset, pages := 0, 0; ; pages++ {
			p, err := fetch(
				ctx, c.Client, c.read(operation, "/domains", f.query(offset)), decodeDomains,
			)
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
	return (f.Status == "" || equalFold(f.Status, d.Status)) &&
		(f.DCVStatus == "" || equalFold(f.DCVStatus, d.DCVStatus)) &&
		(!f.Exact || f.Search == "" || equalFold(f.Search, d.Name))
}

// A DomainRequest asks to register a domain for an organization of the account. All but Renew is
// needed.
type DomainRequest struct {
	// Name is a DNS name. A wildcard has no validation of its own: its parent's serves it.
	Name string
	// OrganizationID is the organization's, as [Domain] has it (documented). The same name under
	// two organizations is two domains.
	OrganizationID string
	// Method is how control is to be proven.
	Method DCVMethod
	// Renew asks for another challenge of a domain that is registered, which is an error otherwise.
	// That the mode exists is documented, and nothing of what it does; inferred: the new challenge
	// voids an open one, a validation that has not run out goes on to count until the challenge is
	// met, and an unknown name is added.
	Renew bool
}

// ErrChallengeExpired is the error for a challenge whose token reads back empty. A token does so
// once it has expired (observed 2026), 48 hours after it was made (documented).
// [Client.RenewDomainChallenge] makes a new one for a domain of the account; for a domain of an
// order, asking again does.
var ErrChallengeExpired = errors.New("the challenge has expired")

var (
	errNoDomain    = errors.New("the answer names no domain")
	errOtherDomain = errors.New("the answer is about another domain")
)

// AddDomain registers a domain with the account, and returns it with what to publish for it, so
// that orders for it need no validation of their own. It is inferred that nothing is charged for
// it. Like all calls on a single domain, it is in version 2 only.
//
// The Challenge is nil when the answer holds none: [Client.DomainChallenge] asks for it.
//
// A domain that is there already is refused with 409, and the Error's ExistingDomainID is its id
// (documented). So when the Error's Acted is true, because the answer was lost, a caller adds the
// domain once more: either it is added now, or the refusal has its id. CERTInext also refuses with
// 422 where a CAA record forbids it to issue (documented).
func (c *Client) AddDomain(ctx context.Context, r DomainRequest) (*Domain, *Challenge, error) {
	const operation = "adding domain"
	req, err := c.addition(operation, r)
	if err != nil {
		return nil, nil, asError(operation, err)
	}
	var d *Domain
	var ch *Challenge
	req.accept = func(p *reply) (err error) { // the caller needs its id
		d, ch, err = decodeAddition(p.body, r)
		return err
	}
	if _, e := c.do(ctx, req); e != nil {
		return nil, nil, e
	}
	return d, ch, nil
}

// addition builds the call.
func (c *Client) addition(operation string, r DomainRequest) (*call, error) {
	if err := c.hasDomains(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.Name, "*") {
		return nil, &InvalidRequestError{
			Field: "Name", Problem: "must not be a wildcard: name its parent",
		}
	}
	if problem := dnsNameProblem(r.Name); problem != "" {
		return nil, &InvalidRequestError{Field: "Name", Problem: problem}
	}
	if _, err := segment("OrganizationID", r.OrganizationID); err != nil {
		return nil, err
	}
	if !r.Method.known() {
		return nil, &InvalidRequestError{Field: "Method", Problem: methodProblem}
	}
	w := wireAddition{
		DomainName: r.Name, OrganizationID: r.OrganizationID, DCVMethod: string(r.Method),
	}
	if r.Renew {
		w.Mode = "renew"
	}
	req, err := c.newChange(operation, http.MethodPost, "/domains", w)
	if err != nil {
		return nil, err
	}
	return req, nil
}

// Domain reads one domain of the account. It takes some six seconds (observed 2026).
func (c *Client) Domain(ctx context.Context, id string) (*Domain, error) {
	const operation = "reading domain"
	path, err := c.domainPath(id, "")
	if err != nil {
		return nil, asError(operation, err)
	}
	return fetch(ctx, c, c.read(operation, path, nil), func(body []byte) (*Domain, error) {
		return decodeDomain(body, id)
	})
}

// DomainChallenge returns what to publish to prove control of a domain of the account, which is
// named both by its id and by its name: an answer for another domain, or without the method asked
// for, is an error. A domain has one method at a time, and [Client.RenewDomainChallenge] changes
// it. The call takes some five seconds (observed 2026).
//
// A verified domain is answered with its method and nothing else (observed 2026): the Challenge is
// then AlreadyVerified. A token that is there and empty is one that has expired instead,
// [ErrChallengeExpired]. The two answers differ only in a member that is left out, so a caller asks
// [Client.Domain], which says for certain whether the domain is verified and until when.
func (c *Client) DomainChallenge(
	ctx context.Context, id, domain string, m DCVMethod,
) (*Challenge, error) {
	const operation = "fetching domain's challenge"
	return c.fetchDomainChallenge(ctx, operation, id, domain, m)
}

func (c *Client) fetchDomainChallenge(
	ctx context.Context, operation, id, domain string, m DCVMethod,
) (*Challenge, error) {
	path, err := c.challengePath(id, "/dcv", domain, m)
	if err != nil {
		return nil, asError(operation, err)
	}
	ch, err := fetch(ctx, c, c.read(operation, path, nil), func(body []byte) (*Challenge, error) {
		return decodeDomainChallenge(body, domain, m)
	})
	if alreadyVerified(err) {
		return &Challenge{Domain: domain, AlreadyVerified: true}, nil
	}
	return ch, err
}

// RenewDomainChallenge makes a new challenge for a domain of the account, by the method m, and
// voids the one before (documented: it sets the method; another client assumes that it makes a
// token). For a domain with nothing to prove, the Challenge is AlreadyVerified.
//
// The answer is not documented: when it holds no challenge, the challenge is fetched. After an
// error whose Acted is true the old challenge may be void; making another one more does no harm.
func (c *Client) RenewDomainChallenge(
	ctx context.Context, id, domain string, m DCVMethod,
) (*Challenge, error) {
	const operation = "renewing domain's challenge"
	path, err := c.challengePath(id, "/dcv/method", domain, m)
	if err != nil {
		return nil, asError(operation, err)
	}
	req, err := c.newChange(operation, http.MethodPatch, path, wireDomainMethod{
		DCVMethod: string(m),
	})
	if err != nil {
		return nil, asError(operation, err)
	}
	var ch *Challenge
	req.accept = func(p *reply) (err error) {
		if ch, err = decodeChallenge(p.body, domain, m); err == nil {
			return nil
		}
		return renewedDomain(id, m)(p)
	}
	_, e := c.do(ctx, req)
	switch {
	case e != nil && alreadyVerified(e):
		return &Challenge{Domain: domain, AlreadyVerified: true}, nil
	case e != nil:
		return nil, e
	case ch != nil:
		return ch, nil
	}
	ch, err = c.fetchDomainChallenge(ctx, operation, id, domain, m)
	if err != nil {
		failed := *asError(operation, err)
		failed.Acted = true // the challenge was renewed and could not be read
		return nil, &failed
	}
	return ch, nil
}

// VerifyDomain asks CERTInext to look for what was published for a domain of the account. A nil
// error means that control of the domain is proven, also when it already was; [Client.Domain] tells
// until when, and whether a renewal has changed that. Its failures are those of [Client.VerifyDCV].
func (c *Client) VerifyDomain(ctx context.Context, id string) error {
	const operation = "verifying domain"
	path, err := c.domainPath(id, "/dcv/verify")
	if err != nil {
		return asError(operation, err)
	}
	return unlessVerified(v2{c}.lookUp(ctx, operation, path, struct{}{}))
}

// DomainDiagnosis returns CERTInext's account of the latest verification of a domain of the account
// (documented). Its FailureClass is empty when that was a success; the Error has status 404 when
// there was none.
func (c *Client) DomainDiagnosis(ctx context.Context, id string) (*Diagnostics, error) {
	const operation = "reading domain's diagnosis"
	path, err := c.domainPath(id, "/dcv/attempts/last")
	if err != nil {
		return nil, asError(operation, err)
	}
	return fetch(ctx, c, c.read(operation, path, nil), decodeAttempt)
}

// hasDomains refuses the calls that version 1 does not have.
func (c *Client) hasDomains() error {
	if c.Version == V1 {
		return &InvalidRequestError{
			Field: "Version", Problem: "must be V2: version 1 can list domains, and nothing else",
		}
	}
	return nil
}

// domainPath returns the path of a domain of the account, or of something below it.
func (c *Client) domainPath(id, below string) (string, error) {
	if err := c.hasDomains(); err != nil {
		return "", err
	}
	id, err := segment("id", id)
	if err != nil {
		return "", err
	}
	return "/domains/" + id + below, nil
}

// challengePath returns domainPath for a call that takes a domain's name and method, and checks
// these.
func (c *Client) challengePath(id, below, domain string, m DCVMethod) (string, error) {
	path, err := c.domainPath(id, below)
	if err != nil {
		return "", err
	}
	return path, checkDCV(domain, m)
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// An accountDomain is a domain that the account registered or validated for
// one organization.
type accountDomain struct {
	number       int    // in the order of registration
	id           string // 48 characters of base64url
	name         string
	organization *organization
	method       string
	challenge    *challenge
	createdAt    time.Time
	verifiedAt   time.Time
	validTill    time.Time
	// renewing is set while a domain that is still valid has a challenge to
	// meet: until then what was validated before goes on to count.
	renewing bool
	inactive bool
	attempts []attempt
}

// An attempt is one verification of an account domain.
type attempt struct {
	id      string
	at      time.Time
	method  string
	failure *lookupFailure
}

// validateDomain marks d as validated by method at now.
func (s *Server) validateDomain(d *accountDomain, now time.Time, method string) {
	d.verifiedAt, d.validTill, d.method, d.renewing = now, now.Add(
		s.domainValidity(),
	), method, false
}

// renewDomain is verifyDomain for a result that is known from at on. Until then
// what was validated before goes on to count.
func (s *Server) renewDomain(d *accountDomain, now, at time.Time, method string) {
	if at.Equal(now) || !d.validAt(now) {
		s.validateDomain(d, at, method)
	}
}

// validAt reports whether d is validated, active and not yet expired.
func (d *accountDomain) validAt(now time.Time) bool {
	return reached(d.verifiedAt, now) && !d.inactive && now.Before(d.validTill)
}

// openAt reports whether there is something to prove for d.
func (d *accountDomain) openAt(now time.Time) bool { return d.renewing || !d.validAt(now) }

// dcvStatus is the DCV status: PENDING, VERIFIED or, past validTill, EXPIRED.
func (d *accountDomain) dcvStatus(now time.Time) string {
	switch {
	case !reached(d.verifiedAt, now):
		return "PENDING"
	case now.Before(d.validTill):
		return "VERIFIED"
	default:
		return "EXPIRED"
	}
}

func (d *accountDomain) domainStatus() string {
	if d.inactive {
		return "INACTIVE"
	}
	return "ACTIVE"
}

// registerDomain returns the account's entry for name and organization, made
// if need be.
func (s *Server) registerDomain(name string, org *organization, now time.Time) *accountDomain {
	name = strings.ToLower(name)
	for _, d := range s.zonesOf[name] {
		if d.organization == org {
			return d
		}
	}
	d := &accountDomain{
		number: len(s.zones), id: base64.RawURLEncoding.EncodeToString(sure.RandomBytes(36)),
		name: name, organization: org,
		method: methodDNS, createdAt: now,
	}
	s.zones = append(s.zones, d)
	s.zonesOf[name] = append(s.zonesOf[name], d)
	return d
}

// coveredByAccount reports whether a validated domain of the account covers
// name, for the organization of an order; orders without one may use any.
// Inheritance goes by organization, not by DNS zone. Of several that cover it the one that was
// registered first counts.
func (s *Server) coveredByAccount(name string, org *organization, now time.Time) (time.Time, bool) {
	var first *accountDomain
	for covers, found := name, true; found; _, covers, found = strings.Cut(covers, ".") {
		for _, d := range s.zonesOf[covers] {
			serves := d.validAt(now) && (org == nil || d.organization == org)
			if serves && (first == nil || d.number < first.number) {
				first = d
			}
		}
		if s.NoInheritance {
			break
		}
	}
	if first == nil {
		return time.Time{}, false
	}
	return first.verifiedAt, true
}

func (s *Server) domainByID(id string) *accountDomain {
	i := slices.IndexFunc(s.zones, func(d *accountDomain) bool { return d.id == id })
	if i < 0 {
		return nil
	}
	return s.zones[i]
}

// VerifyDomain marks domain as validated for the first organization, and in
// every open order that waits for it, whatever DNS says.
func (s *Server) VerifyDomain(domain string) {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.validateDomain(s.registerDomain(domain, s.firstOrganization(), now), now, methodDNS)
	for _, o := range s.book.sequence {
		if t := o.target(domain); t != nil && t.verifiedAt.IsZero() {
			t.verifiedAt, t.method = now, methodDNS
			s.settle(o, now)
		}
	}
}

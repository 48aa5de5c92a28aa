// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Challenges asks CERTInext what to publish for an order: for one domain or, when domain is empty,
// for all. Domains that are validated already are listed without a challenge. When method is empty,
// the role's counts. A domain that CERTInext could not be asked about has an Error; the others are
// complete.
func (journal *Journal) Challenges(
	ctx context.Context, s logical.Storage, role, id, domain string, method certinext.DCVMethod,
) ([]validation.DomainChallenge, error) {
	ctx, cancel := account.WhileAsked(ctx)
	defer cancel()
	v, err := journal.orderValidation(ctx, s, role, id, domain, method)
	if err != nil {
		return nil, err
	}
	for i := range v.domains {
		d := &v.domains[i]
		if d.Verified {
			continue
		}
		c, err := v.client.DCVChallenge(ctx, v.number, d.Domain, v.method)
		if err != nil {
			d.Error = err.Error()
			continue
		}
		d.Challenge, d.Verified = *c, c.AlreadyVerified
		d.DNSNames = v.how.Names(c, d.Domain)
		if c.HTTPPath != "" {
			d.HTTPURL = validation.ChallengeURL(d.Domain, c.HTTPPath)
		}
	}
	return v.domains, nil
}

// VerifyDomains has CERTInext look for the challenges of an order now: for one domain or, when
// domain is empty, for all. Domains that are validated already are only listed. When method is
// empty, the role's counts. A domain that CERTInext did not validate has an Error, and for the
// first few TXT records what the engine itself found.
func (journal *Journal) VerifyDomains(
	ctx context.Context, s logical.Storage, role, id, domain string, method certinext.DCVMethod,
) ([]validation.DomainChallenge, error) {
	ctx, cancel := account.WhileAsked(ctx)
	defer cancel()
	v, err := journal.orderValidation(ctx, s, role, id, domain, method)
	if err != nil {
		return nil, err
	}
	doubts := 0
	for i := range v.domains {
		d := &v.domains[i]
		if d.Verified {
			continue
		}
		err := v.client.VerifyDCV(ctx, v.number, d.Domain, v.method)
		if err == nil {
			d.Verified = true
			continue
		}
		d.Error = err.Error()
		if v.method == certinext.DCVMethodDNS && doubts < validation.MaxProofs {
			doubts++
			d.Found = v.lookForRecord(ctx, journal.Publisher, d.Domain)
		}
	}
	return v.domains, nil
}

// An orderValidation is the validation of an order's domains, as a person asks about it.
type orderValidation struct {
	client  *certinext.Client
	number  string // CERTInext's, of the order
	method  certinext.DCVMethod
	how     issuing.DNSValidation
	domains []validation.DomainChallenge
}

// orderValidation asks CERTInext for the domains of an order that it holds; unless domain is empty,
// for that domain only. When method is empty, the role's counts.
func (journal *Journal) orderValidation(
	ctx context.Context, s logical.Storage, role, id, domain string, method certinext.DCVMethod,
) (*orderValidation, error) {
	o, client, err := journal.placedOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	v := &orderValidation{client: client, number: o.CAOrderID}
	if v.domains, err = domainStates(ctx, client, o); err != nil {
		return nil, err
	}
	if domain != "" {
		v.domains = slices.DeleteFunc(v.domains, func(d validation.DomainChallenge) bool {
			return !strings.EqualFold(d.Domain, domain)
		})
		if len(v.domains) == 0 {
			return nil, fault.BadField("domain",
				"%q is not a domain of order %s", sanitize.Short(domain), id)
		}
	}
	v.method, v.how, err = validationOf(ctx, s, role, method)
	return v, err
}

// lookForRecord looks in the DNS for the TXT records of a domain that CERTInext does not see, and
// says what it found. It returns nothing when CERTInext does not say what to look for.
func (v *orderValidation) lookForRecord(
	ctx context.Context, dns *validation.Publisher, domain string,
) string {
	ctx, cancel := context.WithTimeout(ctx, proofPatience)
	defer cancel()
	c, err := v.client.DCVChallenge(ctx, v.number, domain, certinext.DCVMethodDNS)
	if err != nil || c.DNSValue == "" {
		return ""
	}
	var found []string
	for _, host := range v.how.Names(c, domain) {
		found = append(found, dns.Look(ctx, &v.how, host, c.DNSValue))
	}
	return strings.Join(found, "; ")
}

// validationOf returns how a role validates domains: by method or, when that is empty, by the
// role's own. A role that is gone has the defaults.
func validationOf(
	ctx context.Context, s logical.Storage, role string, method certinext.DCVMethod,
) (certinext.DCVMethod, issuing.DNSValidation, error) {
	r, err := roles.Read(ctx, s, role)
	if err != nil {
		return "", issuing.DNSValidation{}, err
	}
	if r == nil {
		r = issuing.NewRole(role)
	}
	return cmp.Or(method, r.DCVMethod), r.DNS, nil
}

// placedOrder returns an order that CERTInext holds, and the client of its account, for calls that
// change nothing in the entry. The order is not held.
func (journal *Journal) placedOrder(
	ctx context.Context, s logical.Storage, role, id string,
) (*orderEntry, *certinext.Client, error) {
	o, err := journal.findOrder(ctx, s, role, id)
	if err != nil {
		return nil, nil, err
	}
	if o == nil {
		return nil, nil, fault.NoOrder(role, sanitize.Short(id))
	}
	if o.CAOrderID == "" {
		return nil, nil, fault.BadField("id",
			"order %s is %s: CERTInext has no number for it yet", id, o.State)
	}
	if o.Placement.Family != certinext.FamilySSL {
		return nil, nil, fault.BadField("id",
			"order %s is of the family %s, which validates no domains", id, o.Placement.Family)
	}
	client, err := journal.clientOf(ctx, s, o)
	return o, client, err
}

// domainStates lists the domains of an order, and whether CERTInext has validated each. When
// CERTInext lists none, they are the names that were ordered.
func domainStates(
	ctx context.Context, client *certinext.Client, o *orderEntry,
) ([]validation.DomainChallenge, error) {
	remote, err := track(ctx, client, o, o.CAOrderID)
	if err != nil {
		return nil, fault.Refused(err)
	}
	if remote.Status.Terminal() {
		return nil, fault.BadField("id", "order %s is %s at CERTInext", o.ID, remote.Status)
	}
	var out []validation.DomainChallenge
	for _, d := range remote.Domains {
		out = append(out, validation.DomainChallenge{Domain: d.Domain, Verified: d.Verified()})
	}
	if len(out) == 0 {
		for _, n := range o.Placement.DNSNames {
			verified := remote.Status == certinext.StatusIssued
			out = append(out, validation.DomainChallenge{Domain: n, Verified: verified})
		}
	}
	return out, nil
}

// proofPatience is how long one drive asks CERTInext what to publish, for all of its domains
// together. A request may wait for the drive; for the domains that are left, its answer names the
// path that asks again.
const proofPatience = 5 * time.Second

// askProof asks what to publish for a domain, so that the order itself can say so. A failure does
// not end the drive: the order then points to its path orders/<role>/<id>/dcv, which asks again.
func (d *driver) askProof(ctx context.Context, domain string) {
	if d.tried.asked == nil {
		d.tried.asked = make(map[string]bool)
	}
	d.tried.asked[domain] = true
	o, begun := d.order, d.journal.Now()
	if d.onlyPlaces() || d.asking >= proofPatience {
		return
	}
	d.setNeeds(o.dcvNeeds(d.remote))
	d.latest.Store(o.view())
	ctx, cancel := context.WithTimeout(ctx, proofPatience-d.asking)
	defer cancel()
	c, err := d.client.DCVChallenge(ctx, o.CAOrderID, domain, d.method())
	now := d.journal.Now()
	d.asking += now.Sub(begun)
	switch {
	case err != nil:
		d.journal.Log.Warn("could not ask CERTInext what to publish for a domain",
			"order_id", o.ID, "domain", sanitize.Short(domain), "error", err)
	case !c.AlreadyVerified:
		o.Proofs = append(o.Proofs, d.proofOf(c, domain, now))
		o.dirty = true
	}
}

// onlyPlaces reports whether this drive has placed the order of a request that asks for no more.
// The next drive then asks what to publish.
func (d *driver) onlyPlaces() bool { return d.purpose == forPlacement && d.placed }

// method returns how control of the order's domains is proved, as the role is today.
func (d *driver) method() certinext.DCVMethod { return d.roleOrDefaults().DCVMethod }

// roleOrDefaults returns the order's role as it is today, and one with the defaults when it is
// gone.
func (d *driver) roleOrDefaults() *issuing.Role {
	if d.role == nil {
		return issuing.NewRole(d.order.Role)
	}
	return d.role
}

// proofOf returns the part of a challenge that belongs to the role's method.
func (d *driver) proofOf(c *certinext.Challenge, domain string, now time.Time) validation.Proof {
	p := validation.Proof{Domain: domain, Method: d.method(), AskedAt: now}
	switch p.Method {
	case certinext.DCVMethodHTTP:
		p.HTTPPath, p.HTTPContent = c.HTTPPath, c.HTTPContent
	case certinext.DCVMethodEmail:
		p.EmailTo = c.EmailTo
	default:
		p.DNSNames, p.DNSValue = d.roleOrDefaults().DNS.Names(c, domain), c.DNSValue
	}
	return p
}

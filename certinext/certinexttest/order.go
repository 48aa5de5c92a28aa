// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// An order is the facts known about one purchase. What its status is follows
// from them and the clock, see status.go.
type order struct {
	id, requestID string
	family        string
	product       Product
	variant       string // as the client sent it
	domain        string
	additional    []string
	www           bool // autoSecureWww, which adds www.<domain>
	hosts         []net.IP
	targets       []*target // names to validate; SSL only
	subject       *subject  // document signers only, which have no names

	organization *organization
	preVetted    bool
	consented    bool // a valid consent token came with the order
	// ownValidation orders are not served by what the account has validated.
	ownValidation bool
	group         string
	requestor     wireParty
	years         int
	renewal       renewalTerms
	renewalOf     string // id of the order that the CA renewed by this one
	paid          Amount
	remarks       string
	tags          []string
	customFields  []wireCustomField

	createdAt      time.Time
	draft          bool
	creates        int // create calls that led here, replays included
	idempotencyKey string
	baseURL        string

	agreement   *signedAgreement
	approvedAt  time.Time
	missing     []string // parts that the order is parked for, and when the last came
	suppliedAt  time.Time
	documents   int // handed in so far, from documentsAt on
	documentsAt time.Time
	cancelled   *ending
	rejected    *ending
	revoked     *ending
	signings    []*signing // the order itself, then its reissues
	downloaded  bool
	reusedKey   bool // the public key was certified for another order before
}

// A signedAgreement is the subscriber agreement as accepted.
type signedAgreement struct {
	signer, place string
	at            time.Time
}

// An ending is why and when an order stopped living.
type ending struct {
	reason, note string
	at           time.Time
}

// A signing is one certificate in the making: the first of an order, or a
// reissue.
type signing struct {
	requestedAt time.Time
	csr         *submittedCSR
	issuedAt    time.Time // zero until the certificate exists
	cert        *x509.Certificate
	chain       []*x509.Certificate // delivered with cert, its issuer first
	ends        time.Time           // from when on the books call it expired
	lifetimeCut bool                // CertificateLifetime was more than is allowed
}

// current is the newest signing; every order has one.
func (o *order) current() *signing { return o.signings[len(o.signings)-1] }

// certificate is the newest signing that has a certificate, or nil.
func (o *order) certificate() *signing {
	for _, sg := range slices.Backward(o.signings) {
		if sg.cert != nil {
			return sg
		}
	}
	return nil
}

// ended reports whether nothing will come of o that has not come yet.
func (o *order) ended() bool {
	return o.certificate() != nil || o.cancelled != nil || o.rejected != nil
}

// isOpenDraft reports whether o is a draft that can still be placed.
func (o *order) isOpenDraft() bool { return o.draft && o.isOpen() }

// commonName is that of the certificate.
func (o *order) commonName() string {
	if o.subject != nil {
		return o.subject.displayName
	}
	return o.domain
}

// leafNames are the names of the certificate.
func (o *order) leafNames() authority.Names {
	if o.subject != nil {
		return authority.Names{Emails: []string{o.subject.email}}
	}
	names := authority.Names{DNS: append([]string{o.domain}, o.additional...), IPs: o.hosts}
	if o.www {
		names.DNS = append(names.DNS, "www."+o.domain)
	}
	return names
}

// publicNames are the names of an SSL order after the server's own additions.
// www. is added when autoSecureWww is true, which it is unless the client says
// otherwise.
func wantsWWW(domain string, auto *bool) bool {
	return (auto == nil || *auto) && !strings.HasPrefix(domain, "*.") &&
		!strings.HasPrefix(domain, "www.")
}

// A target is one name of an order whose control must be shown. Apex and
// wildcard share one.
type target struct {
	domain     string
	challenge  *challenge
	verifiedAt time.Time
	method     string // by which it was verified
	caa        caaFinding
}

func newTargets(names authority.Names) []*target {
	var list []*target
	for _, n := range names.DNS {
		base := strings.TrimPrefix(n, "*.")
		if !slices.ContainsFunc(list, func(t *target) bool { return t.domain == base }) {
			list = append(list, &target{domain: base})
		}
	}
	return list
}

// target finds the target for a name of the order; a wildcard is looked up by
// its base domain.
func (o *order) target(domain string) *target {
	base := strings.ToLower(strings.TrimPrefix(domain, "*."))
	i := slices.IndexFunc(o.targets, func(t *target) bool { return t.domain == base })
	if i < 0 {
		return nil
	}
	return o.targets[i]
}

// isBelow reports whether domain is parent or a name below it.
func isBelow(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

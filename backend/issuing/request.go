// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"crypto/x509"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
)

// A Request asks for a certificate.
type Request struct {
	Role string // by name
	// Requester identifies the requester, and is stored with the order: the token's identity entity
	// or, without one, the token's accessor.
	Requester string
	// EntityID is the identity entity that fills in the role's templates. It is empty for tokens
	// without one.
	EntityID string
	// DisplayName is the display name of the requester's token, for whoever has to approve the
	// order, or asks who has placed it.
	DisplayName string
	// VaultID is Vault's id of the request, as its audit log has it.
	VaultID string
	// Owner is who answers for the certificate, and Metadata what else is to be kept with its
	// order, in base64; both as the requester says, and optional. They make it no other request.
	Owner    string
	Metadata string

	// ID is the requester's own name for this request (request_id); optional. The same ID of the
	// same requester always means the same order.
	ID string

	CommonName string
	// Subject holds the fields of the subject that the role leaves to the request, by
	// [SubjectFields].
	Subject  map[string]string
	AltNames []string
	IPSANs   []string
	// CSR is the requester's CSR in PEM. When it is empty, the engine makes the key.
	CSR string
	// ExcludeCNFromSANs is refused unless AltNames holds the common name, too, since CERTInext
	// always puts it among the SANs.
	ExcludeCNFromSANs bool
	// TTL is the wanted lease; the role's when zero. It does not shorten the certificate (ADR
	// 0007).
	TTL time.Duration
	// Renews is the serial number of the certificate to renew, whose names are ordered again.
	// Optional.
	Renews string
	// Draft has CERTInext keep the order as a draft until it is promoted.
	Draft bool
	// ForceNew asks for a certificate that was not delivered before. An open order of the same
	// request is joined all the same (ADR 0020).
	ForceNew bool
}

// RenewalID begins the [Request.ID] that the engine gives to a renewal by a serial number.
const RenewalID = "renew:"

// IsNamed reports whether the requester has given the request a name of its own, so that no other
// request is the same.
func (r *Request) IsNamed() bool {
	return r.ID != "" && (r.Renews == "" || r.ID != RenewalID+r.Renews)
}

// TakeOrdered sets the request's names to those of an earlier order. They may be fewer than those
// of its certificate, to which CERTInext may have added some.
func (r *Request) TakeOrdered(dns []string, ips []net.IP) {
	r.CommonName = ""
	r.AltNames, r.IPSANs = nil, nil
	if len(dns) > 0 {
		r.CommonName, r.AltNames = dns[0], dns[1:]
	}
	for _, ip := range ips {
		r.IPSANs = append(r.IPSANs, ip.String())
	}
}

// TakeNames sets the request's names to those of a certificate.
func (r *Request) TakeNames(cert *x509.Certificate) {
	r.CommonName, r.AltNames = cert.Subject.CommonName, cert.DNSNames
	r.IPSANs = nil
	for _, ip := range cert.IPAddresses {
		if ip.String() != r.CommonName {
			r.IPSANs = append(r.IPSANs, ip.String())
		}
	}
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$`)

// A Plan is what will be ordered for a request under its role. It does not depend on time or
// randomness, so that the same request always has the same fingerprint.
type Plan struct {
	DNSNames []string // the first is the order's domain; none with a Subject only
	IPs      []net.IP
	Subject  Subject // of a document signer or S/MIME certificate, which have no DNSNames and IPs
	variant  string  // of the role, with a Subject
	Key      KeySpec // of the key that the engine makes, or of the CSR's
	CSR      string  // PEM; empty when the engine makes the key
	CSRKey   any     // the CSR's public key; nil when the engine makes the key

	namelessCSR bool // CSR has no common name

	Role    *Role
	Config  *account.Config
	Request Request
	// Identity is the fingerprint of the request. Drafts have fingerprints of their own.
	Identity string
	// legacyIdentity is the fingerprint that earlier versions gave the request. The account's URL
	// was part of it as it was written in config.
	legacyIdentity string
}

// Matches reports whether an order's fingerprint is that of the request.
func (p *Plan) Matches(fingerprint string) bool {
	return fingerprint == p.Identity || fingerprint == p.legacyIdentity
}

// MatchesNamed reports whether an order of a fingerprint can be the order of the request's ID.
// Unlike with [Plan.Matches], a draft and an order of the same request are the same.
func (p *Plan) MatchesNamed(fingerprint string) bool {
	return p.Matches(fingerprint) || p.Matches(DraftPrefix+fingerprint) ||
		p.Matches(strings.TrimPrefix(fingerprint, DraftPrefix))
}

// CommonName returns the expected common name, which CERTInext calls the order's domain.
func (p *Plan) CommonName() string {
	if p.Subject != nil {
		return p.Subject.DisplayName(p.variant)
	}
	return p.DNSNames[0]
}

// NewPlan checks a request against its role, and plans its order. domains are the role's allowed
// domains with templates filled in. subject is that of [FillSubject], and nil for certificates of
// host names. Refusals are of type [*fault.FieldError].
func NewPlan(
	role *Role, cfg *account.Config, domains []string, subject Subject, r Request,
) (*Plan, error) {
	p, checks := Judge(role, cfg, domains, subject, r)
	if err := checks.First(); err != nil {
		return nil, err
	}
	return p, nil
}

// identify gives a plan what it was made of, and its fingerprints.
func (p *Plan) identify(role *Role, cfg *account.Config, r Request) {
	p.Role, p.Config = role, cfg
	p.Request = r
	p.Identity = p.fingerprint(role, cfg.Account(), r.Requester)
	p.legacyIdentity = p.fingerprint(role, cfg.SpelledAccount(), r.Requester)
	if r.Draft {
		p.Identity, p.legacyIdentity = DraftPrefix+p.Identity, DraftPrefix+p.legacyIdentity
	}
}

// mayName returns an error when a role does not allow the names of a request, or its product does
// not take them.
func mayName(role *Role, domains []string, r Request) error {
	p, err := planNames(role, r)
	if err != nil {
		return err
	}
	if err := role.Shape().Fits(p.DNSNames, len(p.IPs)); err != nil {
		return err
	}
	return nameProblems(role, domains, p).First()
}

// nameProblems returns an error for each reason why the role does not allow the names of a plan.
func nameProblems(role *Role, domains []string, p *Plan) (all fault.Fields) {
	if role.AutoSecureWWW && wantsWWW(p.CommonName()) {
		// CERTInext adds www.<common name>, so the role has to allow that name, too.
		more := *p
		more.DNSNames = []string{p.CommonName(), "www." + p.CommonName()}
		all = allowNames(role, domains, &more)
	}
	for _, err := range allowNames(role, domains, p) {
		if !all.Has(err) {
			all.Add(err)
		}
	}
	return all
}

// wantsWWW reports whether auto_secure_www adds a name for an order's domain. It adds none for a
// wildcard, or for a domain that begins with www.
func wantsWWW(domain string) bool {
	return !account.IsWildcard(domain) && !strings.HasPrefix(domain, "www.")
}

// planSubject plans a certificate for a person or an organization. CERTInext uses nothing of its
// CSR but the key.
func planSubject(role *Role, subject Subject, r Request) (*Plan, error) {
	p := &Plan{Subject: subject, variant: role.Variant, Key: role.Key}
	for field, names := range map[string][]string{"alt_names": r.AltNames, "ip_sans": r.IPSANs} {
		if len(NonEmpty(names...)) > 0 {
			return nil, fault.BadField(field,
				"cannot be honoured: a %s certificate is for the subject", role.Variant)
		}
	}
	if cn := strings.TrimSpace(r.CommonName); cn != "" && cn != p.CommonName() {
		return nil, fault.BadField("common_name",
			"is %q for this requester: it follows from subject, and may be left out",
			p.CommonName())
	}
	if r.CSR == "" {
		return p, nil
	}
	csr, err := AdmitCSR(role, subject, r.CSR)
	if err != nil {
		return nil, err
	}
	p.CSR, p.CSRKey, p.Key = csr.PEM, csr.Key, csr.Spec
	return p, nil
}

// planNames plans a certificate for host names, from the request's fields or its CSR.
func planNames(role *Role, r Request) (*Plan, error) {
	requested, err := fieldNames(r)
	if err != nil {
		return nil, err
	}
	p := &Plan{DNSNames: requested.DNSNames, IPs: requested.IPs, Key: role.Key}
	if r.CSR != "" {
		if p, err = planCSR(role, r, requested); err != nil {
			return nil, err
		}
	} else if r.CommonName == "" && role.RequireCN {
		return nil, fault.BadField("common_name", "is required by the role (require_cn)")
	}
	if len(p.DNSNames) == 0 {
		return nil, fault.BadField("common_name", "is required, or a name in alt_names: "+
			"CERTInext's orders are for a host name, beside which ip_sans may stand")
	}
	return p, checkCommonName(role, p)
}

// longestCommonName is the bound of a common name in X.520, ub-common-name in RFC 5280, appendix
// A.1. Vault's PKI engine does not look at it; a public CA has to.
const longestCommonName = 64

// checkCommonName returns an error when the common name of a plan is too long for a certificate.
// CERTInext makes the first name of an order the common name, so the engine does not choose another
// one by itself: the caller would not find the name that he expects.
func checkCommonName(role *Role, p *Plan) error {
	cn := p.CommonName()
	if len(cn) <= longestCommonName {
		return nil
	}
	field, remedy := "common_name", "give a shorter common_name, and this name in alt_names"
	if p.CSR != "" {
		field = "csr"
		remedy = "make a CSR with a shorter one, and with this name among its alternative names"
	}
	if !role.Shape().Multi {
		remedy = "the role's product takes no other name, so use a role with one that takes " +
			"several, and put this one into alt_names beside a shorter common_name"
	}
	return fault.BadField(field, "%q has %d characters, and a common name has at most %d: %s",
		cn, len(cn), longestCommonName, remedy)
}

// Names are the names in a request or a CSR.
type Names struct {
	CommonName string   // empty when there is none
	DNSNames   []string // CommonName first, when there is one; none is repeated
	IPs        []net.IP
}

// fieldNames parses the names in a request's fields.
func fieldNames(r Request) (*Names, error) {
	n := new(Names)
	var err error
	if cn := strings.TrimSpace(r.CommonName); cn != "" {
		if n.CommonName, err = parseDNSName("common_name", cn); err != nil {
			return nil, err
		}
		n.DNSNames = []string{n.CommonName}
	}
	alts, err := SplitDNSNames("alt_names", r.AltNames)
	if err != nil {
		return nil, err
	}
	if r.ExcludeCNFromSANs && n.CommonName != "" && r.CSR == "" &&
		!slices.Contains(alts, n.CommonName) {
		return nil, fault.BadField("exclude_cn_from_sans",
			"cannot be honoured: CERTInext puts the common name among the SANs")
	}
	for _, a := range alts {
		if !slices.Contains(n.DNSNames, a) {
			n.DNSNames = append(n.DNSNames, a)
		}
	}
	n.IPs, err = parseIPs("ip_sans", r.IPSANs)
	return n, err
}

// AllowNames checks every name of a plan against the role's constraints. domains are the role's
// allowed domains with templates filled in. Its error is a [*fault.FieldError].
func AllowNames(role *Role, domains []string, p *Plan) error {
	return allowNames(role, domains, p).First()
}

// mostProblems bounds what is said of the names of one request.
const mostProblems = 100

// allowNames is AllowNames, and returns all errors, up to mostProblems.
func allowNames(role *Role, domains []string, p *Plan) (all fault.Fields) {
	if len(p.IPs) > 0 && !role.AllowIPSANs {
		all.Bad("ip_sans", "the role does not allow IP addresses (allow_ip_sans)")
	}
	if count := len(p.DNSNames) + len(p.IPs); role.MaxNames > 0 && count > role.MaxNames {
		all.Bad("alt_names", "with common_name and ip_sans, the request has %d "+
			"names, and the role allows %d (max_names)", count, role.MaxNames)
	}
	rules := role.rules(domains)
	for i, n := range p.DNSNames {
		if len(all) >= mostProblems {
			break
		}
		field := "alt_names"
		switch {
		case p.CSR != "":
			field = "csr"
		case i == 0:
			field = "common_name"
		}
		all.Add(rules.allow(field, n, role.Shape().Public()))
	}
	return all
}

// rules returns the role's constraints on names. domains are its allowed domains with templates
// filled in.
func (r *Role) rules(domains []string) nameRules {
	return nameRules{
		domains: domains, bare: r.AllowBareDomains, subdomain: r.AllowSubdomains,
		glob: r.AllowGlobDomains, wildcard: r.AllowWildcardCertificates, any: r.AllowAnyName,
	}
}

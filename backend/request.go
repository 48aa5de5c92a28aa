// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"crypto/x509"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A Request asks for a certificate.
type Request struct {
	Role string
	// Requester is who asks, as the order remembers it: the identity entity, else the token's accessor.
	Requester string
	// EntityID fills in the role's templated domains; it may be empty.
	EntityID string

	// ID is the caller's own name for this request. The same requester's same ID always means the same order.
	// Optional.
	ID string

	CommonName string
	// Subject fills in what the role leaves to the request of whom the certificate is for, by [SubjectFields].
	Subject  map[string]string
	AltNames []string
	IPSANs   []string
	// CSR is the caller's PEM CSR. When empty, the engine makes the key.
	CSR string
	// ExcludeCNFromSANs is refused where CERTInext would put the name in all the same.
	ExcludeCNFromSANs bool
	// TTL is the wanted lease; it cannot shorten the certificate. Zero means the role's.
	TTL time.Duration
	// Renews is the serial number of the certificate that this one is to succeed: the names are taken from there.
	Renews string
	// Draft asks CERTInext to keep the order without carrying it out, until it is promoted.
	Draft bool
	// ForceNew asks for a certificate that was not handed over before; an order that is open is joined all the same.
	ForceNew bool
}

// takeOrdered asks for the names that were ordered: CERTInext may have added some of its own.
func (r *Request) takeOrdered(dns []string, ips []net.IP) {
	r.CommonName, r.AltNames, r.IPSANs = "", nil, nil
	if len(dns) > 0 {
		r.CommonName, r.AltNames = dns[0], dns[1:]
	}
	for _, ip := range ips {
		r.IPSANs = append(r.IPSANs, ip.String())
	}
}

// takeNames asks for the names of a certificate.
func (r *Request) takeNames(cert *x509.Certificate) {
	r.CommonName, r.AltNames, r.IPSANs = cert.Subject.CommonName, cert.DNSNames, nil
	for _, ip := range cert.IPAddresses {
		if ip.String() != r.CommonName {
			r.IPSANs = append(r.IPSANs, ip.String())
		}
	}
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$`)

// A plan is what a request comes to under its role: nothing in it depends on time or chance, so that the same request
// gives the same fingerprint.
type plan struct {
	dns     []string // the first is the order's domain
	ips     []net.IP
	subject subject // of a document signer or an S/MIME certificate, which have no dns and ips
	variant string
	key     KeySpec // of the key to be made; that of the CSR when one was given
	csr     string  // PEM; empty when the engine makes the key
	csrKey  any     // the CSR's public key; nil when the engine makes the key

	role    *Role
	config  *account.Config
	request Request
	// identity is equal for the same requester's same request, however it is phrased. A draft has one of its own.
	identity string
	// spelled is the identity that earlier versions gave the request, which had the account's address in it as it was written.
	spelled string
}

// is reports whether a fingerprint is that of the request.
func (p *plan) is(fingerprint string) bool {
	return fingerprint == p.identity || fingerprint == p.spelled
}

// names reports whether an order of a fingerprint, a draft or not, may be the one that the request's own name stands for.
func (p *plan) names(fingerprint string) bool {
	return p.is(fingerprint) || p.is(strings.TrimPrefix(fingerprint, draftPrefix)) || p.is(draftPrefix+fingerprint)
}

// cn returns the common name, which CERTInext calls the order's domain.
func (p *plan) cn() string {
	if p.subject != nil {
		return p.subject.displayName(p.variant)
	}
	if len(p.dns) > 0 {
		return p.dns[0]
	}
	return p.ips[0].String()
}

// makePlan checks a request against its role. domains are the role's allowed domains with templates filled in, subject is
// whom the certificate is for.
func makePlan(role *Role, cfg *account.Config, domains []string, whom subject, r Request) (*plan, error) {
	if r.ID != "" && !requestID.MatchString(r.ID) {
		return nil, fault.BadField("request_id", "must be 1 to 128 letters, digits and . _ : / @ -, beginning with a letter or digit")
	}
	if r.ID != "" && r.ForceNew {
		return nil, fault.BadField("force_new", "does not go with request_id: another name is another request")
	}
	if r.TTL < 0 {
		return nil, fault.BadField("ttl", "must not be negative")
	}
	if r.Draft && role.shape().Family != certinext.FamilySSL {
		return nil, fault.BadField("save_as_draft", "CERTInext keeps no drafts of %s orders", role.shape().Family)
	}
	if role.shape().Vetted() && role.OrderDefaults.Or(cfg.OrderDefaults).OrganizationNumber == "" {
		return nil, fault.BadField("organization_number", "is needed in the role or config: CERTInext takes no %s order without a vetted organization", role.shape().Base)
	}
	if role.ConsentToken != "" && role.ConsentFor != cfg.BaseURL {
		return nil, fault.BadField("consent_token", "was written to the role for %s: write it again for %s", role.ConsentFor, cfg.BaseURL)
	}
	if err := checkSigner(role, cfg); err != nil {
		return nil, err
	}
	if cfg.Version() == certinext.V1 && role.CAProfileID+role.MasterProductID != "" {
		return nil, fault.BadField("ca_profile_id", "of the role cannot be chosen in version 1 of the API, nor can master_product_id: leave them empty")
	}
	p, err := planFor(role, domains, whom, r)
	if err != nil {
		return nil, err
	}
	if p.csr == "" && role.Attested {
		return nil, fault.BadField("csr", "is required: the role's keys come from attested hardware modules (attested), so it only signs")
	}
	if p.csr == "" && p.key.Type == "any" {
		return nil, fault.BadField("key_type", "the role's key_type is any, so it only signs: use sign/%s, or set the role's key_type", role.Name)
	}
	p.role, p.config, p.request = role, cfg, r
	p.identity, p.spelled = p.fingerprint(role, cfg.Account(), r.Requester), p.fingerprint(role, cfg.SpelledAccount(), r.Requester)
	if r.Draft {
		p.identity, p.spelled = draftPrefix+p.identity, draftPrefix+p.spelled
	}
	return p, nil
}

// checkSigner holds the signer of the agreement against what version 1 asks for: a place, and a public address (observed: EMS-1091).
func checkSigner(role *Role, cfg *account.Config) error {
	family := role.shape().Family
	if family == certinext.FamilyPrivatePKI || family != certinext.FamilySMIME && cfg.Version() != certinext.V1 {
		return nil
	}
	d := role.OrderDefaults.Or(cfg.OrderDefaults)
	ip, err := netip.ParseAddr(d.SignerIP)
	switch {
	case d.SignerPlace == "":
		return fault.BadField("signer_place", "is needed in the role or config: version 1 of the API takes no agreement without it")
	case err != nil || !ip.IsGlobalUnicast() || ip.Unmap().IsPrivate():
		return fault.BadField("signer_ip", "has to be a public address, in the role or config: version 1 of the API takes no agreement without one")
	}
	return nil
}

// planFor plans what is to be certified: a subject, or names.
func planFor(role *Role, domains []string, whom subject, r Request) (*plan, error) {
	if whom != nil {
		return planSubject(role, whom, r)
	}
	p, err := planNames(role, r)
	if err != nil {
		return nil, err
	}
	if err := role.shape().Fits(p.dns, len(p.ips)); err != nil {
		return nil, err
	}
	if role.AutoSecureWWW && wantsWWW(p.cn()) {
		// CERTInext adds it, so the role has to allow it, too.
		more := *p
		more.dns = []string{p.cn(), "www." + p.cn()}
		if err := allowNames(role, domains, &more); err != nil {
			return nil, err
		}
	}
	return p, allowNames(role, domains, p)
}

// wantsWWW reports whether CERTInext adds www. to an order's domain where it may: not to a wildcard, and not twice.
func wantsWWW(domain string) bool {
	return !account.IsWildcard(domain) && !strings.HasPrefix(domain, "www.")
}

// planSubject plans a certificate for a person or an organization. CERTInext takes nothing of its CSR but the key.
func planSubject(role *Role, whom subject, r Request) (*plan, error) {
	p := &plan{subject: whom, variant: role.Variant, key: role.Key}
	for field, names := range map[string][]string{"alt_names": r.AltNames, "ip_sans": r.IPSANs} {
		if len(nonEmpty(names...)) > 0 {
			return nil, fault.BadField(field, "cannot be honoured: a %s certificate is for the subject", role.Variant)
		}
	}
	if cn := strings.TrimSpace(r.CommonName); cn != "" && cn != p.cn() {
		return nil, fault.BadField("common_name", "is %q for this requester: it follows from subject, and may be left out", p.cn())
	}
	if r.CSR == "" {
		return p, nil
	}
	csr, key, err := admitCSR(role, r.CSR)
	if err != nil {
		return nil, err
	}
	if len(csr.DNSNames) > 0 || len(csr.IPAddresses) > 0 || len(csr.URIs) > 0 {
		return nil, fault.BadField("csr", "holds host names, which a %s certificate cannot hold", role.Variant)
	}
	p.csr, p.csrKey, p.key = r.CSR, csr.PublicKey, key
	return p, nil
}

// admitCSR parses a CSR whose key suits the role.
func admitCSR(role *Role, text string) (*x509.CertificateRequest, KeySpec, error) {
	csr, err := parseCSR(text)
	if err != nil {
		return nil, KeySpec{}, err
	}
	key, err := specOf(csr.PublicKey)
	if err != nil {
		return nil, KeySpec{}, err
	}
	return csr, key, role.Key.admits(key)
}

// planNames gathers the names of a request, from its fields or its CSR.
func planNames(role *Role, r Request) (*plan, error) {
	asked, err := fieldNames(r)
	if err != nil {
		return nil, err
	}
	p := &plan{dns: asked.dns, ips: asked.ips, key: role.Key}
	if r.CSR != "" {
		if p, err = planCSR(role, r, asked); err != nil {
			return nil, err
		}
	} else if r.CommonName == "" && role.RequireCN {
		return nil, fault.BadField("common_name", "is required by the role (require_cn)")
	}
	if len(p.dns) == 0 && (len(p.ips) == 0 || role.shape().Public()) {
		return nil, fault.BadField("common_name", "is required: the request holds no DNS name")
	}
	return p, nil
}

type names struct {
	cn  string // empty when not given
	dns []string
	ips []net.IP
}

// fieldNames parses the names in a request's fields. The common name comes first.
func fieldNames(r Request) (*names, error) {
	n := new(names)
	var err error
	if cn := strings.TrimSpace(r.CommonName); cn != "" {
		if n.cn, err = parseDNSName("common_name", cn); err != nil {
			return nil, err
		}
		n.dns = []string{n.cn}
	}
	alts, err := splitDNSNames("alt_names", r.AltNames)
	if err != nil {
		return nil, err
	}
	if r.ExcludeCNFromSANs && n.cn != "" && r.CSR == "" && !slices.Contains(alts, n.cn) {
		return nil, fault.BadField("exclude_cn_from_sans", "cannot be honoured: CERTInext puts the common name among the SANs")
	}
	for _, a := range alts {
		if !slices.Contains(n.dns, a) {
			n.dns = append(n.dns, a)
		}
	}
	n.ips, err = parseIPs("ip_sans", r.IPSANs)
	return n, err
}

// planCSR takes the names from a CSR, and refuses fields that say otherwise: the CA would certify the CSR or refuse it,
// never merge the two.
func planCSR(role *Role, r Request, asked *names) (*plan, error) {
	csr, key, err := admitCSR(role, r.CSR)
	if err != nil {
		return nil, err
	}
	inCSR, err := csrNames(csr)
	if err != nil {
		return nil, err
	}
	if inCSR.cn == "" { // whatever require_cn says: nobody but the client can put one in
		return nil, fault.BadField("csr", "has no common name: CERTInext refuses one whose common name is not the order's domain")
	}
	if asked.cn != "" && asked.cn != inCSR.cn {
		return nil, fault.BadField("csr", "its common name is %q, common_name says %q", inCSR.cn, asked.cn)
	}
	for _, n := range asked.dns {
		if !slices.Contains(inCSR.dns, n) {
			return nil, fault.BadField("csr", "does not hold the name %q that the request asks for", n)
		}
	}
	for _, ip := range asked.ips {
		if !slices.ContainsFunc(inCSR.ips, ip.Equal) {
			return nil, fault.BadField("csr", "does not hold the address %s that the request asks for", ip)
		}
	}
	return &plan{dns: inCSR.dns, ips: inCSR.ips, key: key, csr: r.CSR, csrKey: csr.PublicKey}, nil
}

// csrNames parses the names in a CSR. The common name comes first.
func csrNames(csr *x509.CertificateRequest) (*names, error) {
	if len(csr.EmailAddresses) > 0 || len(csr.URIs) > 0 {
		return nil, fault.BadField("csr", "holds e-mail or URI names, which CERTInext does not certify")
	}
	n := &names{ips: csr.IPAddresses}
	var err error
	if cn := csr.Subject.CommonName; cn != "" {
		if n.cn, err = parseDNSName("csr", cn); err != nil {
			return nil, err
		}
		n.dns = []string{n.cn}
	}
	sans, err := splitDNSNames("csr", csr.DNSNames)
	if err != nil {
		return nil, err
	}
	for _, s := range sans {
		if !slices.Contains(n.dns, s) {
			n.dns = append(n.dns, s)
		}
	}
	return n, nil
}

// allowNames holds every name against the role's constraints.
func allowNames(role *Role, domains []string, p *plan) error {
	if len(p.ips) > 0 && !role.AllowIPSANs {
		return fault.BadField("ip_sans", "the role does not allow IP addresses (allow_ip_sans)")
	}
	rules := nameRules{
		domains: domains, bare: role.AllowBareDomains, subdomain: role.AllowSubdomains,
		glob: role.AllowGlobDomains, wildcard: role.AllowWildcardCertificates, any: role.AllowAnyName,
	}
	for i, n := range p.dns {
		field := "alt_names"
		switch {
		case p.csr != "":
			field = "csr"
		case i == 0:
			field = "common_name"
		}
		if err := rules.allow(field, n, role.shape().Public()); err != nil {
			return err
		}
	}
	return nil
}

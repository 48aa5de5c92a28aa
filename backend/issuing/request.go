// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

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

// TakeOrdered asks for the names that were ordered: CERTInext may have added some of its own.
func (r *Request) TakeOrdered(dns []string, ips []net.IP) {
	r.CommonName, r.AltNames, r.IPSANs = "", nil, nil
	if len(dns) > 0 {
		r.CommonName, r.AltNames = dns[0], dns[1:]
	}
	for _, ip := range ips {
		r.IPSANs = append(r.IPSANs, ip.String())
	}
}

// TakeNames asks for the names of a certificate.
func (r *Request) TakeNames(cert *x509.Certificate) {
	r.CommonName, r.AltNames, r.IPSANs = cert.Subject.CommonName, cert.DNSNames, nil
	for _, ip := range cert.IPAddresses {
		if ip.String() != r.CommonName {
			r.IPSANs = append(r.IPSANs, ip.String())
		}
	}
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$`)

// A Plan is what a request comes to under its role: nothing in it depends on time or chance, so that the same request
// gives the same fingerprint.
type Plan struct {
	DNSNames []string // the first is the order's domain
	IPs      []net.IP
	Subject  Subject // of a document signer or an S/MIME certificate, which have no dns and ips
	variant  string
	Key      KeySpec // of the key to be made; that of the CSR when one was given
	CSR      string  // PEM; empty when the engine makes the key
	CSRKey   any     // the CSR's public key; nil when the engine makes the key

	Role    *Role
	Config  *account.Config
	Request Request
	// identity is equal for the same requester's same request, however it is phrased. A draft has one of its own.
	Identity string
	// spelled is the identity that earlier versions gave the request, which had the account's address in it as it was written.
	spelled string
}

// Matches reports whether a fingerprint is that of the request.
func (p *Plan) Matches(fingerprint string) bool {
	return fingerprint == p.Identity || fingerprint == p.spelled
}

// MatchesNamed reports whether an order of a fingerprint, a draft or not, may be the one that the request's own name stands for.
func (p *Plan) MatchesNamed(fingerprint string) bool {
	return p.Matches(fingerprint) || p.Matches(strings.TrimPrefix(fingerprint, DraftPrefix)) || p.Matches(DraftPrefix+fingerprint)
}

// CommonName returns the common name, which CERTInext calls the order's domain.
func (p *Plan) CommonName() string {
	if p.Subject != nil {
		return p.Subject.DisplayName(p.variant)
	}
	if len(p.DNSNames) > 0 {
		return p.DNSNames[0]
	}
	return p.IPs[0].String()
}

// NewPlan checks a request against its role. domains are the role's allowed domains with templates filled in, subject is
// whom the certificate is for.
func NewPlan(role *Role, cfg *account.Config, domains []string, whom Subject, r Request) (*Plan, error) {
	if r.ID != "" && !requestID.MatchString(r.ID) {
		return nil, fault.BadField("request_id", "must be 1 to 128 letters, digits and . _ : / @ -, beginning with a letter or digit")
	}
	if r.ID != "" && r.ForceNew {
		return nil, fault.BadField("force_new", "does not go with request_id: another name is another request")
	}
	if r.TTL < 0 {
		return nil, fault.BadField("ttl", "must not be negative")
	}
	if r.Draft && role.Shape().Family != certinext.FamilySSL {
		return nil, fault.BadField("save_as_draft", "CERTInext keeps no drafts of %s orders", role.Shape().Family)
	}
	if role.Shape().Vetted() && role.OrderDefaults.Or(cfg.OrderDefaults).OrganizationNumber == "" {
		return nil, fault.BadField("organization_number", "is needed in the role or config: CERTInext takes no %s order without a vetted organization", role.Shape().Base)
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
	if p.CSR == "" && role.Attested {
		return nil, fault.BadField("csr", "is required: the role's keys come from attested hardware modules (attested), so it only signs")
	}
	if p.CSR == "" && p.Key.Type == "any" {
		return nil, fault.BadField("key_type", "the role's key_type is any, so it only signs: use sign/%s, or set the role's key_type", role.Name)
	}
	p.Role, p.Config, p.Request = role, cfg, r
	p.Identity, p.spelled = p.fingerprint(role, cfg.Account(), r.Requester), p.fingerprint(role, cfg.SpelledAccount(), r.Requester)
	if r.Draft {
		p.Identity, p.spelled = DraftPrefix+p.Identity, DraftPrefix+p.spelled
	}
	return p, nil
}

// checkSigner holds the signer of the agreement against what version 1 asks for: a place, and a public address (observed: EMS-1091).
func checkSigner(role *Role, cfg *account.Config) error {
	family := role.Shape().Family
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
func planFor(role *Role, domains []string, whom Subject, r Request) (*Plan, error) {
	if whom != nil {
		return planSubject(role, whom, r)
	}
	p, err := planNames(role, r)
	if err != nil {
		return nil, err
	}
	if err := role.Shape().Fits(p.DNSNames, len(p.IPs)); err != nil {
		return nil, err
	}
	if role.AutoSecureWWW && wantsWWW(p.CommonName()) {
		// CERTInext adds it, so the role has to allow it, too.
		more := *p
		more.DNSNames = []string{p.CommonName(), "www." + p.CommonName()}
		if err := AllowNames(role, domains, &more); err != nil {
			return nil, err
		}
	}
	return p, AllowNames(role, domains, p)
}

// wantsWWW reports whether CERTInext adds www. to an order's domain where it may: not to a wildcard, and not twice.
func wantsWWW(domain string) bool {
	return !account.IsWildcard(domain) && !strings.HasPrefix(domain, "www.")
}

// planSubject plans a certificate for a person or an organization. CERTInext takes nothing of its CSR but the key.
func planSubject(role *Role, whom Subject, r Request) (*Plan, error) {
	p := &Plan{Subject: whom, variant: role.Variant, Key: role.Key}
	for field, names := range map[string][]string{"alt_names": r.AltNames, "ip_sans": r.IPSANs} {
		if len(NonEmpty(names...)) > 0 {
			return nil, fault.BadField(field, "cannot be honoured: a %s certificate is for the subject", role.Variant)
		}
	}
	if cn := strings.TrimSpace(r.CommonName); cn != "" && cn != p.CommonName() {
		return nil, fault.BadField("common_name", "is %q for this requester: it follows from subject, and may be left out", p.CommonName())
	}
	if r.CSR == "" {
		return p, nil
	}
	csr, key, err := AdmitCSR(role, r.CSR)
	if err != nil {
		return nil, err
	}
	if len(csr.DNSNames) > 0 || len(csr.IPAddresses) > 0 || len(csr.URIs) > 0 {
		return nil, fault.BadField("csr", "holds host names, which a %s certificate cannot hold", role.Variant)
	}
	p.CSR, p.CSRKey, p.Key = r.CSR, csr.PublicKey, key
	return p, nil
}

// AdmitCSR parses a CSR whose key suits the role.
func AdmitCSR(role *Role, text string) (*x509.CertificateRequest, KeySpec, error) {
	csr, err := ParseCSR(text)
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
func planNames(role *Role, r Request) (*Plan, error) {
	asked, err := fieldNames(r)
	if err != nil {
		return nil, err
	}
	p := &Plan{DNSNames: asked.DNSNames, IPs: asked.IPs, Key: role.Key}
	if r.CSR != "" {
		if p, err = planCSR(role, r, asked); err != nil {
			return nil, err
		}
	} else if r.CommonName == "" && role.RequireCN {
		return nil, fault.BadField("common_name", "is required by the role (require_cn)")
	}
	if len(p.DNSNames) == 0 && (len(p.IPs) == 0 || role.Shape().Public()) {
		return nil, fault.BadField("common_name", "is required: the request holds no DNS name")
	}
	return p, nil
}

// Names are the names that a request or a CSR holds.
type Names struct {
	CommonName string // empty when not given
	DNSNames   []string
	IPs        []net.IP
}

// fieldNames parses the names in a request's fields. The common name comes first.
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
	if r.ExcludeCNFromSANs && n.CommonName != "" && r.CSR == "" && !slices.Contains(alts, n.CommonName) {
		return nil, fault.BadField("exclude_cn_from_sans", "cannot be honoured: CERTInext puts the common name among the SANs")
	}
	for _, a := range alts {
		if !slices.Contains(n.DNSNames, a) {
			n.DNSNames = append(n.DNSNames, a)
		}
	}
	n.IPs, err = parseIPs("ip_sans", r.IPSANs)
	return n, err
}

// planCSR takes the names from a CSR, and refuses fields that say otherwise: the CA would certify the CSR or refuse it,
// never merge the two.
func planCSR(role *Role, r Request, asked *Names) (*Plan, error) {
	csr, key, err := AdmitCSR(role, r.CSR)
	if err != nil {
		return nil, err
	}
	inCSR, err := CSRNames(csr)
	if err != nil {
		return nil, err
	}
	if inCSR.CommonName == "" { // whatever require_cn says: nobody but the client can put one in
		return nil, fault.BadField("csr", "has no common name: CERTInext refuses one whose common name is not the order's domain")
	}
	if asked.CommonName != "" && asked.CommonName != inCSR.CommonName {
		return nil, fault.BadField("csr", "its common name is %q, common_name says %q", inCSR.CommonName, asked.CommonName)
	}
	for _, n := range asked.DNSNames {
		if !slices.Contains(inCSR.DNSNames, n) {
			return nil, fault.BadField("csr", "does not hold the name %q that the request asks for", n)
		}
	}
	for _, ip := range asked.IPs {
		if !slices.ContainsFunc(inCSR.IPs, ip.Equal) {
			return nil, fault.BadField("csr", "does not hold the address %s that the request asks for", ip)
		}
	}
	return &Plan{DNSNames: inCSR.DNSNames, IPs: inCSR.IPs, Key: key, CSR: r.CSR, CSRKey: csr.PublicKey}, nil
}

// CSRNames parses the names in a CSR. The common name comes first.
func CSRNames(csr *x509.CertificateRequest) (*Names, error) {
	if len(csr.EmailAddresses) > 0 || len(csr.URIs) > 0 {
		return nil, fault.BadField("csr", "holds e-mail or URI names, which CERTInext does not certify")
	}
	n := &Names{IPs: csr.IPAddresses}
	var err error
	if cn := csr.Subject.CommonName; cn != "" {
		if n.CommonName, err = parseDNSName("csr", cn); err != nil {
			return nil, err
		}
		n.DNSNames = []string{n.CommonName}
	}
	sans, err := SplitDNSNames("csr", csr.DNSNames)
	if err != nil {
		return nil, err
	}
	for _, s := range sans {
		if !slices.Contains(n.DNSNames, s) {
			n.DNSNames = append(n.DNSNames, s)
		}
	}
	return n, nil
}

// AllowNames holds every name against the role's constraints.
func AllowNames(role *Role, domains []string, p *Plan) error {
	if len(p.IPs) > 0 && !role.AllowIPSANs {
		return fault.BadField("ip_sans", "the role does not allow IP addresses (allow_ip_sans)")
	}
	rules := nameRules{
		domains: domains, bare: role.AllowBareDomains, subdomain: role.AllowSubdomains,
		glob: role.AllowGlobDomains, wildcard: role.AllowWildcardCertificates, any: role.AllowAnyName,
	}
	for i, n := range p.DNSNames {
		field := "alt_names"
		switch {
		case p.CSR != "":
			field = "csr"
		case i == 0:
			field = "common_name"
		}
		if err := rules.allow(field, n, role.Shape().Public()); err != nil {
			return err
		}
	}
	return nil
}

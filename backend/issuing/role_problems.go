// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"net/mail"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Problems returns a [*fault.FieldError] for each setting of r that is wrong. The variant has to be
// resolved before: without it nothing else can be judged, and there is a single problem.
func (r *Role) Problems() fault.Fields {
	if err := r.validateProduct(); err != nil {
		return fault.Fields{err}
	}
	var all fault.Fields
	for _, check := range []func(*fault.Fields){
		r.checkOptions, r.checkTexts, r.checkContacts, r.checkSubject, r.checkNames, r.checkTimes,
		r.checkLimits, r.checkRequesterIn,
	} {
		check(&all)
	}
	for _, check := range []func() error{
		r.Key.Validate, r.validateDNS, r.validateAccess, r.validateApproval,
		r.validateAhead, r.validateRevoked,
	} {
		all.Add(check())
	}
	return all
}

// mostNames is how large [Role.MaxNames] may be.
const mostNames = 1000

// checkLimits checks what limits an order.
func (r *Role) checkLimits(all *fault.Fields) {
	if r.MaxNames < 0 || r.MaxNames > mostNames {
		all.Bad("max_names", "%d is not between 0 (any number) and %d", r.MaxNames, mostNames)
	}
}

// Validate returns the first of the [Role.Problems], or nil.
func (r *Role) Validate() error { return r.Problems().First() }

// validateProduct returns an error unless the role has a name and a product of a known kind.
func (r *Role) validateProduct() error {
	if !RoleName.MatchString(r.Name) {
		return fault.BadField("name",
			"%q is not a role name: use letters and digits, with . _ - between them",
			sanitize.Short(r.Name))
	}
	if r.ProductCode == "" {
		return fault.BadField("product_code", "is required, here or as default_product_code in "+
			"config: a code from the account's catalog (vault read "+
			"<mount>/catalog/products)")
	}
	if _, ok := account.Shapes[r.Variant]; !ok {
		return fault.BadField("product_variant", "%q is not one of %s",
			sanitize.Short(r.Variant), account.Variants())
	}
	family := r.Shape().Family
	if r.Family != "" && r.Family != family {
		return fault.BadField("family", "%q does not fit: the product variant %s belongs to %s",
			sanitize.Short(string(r.Family)), r.Variant, family)
	}
	return nil
}

// checkOptions looks for options that the product does not have.
func (r *Role) checkOptions(all *fault.Fields) {
	family := r.Shape().Family
	if r.CAProfileID+r.MasterProductID != "" && family != certinext.FamilyPrivatePKI {
		all.Bad("ca_profile_id", "and master_product_id are for private PKI, which %s is not",
			r.Variant)
	}
	if r.AllowReissue && family != certinext.FamilySSL {
		all.Bad("allow_reissue", "cannot be honoured: CERTInext reissues SSL certificates only")
	}
	if r.RekeyOrders && family != certinext.FamilySSL {
		all.Bad("rekey_orders", "cannot be honoured: CERTInext reissues SSL certificates only")
	}
	switch {
	case r.Renewal != RenewalOrder && r.Renewal != RenewalReissue:
		all.Bad("renewal", "must be %s or %s", RenewalOrder, RenewalReissue)
	case r.Renewal == RenewalReissue && family != certinext.FamilySSL:
		all.Bad("renewal", "cannot be %s: CERTInext reissues SSL certificates only", RenewalReissue)
	}
	if r.Trust != TrustWarn && r.Trust != TrustRefuse {
		all.Bad("trust", "must be %s or %s", TrustWarn, TrustRefuse)
	}
	if r.ClientFlag != nil && !*r.ClientFlag && !r.Shape().Public() {
		all.Bad("client_flag", "cannot be honoured: the product determines what certificates may "+
			"be used for, and only public ones are known to be for servers alone")
	}
	if r.ValidityYears < 1 || r.ValidityYears > 3 {
		all.Bad("validity_years", "must be 1, 2 or 3")
	}
	if r.AutoSecureWWW && family != certinext.FamilySSL {
		all.Bad("auto_secure_www", "is for SSL products")
	}
	if r.RenewBeforeDays < 0 {
		all.Bad("renew_before_days", "must not be negative")
	}
}

// checkTexts looks for texts that hold what the engine finds its own orders by.
func (r *Role) checkTexts(all *fault.Fields) {
	for _, texts := range []struct {
		field string
		of    []string
	}{
		{"tags", r.Tags}, {"remarks", []string{r.Remarks}},
	} {
		for _, text := range texts.of {
			if strings.Contains(strings.ToLower(text), account.MarkerPrefix) {
				all.Bad(texts.field, "must not contain %q, by which the engine finds its own "+
					"orders", account.MarkerPrefix)
				break
			}
		}
	}
}

// checkContacts looks at the people whom orders name.
func (r *Role) checkContacts(all *fault.Fields) {
	*all = append(*all, r.OrderDefaults.Problems()...)
	for _, address := range r.RecipientEmails {
		if a, err := mail.ParseAddress(address); err != nil || a.Address != address {
			all.Bad("recipient_emails", "%q is not an e-mail address", sanitize.Short(address))
		}
	}
	if (r.Requestor.Name == "") != (r.Requestor.Email == "") {
		all.Bad("requestor_email", "and requestor_name are set together: a role's "+
			"requestor replaces the whole requestor of the config")
	}
	if r.SignerPlace == "" && r.SignerName+r.SignerIP != "" {
		all.Bad("signer_place", "is required with signer_name and signer_ip: a "+
			"role's signer replaces the whole signer of the config")
	}
}

// checkNames looks at the constraints on names.
func (r *Role) checkNames(all *fault.Fields) {
	switch {
	case r.Shape().Personal():
		if r.AllowAnyName || len(r.AllowedDomains) > 0 {
			all.Bad("allowed_domains",
				"is for host names: a %s certificate is for the person or organization in subject",
				r.Variant)
		}
	case r.AllowAnyName && r.Shape().OnlyWildcards() && !r.AllowWildcardCertificates:
		all.Bad("allow_wildcard_certificates", "is off, and the role's product is for wildcard "+
			"names only: no name can be ordered")
	case r.AllowAnyName, len(r.AllowedDomains) > 0:
		r.checkDomains(all)
		all.Add(r.validateUse())
	case r.AllowBareDomains, r.AllowSubdomains, r.AllowGlobDomains:
		all.Bad("allowed_domains", "is empty, so allow_bare_domains, "+
			"allow_subdomains and allow_glob_domains allow nothing")
	}
}

func (r *Role) validateDNS() error {
	if r.DNS.Solver != "" && r.Shape().Family != certinext.FamilySSL {
		return fault.BadField("dcv_solver",
			"has no effect, since %s orders validate no domains: leave it out", r.Variant)
	}
	if err := r.DNS.ValidateFor(r.DCVMethod); err != nil {
		return err
	}
	return r.fileForWildcard()
}

// fileForWildcard returns an error when the domains of a wildcard product are validated by a file.
// For a wildcard name there is no such challenge: the Baseline Requirements (3.2.2.4.18) forbid it,
// and an order that was bought would wait for good.
func (r *Role) fileForWildcard() error {
	s := r.Shape()
	if !s.Public() || !s.Wildcards() || r.DCVMethod != certinext.DCVMethodHTTP {
		return nil
	}
	return fault.BadField("dcv_method", "http-url validates no wildcard name: CERTInext has no "+
		"challenge for one, so an order would be paid and wait for good: set dcv_method=dns-txt "+
		"or email")
}

// checkTimes looks at the durations.
func (r *Role) checkTimes(all *fault.Fields) {
	if r.IssueTimeout < time.Second || r.IssueTimeout > 80*time.Second {
		all.Bad("issue_timeout", "must be between 1s and 80s: Vault's clients give up after 60s, "+
			"its server after 90s")
	}
	if r.DeliveryGrace < 0 || r.DeliveryGrace > time.Hour {
		all.Bad("delivery_grace", "must be between 0s and 1h")
	}
	if window := r.EffectiveReuseWindow(); window < 0 || window > LongestReuse {
		all.Bad("reuse_window",
			"must be between 0, for none, and %dh: the private key is kept for as long",
			int(LongestReuse.Hours()))
	}
	if r.ReuseFor < 0 {
		all.Bad("reuse_for", "must not be negative")
	}
	if r.PickupWindow < time.Minute {
		all.Bad("pickup_window", "must be at least 1m")
	}
	if r.RenewalWindow < 0 {
		all.Bad("renewal_window", "must not be negative")
	}
	if r.RevokeReplacedAfter != 0 && r.RevokeReplacedAfter < time.Minute {
		all.Bad("revoke_replaced_after", "must be 0, for never, or at least 1m")
	}
	if r.RevocationDelay < 0 || r.RevocationDelay > longestRevocationDelay {
		all.Bad("revocation_delay", "must be between 0, for none, and %dh",
			int(longestRevocationDelay.Hours()))
	}
	switch {
	case r.TTL < 0:
		all.Bad("ttl", "must not be negative")
	case r.MaxTTL < 0:
		all.Bad("max_ttl", "must not be negative")
	case r.MaxTTL > 0 && r.TTL > r.MaxTTL:
		all.Bad("ttl", "is longer than max_ttl")
	}
}

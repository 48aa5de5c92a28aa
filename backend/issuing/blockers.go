// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Blockers returns an error about each setting of a role and its config with which CERTInext takes
// no order of the role, whatever is requested. [NewPlan] refuses a request by the first of them.
func Blockers(role *Role, cfg *account.Config) (all fault.Fields) {
	d := role.OrderDefaults.Or(cfg.OrderDefaults)
	if role.Shape().Vetted() && d.OrganizationNumber == "" {
		all.Bad("organization_number", "is required in the role or config: "+
			"CERTInext takes no %s order without a vetted organization", role.Shape().Base)
	}
	if !role.HasConsentFor(cfg) {
		all.Bad("consent_token", "was written to the role for %s: write it again for %s",
			account.Describe(role.ConsentFor), account.Describe(cfg.Account()))
	}
	all.Add(role.fileForWildcard())
	blockSigner(&all, role, d, cfg.Version())
	for _, needed := range []struct{ field, value string }{
		{"requestor_name", d.Requestor.Name}, {"requestor_email", d.Requestor.Email},
	} {
		if strings.TrimSpace(needed.value) == "" {
			all.Bad(needed.field, "is required in the role or config: "+
				"CERTInext takes no order without a requestor")
		}
	}
	if cfg.Version() == certinext.V1 && role.CAProfileID+role.MasterProductID != "" {
		all.Bad("ca_profile_id", "and master_product_id of the role cannot be "+
			"chosen in version 1 of the API: leave both empty")
	}
	all.Add(role.CheckRenewal(cfg))
	return all
}

// Doubts returns an error about each further setting of a role and its config with which CERTInext
// documents that it takes no order. No request is refused for them: what a live service really
// minds is not known of all.
func Doubts(role *Role, cfg *account.Config) fault.Fields {
	d := role.OrderDefaults.Or(cfg.OrderDefaults)
	all := d.Problems()
	if cfg.Version() == certinext.V1 {
		doubtV1(&all, role, d)
	} else if role.Shape().Family == certinext.FamilyPrivatePKI && cfg.ClientID == "" {
		doubtProfile(&all, role)
	}
	return all
}

// blockSigner looks at the signer of the agreement, which private PKI does not have. CERTInext
// takes no agreement without a place (observed). Version 1 of the API, through which S/MIME is
// ordered, too, also demands a public address (observed: EMS-1091).
func blockSigner(
	all *fault.Fields, role *Role, d account.OrderDefaults, version certinext.APIVersion,
) {
	family := role.Shape().Family
	if family == certinext.FamilyPrivatePKI {
		return
	}
	if strings.TrimSpace(d.SignerPlace) == "" {
		all.Bad("signer_place", "is required in the role or config: "+
			"CERTInext takes no order whose agreement was accepted nowhere")
	}
	if family != certinext.FamilySMIME && version != certinext.V1 {
		return
	}
	ip, err := netip.ParseAddr(d.SignerIP)
	if err != nil || !ip.IsGlobalUnicast() || ip.Unmap().IsPrivate() {
		all.Bad("signer_ip", "must be a public address, in the role or config: "+
			"version 1 of the API takes no agreement without one")
	}
}

// doubtProfile looks at what an account with an access key has to say of private PKI (documented;
// optional for accounts with a client id).
func doubtProfile(all *fault.Fields, role *Role) {
	for _, needed := range []struct{ field, value string }{
		{"ca_profile_id", role.CAProfileID}, {"master_product_id", role.MasterProductID},
	} {
		if needed.value == "" {
			all.Bad(needed.field, "is required for private PKI with an access_key")
		}
	}
}

// doubtV1 looks at what version 1 of the API does not take and version 2 does.
func doubtV1(all *fault.Fields, role *Role, d account.OrderDefaults) {
	if !slices.Contains([]string{"", "0", "1", "all"}, strings.ToLower(d.EmailNotifications)) {
		all.Bad("email_notifications", "%q is not 0, for none, 1 or all, as version 1 of the API "+
			"demands, in the role or config", sanitize.Short(d.EmailNotifications))
	}
	if !slices.Contains([]int{0, 30, 60}, role.RenewBeforeDays) {
		all.Bad("renew_before_days", "must be 30 or 60, or 0 for the default, in version 1 of "+
			"the API")
	}
	for _, tag := range role.Tags {
		name, value, _ := strings.Cut(tag, ":")
		if strings.TrimSpace(name) == "" || strings.TrimSpace(value) == "" {
			all.Bad("tags", "%q is not name:value, as version 1 of the API demands",
				sanitize.Short(tag))
		}
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// A Role binds a name to a CERTInext product, and says which names and keys may be ordered under
// it.
type Role struct {
	Name string

	ProductCode string // as in the account's catalog
	// Variant is the product's kind, one of the keys of [account.Shapes]. When a write leaves it
	// empty, the account's catalog decides.
	Variant string
	// Family is the family of the variant. A write that names another one is refused.
	Family certinext.Family
	// Unchecked is set when the catalog could not be asked for the product as the role was written.
	// CheckedFor is the account in whose catalog the product was found, see
	// [account.Config.Account]; empty in roles of earlier versions, and while Unchecked is set.
	Unchecked  bool
	CheckedFor string

	account.OrderDefaults // empty fields are the config's
	// ConsentFor is the account that ConsentToken was written for, see [account.Config.Account]. It
	// is never sent for another one. Roles of earlier versions name its base URL only.
	ConsentFor string
	// ConsentOrganization is the number of the organization that ConsentToken was written for, the
	// role's or config's. It is never sent for another one. Roles of earlier versions have none.
	ConsentOrganization string

	ValidityYears   int               // of the subscription: 1, 2 or 3
	AutoRenew       bool              // by CERTInext
	RenewBeforeDays int               // before its end that CERTInext renews the subscription
	AutoSecureWWW   bool              // have CERTInext add www.<common name>
	CustomFields    map[string]string // by field id
	Tags            []string
	Remarks         string
	RecipientEmails []string
	// RequesterIn are the places in which orders tell CERTInext who asked for them; none when it is
	// empty. See [Role.Tells].
	RequesterIn []string
	// Subject is the person or organization that document signer and S/MIME certificates are for,
	// by [SubjectFields]. Values may be identity templates (ADR 0012).
	Subject map[string]string
	// AllowedSubjectFields are the fields of the subject that a request may fill in; * stands for
	// all.
	AllowedSubjectFields []string
	// Attested vouches that the CSRs of this role's document signers have keys from attested
	// hardware modules. Keys that the engine makes are not, so such a role only signs.
	Attested bool

	CAProfileID     string // private PKI
	MasterProductID string // private PKI

	// DCVMethod is how domains are validated, unless a request names another method.
	DCVMethod certinext.DCVMethod
	// DNS says how the records of dns-txt are published and looked up.
	DNS DNSValidation

	// The constraints on names, with the meaning that they have in Vault's PKI engine.

	AllowedDomains            []string
	AllowedDomainsTemplate    bool // AllowedDomains holds identity templates
	AllowBareDomains          bool
	AllowSubdomains           bool
	AllowGlobDomains          bool
	AllowWildcardCertificates bool
	AllowAnyName              bool
	AllowIPSANs               bool
	RequireCN                 bool
	MaxNames                  int // names and addresses of one certificate; any number when 0
	Key                       KeySpec

	// AllowReissue lets requests reissue the certificate of an issued order (ADR 0013). What
	// CERTInext charges for that is not known.
	AllowReissue bool
	// RekeyOrders lets a CSR with a new key re-key the requester's undelivered order of the same
	// names by a reissue, instead of placing another order (ADR 0019).
	RekeyOrders bool

	// Trust is what becomes of a certificate that clients refuse (ADR 0047).
	Trust Trust

	// ClientFlag says whether the certificates are to authenticate clients; nil until somebody has
	// written it. The product decides, and answers warn where the certificate says otherwise.
	ClientFlag *bool

	// Renewal is how a certificate is succeeded (ADR 0035).
	Renewal RenewBy
	// RevokeReplacedAfter is how long after the hand-over of its replacement by a new order a
	// certificate is revoked (ADR 0041); never when zero.
	RevokeReplacedAfter time.Duration
	// RenewAhead is how long before its renewal is due a certificate's successor is made, and
	// RenewAheadFor how long after the latest answer that held the certificate; zero for as long as
	// it lives (ADR 0040).
	RenewAhead    Ahead
	RenewAheadFor time.Duration
	// ReplaceRevoked has what CERTInext has revoked by itself be replaced before it is asked for
	// (ADR 0050).
	ReplaceRevoked bool

	// OrderAccess says who may act on an order of the role beside operators.
	OrderAccess OrderAccess

	// RequireApproval has each order wait in Vault until another person approves it (ADR 0037).
	RequireApproval bool
	// ApprovalTimeout is how long an order waits for that.
	ApprovalTimeout time.Duration
	// MaxUnapproved is how many orders of the role wait for that at a time, see also
	// [Role.UnapprovedOfOne].
	MaxUnapproved int

	// RenewalWindow is how long before it expires a certificate may be renewed; any time when zero.
	RenewalWindow time.Duration

	// IssueTimeout is how long the paths issue and sign wait for their order.
	IssueTimeout time.Duration
	// DeliveryGrace is how long an order keeps its private key after the certificate was delivered,
	// for a caller that has lost the answer (ADR 0003).
	DeliveryGrace time.Duration
	// ReuseWindow is how long after an answer the same request gets the same certificate again
	// instead of buying another (ADR 0020). It begins again with every answer, and ends
	// [LongestReuse] after the first. Nil stands for DeliveryGrace; zero turns reuse off.
	ReuseWindow *time.Duration
	// Reuse has the same request of the same identity answered with the certificate that it bought,
	// beyond ReuseWindow, until that is to be renewed or ReuseFor is over (ADR 0041).
	Reuse bool
	// ReuseFor is how long after it was issued a certificate is reused; until it is to be renewed
	// when zero.
	ReuseFor time.Duration
	// PickupWindow is how long a certificate that was issued after its request had ended is kept to
	// be fetched. Then its key is erased, and with RevokeUnclaimed the certificate is revoked.
	PickupWindow    time.Duration
	RevokeUnclaimed bool

	GenerateLease bool
	// RevocationDelay is for how long after the end of the last lease the certificate is not
	// revoked yet, so that the same request takes it over (ADR 0028).
	RevocationDelay time.Duration
	TTL             time.Duration // of the lease; the certificate's remaining life when zero
	MaxTTL          time.Duration // of the lease; only the mount's bound when zero
}

// NewRole returns a role with the default of every field but its name.
func NewRole(name string) *Role {
	return &Role{
		Name: name, ValidityYears: 1,
		AllowWildcardCertificates: true, AllowIPSANs: true, RequireCN: true,
		Key: KeySpec{Type: "ec"}, IssueTimeout: 45 * time.Second, DeliveryGrace: 5 * time.Minute,
		PickupWindow: 7 * 24 * time.Hour, GenerateLease: true,
		DCVMethod: certinext.DCVMethodDNS, DNS: NewDNSValidation(), OrderAccess: AccessRequester,
		Renewal:         RenewalOrder,
		Trust:           TrustWarn,
		ApprovalTimeout: DefaultApprovalTimeout, MaxUnapproved: DefaultMaxUnapproved,
	}
}

// An OrderAccess says who may cancel, promote, reissue, renew and revoke what was ordered under a
// role, and upload documents for it. To read, to list and to validate domains is up to the policy.
type OrderAccess string

// Who may act on an order (ADR 0027).
const (
	AccessRequester OrderAccess = "requester" // the requester that placed it
	AccessRole      OrderAccess = "role"      // whoever may use the role's paths
)

func (r *Role) validateAccess() error {
	if r.OrderAccess != AccessRequester && r.OrderAccess != AccessRole {
		return fault.BadField("order_access", "must be %s or %s", AccessRequester, AccessRole)
	}
	return nil
}

// RoleName matches the names that roles and solvers may have.
var RoleName = regexp.MustCompile(`^\w(([\w.-]+)?\w)?$`)

// Shape returns the shape of the role's product variant. Stored roles have a known one.
func (r *Role) Shape() account.Shape { return account.Shapes[r.Variant] }

// Normalize completes a write that has changed before into r. A role without a product gets the
// config's default. The variant and the key size are reset when they belonged to the product or key
// type that the write has replaced. cfg is nil while the mount has no account.
func (r *Role) Normalize(before *Role, cfg *account.Config) {
	if r.Key.Type != before.Key.Type && r.Key.Bits == before.Key.Bits {
		r.Key.Bits = 0 // it was the size of the previous type
	}
	r.Key = r.Key.WithDefaults()
	if r.ProductCode == "" && cfg != nil {
		r.ProductCode = cfg.DefaultProductCode
	}
	if r.ProductCode != before.ProductCode && r.Variant == before.Variant {
		r.Variant = "" // it belonged to the previous product
		if r.Family == before.Family {
			r.Family = ""
		}
	}
}

// OrdersTheSame reports whether r orders what another role does: the product, its custom fields,
// and the group that pays.
func (r *Role) OrdersTheSame(other *Role) bool {
	return r.ProductCode == other.ProductCode && r.Variant == other.Variant &&
		r.Family == other.Family && r.GroupNumber == other.GroupNumber &&
		maps.Equal(r.FieldsAsSent(), other.FieldsAsSent())
}

// NeedsCatalog reports whether the product has yet to be looked up in the catalog of the config's
// account, before anything is ordered under the role (ADR 0014).
func (r *Role) NeedsCatalog(cfg *account.Config) bool {
	return r.Unchecked ||
		(r.CheckedFor != "" && !account.SameAccount(r.CheckedFor, cfg.Account()))
}

// tokenNotGiven stands for a consent token that a write does not set.
const tokenNotGiven certinext.Secret = "\x00"

// ForChange returns a copy of r for a write to change. [Role.BindConsent] has to follow: until
// then, the copy tells a consent token that is given again from one that is not given.
func (r *Role) ForChange() *Role {
	changed := *r
	changed.ConsentToken = tokenNotGiven
	return &changed
}

// BindConsent binds a consent token that a write has given to the account of the config, and
// refuses one while there is no config. cfg is nil then. The warnings say what became of a token
// that was not given again.
func (r *Role) BindConsent(before *Role, cfg *account.Config) (warnings []string, err error) {
	switch {
	case r.ConsentToken == tokenNotGiven:
		return r.keepConsent(before), nil
	case r.ConsentToken == "":
		r.ConsentFor, r.ConsentOrganization = "", ""
	case cfg == nil:
		return nil, fault.BadField("consent_token",
			"needs the config to be written first: the token is for that account only")
	default:
		r.ConsentFor = cfg.Account()
		r.ConsentOrganization = cmp.Or(r.OrganizationNumber, cfg.OrganizationNumber)
	}
	return nil, nil
}

// HasConsentFor reports whether the role's consent token may be sent for an account: it was written
// for that account, or there is none.
func (r *Role) HasConsentFor(cfg *account.Config) bool {
	bound, to := r.ConsentFor, cfg.Account()
	if !strings.Contains(bound, "|") {
		bound, to = bound+"|", cfg.BaseURL+"|"
	}
	return r.ConsentToken == "" || account.SameAccount(bound, to)
}

// keepConsent keeps the consent token of before, unless r names another organization: a token is
// one organization's, and is never sent together with the number of another one. The warnings say
// that it was dropped.
func (r *Role) keepConsent(before *Role) (warnings []string) {
	r.ConsentToken, r.ConsentFor = before.ConsentToken, before.ConsentFor
	r.ConsentOrganization = before.ConsentOrganization
	if r.ConsentToken == "" || r.OrganizationNumber == before.OrganizationNumber {
		return nil
	}
	r.ConsentToken, r.ConsentFor, r.ConsentOrganization = "", "", ""
	return []string{"consent_token: was dropped, since it belongs to the organization that " +
		"organization_number named before: write the token of the new one"}
}

// Warnings returns what is valid in a role and may surprise: what will make its orders fail or
// wait, or end its certificates. cfg is nil while the mount has no account.
func (r *Role) Warnings(cfg *account.Config) []string {
	var out []string
	if r.GenerateLease {
		out = append(out, "generate_lease is on: a certificate is revoked when its last lease "+
			"ends, and a lease ends with the token that it was given to, when the mount is moved "+
			"or disabled, and at the mount's maximum. For clients that never renew leases or "+
			"whose tokens are short-lived, set generate_lease=false")
	}
	if r.AutoRenew {
		out = append(out, "auto_renew is on: CERTInext renews each order by itself before it "+
			"ends, and charges for that, until its certificate is revoked or cancelled. What it "+
			"renews counts under no budget, and nobody approves it")
		out = append(out, r.byCAWarnings()...)
	}
	if r.ClientFlag != nil && *r.ClientFlag && r.Shape().Public() {
		out = append(out, "client_flag is on: certificates of public CAs are more and more for "+
			"servers only. Servers refuse such a one as a client's, and each answer that holds "+
			"it says so. Set client_flag=false where they need not be a client's; for clients, "+
			"use a product whose certificates are for both, such as those of igtf-host")
	}
	out = append(out, r.OrderWarnings()...)
	switch {
	case r.RevocationDelay > 0 && r.GenerateLease:
		out = append(out, fmt.Sprintf("revocation_delay is on: for %s after its last lease has "+
			"ended, a certificate stays valid. What is queued when the mount is disabled is lost "+
			"with its storage, and never revoked", phrase.Duration(r.RevocationDelay)))
	case r.RevocationDelay > 0:
		out = append(out, "revocation_delay has no effect: the role generates no leases")
	}
	out = append(out, r.renewalWarnings()...)
	out = append(out, r.replacedWarnings()...)
	out = append(out, r.reuseWarnings()...)
	out = append(out, r.aheadWarnings()...)
	out = append(out, r.revokedWarnings(cfg)...)
	if cfg != nil && cfg.Version() == certinext.V1 && r.CAProfileID+r.MasterProductID != "" {
		out = append(out, "ca_profile_id and master_product_id cannot be chosen in version 1 "+
			"of the API (api_version): orders of this role are refused until both are empty")
	}
	if cfg != nil && cfg.Version() == certinext.V1 && r.RekeyOrders {
		out = append(out, "rekey_orders has no effect in version 1 of the API (api_version), "+
			"which has no reissue, and refuses a CSR whose key was in an earlier order: sign "+
			"wants a new key for each order, and a new key while an order is open is another "+
			"order")
	}
	return out
}

// OrderWarnings returns the [Role.Warnings] about requests that are refused and orders that wait.
func (r *Role) OrderWarnings() []string {
	var out []string
	if !r.Shape().Personal() && !r.AllowAnyName && len(NonEmpty(r.AllowedDomains...)) == 0 {
		out = append(out, "allowed_domains is empty, and allow_any_name is off: no name can be "+
			"ordered")
	}
	if idle := r.idleDomains(); len(idle) > 0 {
		out = append(out, fmt.Sprintf("allowed_domains: nothing is allowed by %s until "+
			"allow_bare_domains, for itself, or allow_subdomains, for what is below, is set",
			phrase.And(idle...)))
	}
	useless, all := r.useless()
	for _, domain := range useless {
		if !all { // which is an error
			out = append(out, domain.Error())
		}
	}
	if r.Shape().Family == certinext.FamilySignature && !r.Attested {
		out = append(out, "attested is off: CERTInext documents that it accepts a document "+
			"signer's key from an attested hardware module only, and would leave the order "+
			"waiting for another CSR")
	}
	return out
}

// longestRevocationDelay is how long a certificate that nobody has a lease on stays valid at most.
const longestRevocationDelay = 7 * 24 * time.Hour

// EffectiveReuseWindow returns ReuseWindow, or DeliveryGrace when it is nil.
func (r *Role) EffectiveReuseWindow() time.Duration {
	if r.ReuseWindow == nil {
		return r.DeliveryGrace
	}
	return *r.ReuseWindow
}

// LongestReuse is how long after its first answer a certificate is delivered again, however often
// it is requested (ADR 0020). Without it, a broken template that asks every few seconds would keep
// a private key in storage for ever.
const LongestReuse = 24 * time.Hour

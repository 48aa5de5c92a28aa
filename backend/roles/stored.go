// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package roles

import (
	"cmp"
	"maps"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A stored is the stored form of a role.
type stored struct {
	Version         int                    `json:"version"`
	ProductCode     string                 `json:"product_code"`
	Variant         string                 `json:"variant"`
	Unchecked       bool                   `json:"unchecked,omitempty"`
	CheckedFor      string                 `json:"checked_for,omitempty"`
	Defaults        account.StoredDefaults `json:"defaults,omitzero"`
	ConsentFor      string                 `json:"consent_for,omitempty"`
	ConsentOrg      string                 `json:"consent_organization,omitempty"`
	ValidityYears   int                    `json:"validity_years"`
	AutoRenew       bool                   `json:"auto_renew,omitempty"`
	RenewBeforeDays int                    `json:"renew_before_days,omitempty"`
	AutoSecureWWW   bool                   `json:"auto_secure_www,omitempty"`
	CustomFields    map[string]string      `json:"custom_fields,omitempty"`
	Tags            []string               `json:"tags,omitempty"`
	Remarks         string                 `json:"remarks,omitempty"`
	RecipientEmails []string               `json:"recipient_emails,omitempty"`
	RequesterIn     []string               `json:"requester_in,omitempty"`
	CAProfileID     string                 `json:"ca_profile_id,omitempty"`
	MasterProductID string                 `json:"master_product_id,omitempty"`
	DCVMethod       certinext.DCVMethod    `json:"dcv_method"`
	DNS             issuing.StoredDNS      `json:"dns,omitzero"`

	Subject              map[string]string `json:"subject,omitempty"`
	AllowedSubjectFields []string          `json:"allowed_subject_fields,omitempty"`
	Attested             bool              `json:"attested,omitempty"`

	AllowedDomains            []string `json:"allowed_domains,omitempty"`
	AllowedDomainsTemplate    bool     `json:"allowed_domains_template,omitempty"`
	AllowBareDomains          bool     `json:"allow_bare_domains,omitempty"`
	AllowSubdomains           bool     `json:"allow_subdomains,omitempty"`
	AllowGlobDomains          bool     `json:"allow_glob_domains,omitempty"`
	AllowWildcardCertificates bool     `json:"allow_wildcard_certificates"`
	AllowAnyName              bool     `json:"allow_any_name,omitempty"`
	AllowIPSANs               bool     `json:"allow_ip_sans"`
	RequireCN                 bool     `json:"require_cn"`
	KeyType                   string   `json:"key_type"`
	KeyBits                   int      `json:"key_bits"`
	MaxNames                  int      `json:"max_names,omitempty"`

	AllowReissue bool `json:"allow_reissue,omitempty"`
	RekeyOrders  bool `json:"rekey_orders,omitempty"`
	// OrderAccess is empty in entries of earlier versions, whose orders were everybody's.
	OrderAccess     issuing.OrderAccess `json:"order_access,omitempty"`
	RequireApproval bool                `json:"require_approval,omitempty"`
	ApprovalTimeout time.Duration       `json:"approval_timeout,omitempty"` // nanoseconds
	Trust           issuing.Trust       `json:"trust,omitempty"`
	ClientFlag      *bool               `json:"client_flag,omitempty"`
	MaxUnapproved   int                 `json:"max_unapproved,omitempty"`
	Renewal         issuing.RenewBy     `json:"renewal,omitempty"`
	RevokeReplaced  time.Duration       `json:"revoke_replaced_after,omitempty"`
	RenewAhead      issuing.Ahead       `json:"renew_ahead,omitempty"`
	RenewAheadFor   time.Duration       `json:"renew_ahead_for,omitempty"` // nanoseconds
	ReplaceRevoked  bool                `json:"replace_revoked,omitempty"`
	RenewalWindow   time.Duration       `json:"renewal_window,omitempty"` // nanoseconds
	IssueTimeout    time.Duration       `json:"issue_timeout"`            // nanoseconds
	DeliveryGrace   time.Duration       `json:"delivery_grace"`           // nanoseconds
	ReuseWindow     *time.Duration      `json:"reuse_window,omitempty"`   // or DeliveryGrace
	Reuse           bool                `json:"reuse,omitempty"`
	ReuseFor        time.Duration       `json:"reuse_for,omitempty"` // nanoseconds
	PickupWindow    time.Duration       `json:"pickup_window"`       // nanoseconds
	RevokeUnclaimed bool                `json:"revoke_unclaimed,omitempty"`
	GenerateLease   bool                `json:"generate_lease"`
	TTL             time.Duration       `json:"ttl,omitempty"`     // nanoseconds
	MaxTTL          time.Duration       `json:"max_ttl,omitempty"` // nanoseconds
	RevocationDelay time.Duration       `json:"revocation_delay,omitempty"`
}

// newStored returns the stored form of r.
func newStored(r *issuing.Role) *stored {
	return &stored{
		Version: 1, ProductCode: r.ProductCode, Variant: r.Variant,
		Unchecked: r.Unchecked, CheckedFor: r.CheckedFor,
		Defaults: account.NewStoredDefaults(r.OrderDefaults), ConsentFor: r.ConsentFor,
		ConsentOrg:    r.ConsentOrganization,
		ValidityYears: r.ValidityYears, AutoRenew: r.AutoRenew,
		RenewBeforeDays: r.RenewBeforeDays, AutoSecureWWW: r.AutoSecureWWW,
		CustomFields: maps.Clone(r.CustomFields), Tags: r.Tags, Remarks: r.Remarks,
		RecipientEmails: r.RecipientEmails, RequesterIn: r.RequesterIn,
		CAProfileID:     r.CAProfileID,
		MasterProductID: r.MasterProductID, DCVMethod: r.DCVMethod, DNS: issuing.StoredDNS(r.DNS),

		Subject: maps.Clone(r.Subject), AllowedSubjectFields: r.AllowedSubjectFields,
		Attested: r.Attested,

		AllowedDomains: r.AllowedDomains, AllowedDomainsTemplate: r.AllowedDomainsTemplate,
		AllowBareDomains: r.AllowBareDomains, AllowSubdomains: r.AllowSubdomains,
		AllowGlobDomains: r.AllowGlobDomains, AllowAnyName: r.AllowAnyName,
		AllowWildcardCertificates: r.AllowWildcardCertificates, AllowIPSANs: r.AllowIPSANs,
		RequireCN: r.RequireCN, KeyType: r.Key.Type, KeyBits: r.Key.Bits,
		MaxNames: r.MaxNames,

		AllowReissue: r.AllowReissue, RekeyOrders: r.RekeyOrders, OrderAccess: r.OrderAccess,
		Renewal: r.Renewal, RenewalWindow: r.RenewalWindow, IssueTimeout: r.IssueTimeout,
		Trust:          r.Trust,
		ClientFlag:     r.ClientFlag,
		RevokeReplaced: r.RevokeReplacedAfter, Reuse: r.Reuse, ReuseFor: r.ReuseFor,
		RenewAhead: r.RenewAhead, RenewAheadFor: r.RenewAheadFor,
		ReplaceRevoked: r.ReplaceRevoked,
		DeliveryGrace:  r.DeliveryGrace, ReuseWindow: r.ReuseWindow,
		PickupWindow: r.PickupWindow, RevokeUnclaimed: r.RevokeUnclaimed,
		GenerateLease: r.GenerateLease, TTL: r.TTL, MaxTTL: r.MaxTTL,
		RevocationDelay: r.RevocationDelay,
		RequireApproval: r.RequireApproval, ApprovalTimeout: r.ApprovalTimeout,
		MaxUnapproved: r.MaxUnapproved,
	}
}

// role returns the role that was stored under name; nil when s is.
func (s *stored) role(name string) *issuing.Role {
	if s == nil {
		return nil
	}
	return &issuing.Role{
		Name: name, ProductCode: s.ProductCode, Variant: s.Variant,
		Family:    account.Shapes[s.Variant].Family,
		Unchecked: s.Unchecked, CheckedFor: s.CheckedFor,
		OrderDefaults: s.Defaults.Defaults(), ConsentFor: s.ConsentFor,
		ConsentOrganization: s.ConsentOrg,
		ValidityYears:       s.ValidityYears, AutoRenew: s.AutoRenew,
		RenewBeforeDays: s.RenewBeforeDays, AutoSecureWWW: s.AutoSecureWWW,
		CustomFields: s.CustomFields, Tags: s.Tags, Remarks: s.Remarks,
		RecipientEmails: s.RecipientEmails, RequesterIn: s.RequesterIn,
		CAProfileID:     s.CAProfileID,
		MasterProductID: s.MasterProductID, DCVMethod: s.DCVMethod, DNS: s.DNS.Validation(),

		Subject: s.Subject, AllowedSubjectFields: s.AllowedSubjectFields, Attested: s.Attested,

		AllowedDomains: s.AllowedDomains, AllowedDomainsTemplate: s.AllowedDomainsTemplate,
		AllowBareDomains: s.AllowBareDomains, AllowSubdomains: s.AllowSubdomains,
		AllowGlobDomains: s.AllowGlobDomains, AllowAnyName: s.AllowAnyName,
		AllowWildcardCertificates: s.AllowWildcardCertificates, AllowIPSANs: s.AllowIPSANs,
		RequireCN: s.RequireCN, Key: issuing.KeySpec{Type: s.KeyType, Bits: s.KeyBits},
		MaxNames: s.MaxNames,

		AllowReissue: s.AllowReissue, RekeyOrders: s.RekeyOrders,
		OrderAccess:   cmp.Or(s.OrderAccess, issuing.AccessRole),
		Renewal:       cmp.Or(s.Renewal, issuing.RenewalOrder),
		Trust:         cmp.Or(s.Trust, issuing.TrustWarn),
		ClientFlag:    s.ClientFlag,
		RenewalWindow: s.RenewalWindow, IssueTimeout: s.IssueTimeout,
		RevokeReplacedAfter: s.RevokeReplaced, Reuse: s.Reuse, ReuseFor: s.ReuseFor,
		RenewAhead: s.RenewAhead, RenewAheadFor: s.RenewAheadFor,
		ReplaceRevoked: s.ReplaceRevoked,
		DeliveryGrace:  s.DeliveryGrace, ReuseWindow: s.ReuseWindow,
		PickupWindow: s.PickupWindow, RevokeUnclaimed: s.RevokeUnclaimed,
		GenerateLease: s.GenerateLease, TTL: s.TTL, MaxTTL: s.MaxTTL,
		RevocationDelay: s.RevocationDelay,
		RequireApproval: s.RequireApproval,
		ApprovalTimeout: cmp.Or(s.ApprovalTimeout, issuing.DefaultApprovalTimeout),
		MaxUnapproved:   cmp.Or(s.MaxUnapproved, issuing.DefaultMaxUnapproved),
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A placement is what CERTInext is asked for. It holds no secret.
type placement struct {
	Family             certinext.Family        `json:"family"`
	ProductCode        string                  `json:"product_code"`
	Variant            string                  `json:"variant"`
	DNSNames           []string                `json:"dns_names,omitempty"`
	IPs                []net.IP                `json:"ips,omitempty"`
	Subject            issuing.Subject         `json:"subject,omitempty"`
	Attested           bool                    `json:"attested,omitempty"`
	KeyType            string                  `json:"key_type"`
	GroupNumber        string                  `json:"group_number,omitempty"`
	OrganizationNumber string                  `json:"organization_number,omitempty"`
	ValidityYears      int                     `json:"validity_years"`
	AutoRenew          bool                    `json:"auto_renew,omitempty"`
	AutoSecureWWW      bool                    `json:"auto_secure_www,omitempty"`
	RenewBeforeDays    int                     `json:"renew_before_days,omitempty"`
	CustomFields       map[string]string       `json:"custom_fields,omitempty"`
	Tags               []string                `json:"tags,omitempty"`
	Remarks            string                  `json:"remarks"`
	RecipientEmails    []string                `json:"recipient_emails,omitempty"`
	CAProfileID        string                  `json:"ca_profile_id,omitempty"`
	MasterProductID    string                  `json:"master_product_id,omitempty"`
	Requestor          account.StoredContact   `json:"requestor"`
	TechnicalContact   account.StoredContact   `json:"technical_contact,omitzero"`
	Delegation         account.StoredContact   `json:"delegation,omitzero"`
	SignerName         string                  `json:"signer_name,omitempty"`
	SignerPlace        string                  `json:"signer_place,omitempty"`
	SignerIP           string                  `json:"signer_ip,omitempty"`
	EmailNotifications string                  `json:"email_notifications,omitempty"`
	AccountingModel    account.AccountingModel `json:"accounting_model,omitempty"`
	IdempotencyKey     string                  `json:"idempotency_key"`
	// Keyless is set once the order is sent through version 1 of the API, which has no
	// Idempotency-Key.
	Keyless bool `json:"keyless,omitempty"`
}

// names returns what the certificate is for, the common name first. There is at least one.
func (p *placement) names() []string {
	if p.Subject != nil {
		return []string{p.Subject.DisplayName(p.Variant)}
	}
	out := append([]string(nil), p.DNSNames...)
	for _, ip := range p.IPs {
		out = append(out, ip.String())
	}
	return out
}

// newPlacement makes the placement of a plan, under a role and the order defaults d. told is what
// CERTInext is told beside the certificate, and the key is the order's random one.
func newPlacement(
	role *issuing.Role, d account.OrderDefaults, p *issuing.Plan, told issuing.Told, key string,
) placement {
	signer := d.SignerName
	if signer == "" {
		signer = d.Requestor.Name
	}
	return placement{
		Family:             role.Shape().Family,
		ProductCode:        role.ProductCode,
		Variant:            role.Variant,
		DNSNames:           p.DNSNames,
		IPs:                p.IPs,
		Subject:            p.Subject,
		Attested:           role.Attested,
		KeyType:            p.Key.Type,
		GroupNumber:        d.GroupNumber,
		OrganizationNumber: d.OrganizationNumber,
		ValidityYears:      role.ValidityYears,
		AutoRenew:          role.AutoRenew,
		AutoSecureWWW:      role.AutoSecureWWW,
		RenewBeforeDays:    role.RenewBeforeDays,
		CustomFields:       told.CustomFields,
		Tags:               told.Tags,
		Remarks:            remarks(told.Remarks, key),
		RecipientEmails:    role.RecipientEmails,
		CAProfileID:        role.CAProfileID,
		MasterProductID:    role.MasterProductID,
		Requestor:          account.StoredContact(d.Requestor),
		TechnicalContact:   account.StoredContact(d.TechnicalContact),
		Delegation:         account.StoredContact(d.Delegation),
		SignerName:         signer,
		SignerPlace:        d.SignerPlace,
		SignerIP:           d.SignerIP,
		EmailNotifications: d.EmailNotifications,
		AccountingModel:    d.AccountingModel,
		IdempotencyKey:     key,
	}
}

// remarks returns what CERTInext's portal shows with the order: what it is told, and the marker.
// CERTInext refuses semicolons in other notes, so there are none here either.
func remarks(told, key string) string {
	if told == "" {
		return markerOf(key)
	}
	return strings.ReplaceAll(told, ";", ",") + " " + markerOf(key)
}

// orderRequest returns the order in the client's terms. Repeated calls return the same, except for
// the consent token, which must not be stored with an order.
func (o *orderEntry) orderRequest(
	consent account.Secret, version certinext.APIVersion,
) certinext.OrderRequest {
	p := o.Placement
	r := certinext.OrderRequest{
		Family:             p.Family,
		ProductCode:        p.ProductCode,
		Variant:            account.Shapes[p.Variant].Base,
		Subject:            p.Subject.Client(),
		Attested:           p.Attested,
		Requestor:          certinext.Contact(p.Requestor),
		GroupNumber:        p.GroupNumber,
		ValidityYears:      p.ValidityYears,
		AutoRenew:          p.AutoRenew,
		RenewBeforeDays:    p.RenewBeforeDays,
		AutoSecureWWW:      p.AutoSecureWWW,
		EmailNotifications: p.EmailNotifications,
		AccountingModel:    p.AccountingModel,
		RecipientEmails:    p.RecipientEmails,
		CustomFields:       p.customFields(),
		Tags:               append([]string{o.marker()}, p.Tags...),
		Remarks:            p.Remarks,
		CAProfileID:        p.CAProfileID,
		MasterProductID:    p.MasterProductID,
		IdempotencyKey:     p.IdempotencyKey,
	}
	if p.TechnicalContact != (account.StoredContact{}) {
		tc := certinext.Contact(p.TechnicalContact)
		r.TechnicalContact = &tc
	}
	if p.Delegation != (account.StoredContact{}) {
		second := certinext.Contact(p.Delegation)
		r.Delegation = &second
	}
	if p.Subject == nil {
		names := p.names()
		r.Domain, r.AdditionalDomains = names[0], names[1:]
	}
	if p.Family != certinext.FamilySignature {
		// A signer's CSR is submitted once its documents are there: only then can it be attested.
		r.CSR = o.CSR
	}
	if p.Family != certinext.FamilyPrivatePKI {
		r.Agreement = p.agreement()
	}
	// A repeated create must say the same as the first one: asked for a draft, it stays one
	// whatever number CERTInext gave for it, since asking for an order instead would buy one.
	r.SaveAsDraft = o.Draft || o.NotDraft
	if !r.SaveAsDraft && o.PromotionKey != "" {
		r.RequestID, r.IdempotencyKey = cmp.Or(o.DraftRequestID, o.CARequestID), o.PromotionKey
	}
	switch {
	case account.Shapes[p.Variant].Vetted(),
		p.Subject["organization_name"] != "" && p.OrganizationNumber != "":
		r.Organization = &certinext.OrganizationRef{
			Number: p.OrganizationNumber, ConsentToken: consent,
		}
	case version == certinext.V1 && p.Family == certinext.FamilySSL && p.OrganizationNumber != "":
		// The organization's validated domains count for a DV order with its number (documented for
		// version 1), which needs no consent.
		r.Organization = &certinext.OrganizationRef{Number: p.OrganizationNumber}
	}
	return r
}

// agreement returns the acceptance of the subscriber agreement in the name of the signer.
func (p *placement) agreement() *certinext.Agreement {
	return &certinext.Agreement{
		SignerName:  p.SignerName,
		SignerPlace: p.SignerPlace,
		SignerIP:    p.SignerIP,
		Accepted:    true,
	}
}

// customFields returns the custom fields in the client's terms, sorted by their ids.
func (p *placement) customFields() []certinext.CustomField {
	var out []certinext.CustomField
	for _, id := range slices.Sorted(maps.Keys(p.CustomFields)) {
		out = append(out, certinext.CustomField{FieldID: id, Value: p.CustomFields[id]})
	}
	return out
}

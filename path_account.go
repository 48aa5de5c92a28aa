// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathAccount() []*framework.Path {
	return []*framework.Path{
		{
			Pattern: "account$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readAccount,
					"Read the identity under which CERTInext knows this mount.",
					"read", "account", accountFields()),
			},
			HelpSynopsis: "The account, as CERTInext knows it.",
			HelpDescription: "Asks CERTInext which account the credentials belong to. To find " +
				"out why an account does not work, read config/check.",
		},
		{
			Pattern: "groups/?$",
			Fields:  windowFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readGroups,
					"Read the billing groups.",
					"read", "groups",
					merge(totalField(), pageFields("groups", groupsHelp))),
			},
			HelpSynopsis: "The account's billing groups.",
			HelpDescription: "Orders are charged to the default group, unless the config or the " +
				"role sets group_number. CERTInext reports balances without a currency.",
		},
		{
			Pattern: "organizations/?$",
			Fields:  windowFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readOrganizations,
					"Read the organizations.",
					"read", "organizations",
					merge(totalField(), pageFields("organizations", organizationsHelp))),
			},
			HelpSynopsis: "The organizations that the account may order for.",
			HelpDescription: "OV and EV orders need a vetted organization, which " +
				"organization_number in the role or the config names. The same legal entity may " +
				"be listed under several numbers, one for each kind of validation.",
		},
		{
			Pattern: "organizations/" + framework.GenericNameRegex("number") + "$",
			Fields: map[string]*framework.FieldSchema{
				"number": {
					Type: framework.TypeString, Required: true,
					Description: "Number of the organization.",
				},
			},
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readOrganization,
					"Read an organization.",
					"read", "organization", organizationFields()),
			},
			HelpSynopsis: "An organization that the account may order for.",
			HelpDescription: "Returns everything that CERTInext reports about an organization, " +
				"including the domains that are validated for it.",
		},
	}
}

// accountFields are the answer of account.
func accountFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"account_number": {
			Type:        framework.TypeString,
			Description: "Account that the credentials belong to.",
		},
		"auth_type": {
			Type:        framework.TypeString,
			Description: "Kind of credential, in CERTInext's words.",
		},
		"account_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's internal id of the account; often empty.",
		},
		"account_user_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's internal id of the user; often empty.",
		},
	}
}

func organizationFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"organization_number": {
			Type: framework.TypeString,
			Description: "Number of the organization, for organization_number of a role or the " +
				"config.",
		},
		"name":     {Type: framework.TypeString, Description: "Legal name."},
		"street_1": {Type: framework.TypeString, Description: "Street."},
		"street_2": {Type: framework.TypeString, Description: "Street, continued."},
		"locality": {Type: framework.TypeString, Description: "City or town."},
		"state":    {Type: framework.TypeString, Description: "State or province."},
		"state_code": {
			Type:        framework.TypeString,
			Description: "Code of the state or province.",
		},
		"postal_code": {Type: framework.TypeString, Description: "Postal code."},
		"country": {
			Type:        framework.TypeString,
			Description: "Country, ISO 3166-1 alpha-2.",
		},
		"status_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's code for the status of the organization.",
		},
		"pre_vetted": {
			Type: framework.TypeBool,
			Description: "Whether it was vetted before it was ordered for; null when CERTInext " +
				"does not say.",
		},
		"business_category_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's code for the business category.",
		},
		"validation_for": {
			Type:        framework.TypeStringSlice,
			Description: "What it is vetted for: ov, ev, smime.",
		},
		"validation_status_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's code for the status of the vetting, 0 to 5.",
		},
		"domains": {
			Type:        framework.TypeStringSlice,
			Description: "Domains that are validated for it.",
		},
		"representatives": {
			Type: framework.TypeSlice,
			Description: "Representatives, each with representative_number, name, email, phone " +
				"and designation.",
		},
		"agreement_signed": {
			Type: framework.TypeBool,
			Description: "Whether the subscriber agreement is signed; null when CERTInext does " +
				"not say.",
		},
		"agreement_signer": {
			Type:        framework.TypeString,
			Description: "Person who signed the subscriber agreement.",
		},
		"agreement_signed_at": {
			Type:        framework.TypeString,
			Description: "When the agreement was signed, in RFC 3339.",
		},
	}
}

func (b *secretsBackend) readAccount(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	me, err := b.engine.Account.Identity(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"account_number":  me.Number,
		"auth_type":       me.AuthType,
		"account_id":      me.ID,
		"account_user_id": me.UserID,
	}}, nil
}

func (b *secretsBackend) readGroups(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	page, err := b.engine.Account.Groups(ctx, req.Storage, window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("groups", page, encodeGroup), nil
}

func encodeGroup(g backend.Group) map[string]any {
	organizations := make([]map[string]any, 0, len(g.Organizations))
	for _, o := range g.Organizations {
		organizations = append(organizations, map[string]any{
			"organization_number": o.Number,
			"name":                o.Name,
			"validation_for":      validations(o.ValidationFor),
		})
	}
	return map[string]any{
		"group_number":    g.Number,
		"name":            g.Name,
		"default":         g.Default,
		"own_balance":     g.OwnBalance,
		"account_balance": amount(g.AccountBalance),
		"group_balance":   amount(g.GroupBalance),
		"organizations":   organizations,
	}
}

// validations decodes CERTInext's number for what an organization is vetted for. Vetting for EV
// includes OV.
func validations(number string) []string {
	switch number {
	case "":
		return []string{}
	case "1":
		return []string{"ov"}
	case "2":
		return []string{"ov", "ev"}
	case "3":
		return []string{"smime"}
	}
	return []string{number}
}

func (b *secretsBackend) readOrganizations(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	page, err := b.engine.Account.Organizations(ctx, req.Storage, window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("organizations", page, encodeOrganizationRow), nil
}

func encodeOrganizationRow(o backend.Organization) map[string]any {
	return map[string]any{
		"organization_number": o.Number,
		"name":                o.Name,
		"locality":            o.Locality,
		"country":             o.CountryCode,
		"postal_code":         o.PostalCode,
		"status_id":           o.StatusID,
		"pre_vetted":          known(o.PreVetted),
	}
}

// known encodes a bool that CERTInext may omit: nil stands for unknown.
func known(v *bool) any {
	if v == nil {
		return nil
	}
	return *v
}

func (b *secretsBackend) readOrganization(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	o, err := b.engine.Account.Organization(ctx, req.Storage, d.Get("number").(string))
	if err != nil || o == nil {
		return nil, err
	}
	return &logical.Response{Data: encodeOrganization(o)}, nil
}

func encodeOrganization(o *backend.Organization) map[string]any {
	representatives := make([]map[string]any, 0, len(o.Representatives))
	for _, r := range o.Representatives {
		representatives = append(representatives, map[string]any{
			"representative_number": r.Number,
			"name":                  r.Name,
			"email":                 r.Email,
			"phone":                 r.Phone,
			"designation":           r.Designation,
		})
	}
	data := encodeOrganizationRow(*o)
	for field, v := range map[string]any{
		"street_1":             o.StreetAddress1,
		"street_2":             o.StreetAddress2,
		"state":                o.StateName,
		"state_code":           o.StateCode,
		"business_category_id": o.BusinessCategoryID,
		"validation_for":       validations(o.ValidationFor),
		"validation_status_id": o.ValidationStatusID,
		"domains":              append([]string{}, o.Domains...),
		"representatives":      representatives,
		"agreement_signed":     known(o.AgreementSigned),
		"agreement_signer":     o.AgreementSigner,
		"agreement_signed_at":  rfc3339(o.AgreementSignedAt),
	} {
		data[field] = v
	}
	return data
}

const groupsHelp = "Groups, each with group_number, name, default, own_balance (if false, orders " +
	"are charged to the account's balance), account_balance, group_balance, and organizations, " +
	"each with organization_number, name and validation_for."

const organizationsHelp = "Organizations, each with organization_number, name, locality, " +
	"country, postal_code, status_id and pre_vetted."

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import "github.com/hashicorp/vault/sdk/framework"

func orderFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"order_id": {
			Type:        framework.TypeString,
			Description: "Id of the order in this mount.",
		},
		"ca_order_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's order number; empty until it is known.",
		},
		"ca_request_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's request number, by which its portal identifies a draft.",
		},
		"role": {
			Type:        framework.TypeString,
			Description: "Role under which the order was placed.",
		},
		"state": {
			Type: framework.TypeString,
			Description: "approval, placing, unresolved, draft, pending, issued, held, " +
				"cancelled, rejected, expired, revoked, replaced, unclaimed or failed.",
		},
		"ca_status": {
			Type:        framework.TypeString,
			Description: "CERTInext's status of the order, e.g. pending-dcv or issued.",
		},
		"ca_state": {
			Type:        framework.TypeString,
			Description: "Status as CERTInext displays it.",
		},
		"request_id": {
			Type:        framework.TypeString,
			Description: "request_id of the request that placed the order.",
		},
		"common_name": {Type: framework.TypeString, Description: "Common name."},
		"names": {
			Type:        framework.TypeStringSlice,
			Description: "All names, the common name first.",
		},
		"product_code": {Type: framework.TypeString, Description: "Product that was ordered."},
		"serial_number": {
			Type:        framework.TypeString,
			Description: "Serial number of the certificate, once issued.",
		},
		"delivered": {
			Type:        framework.TypeBool,
			Description: "Whether the certificate was delivered.",
		},
		"waits_for": {
			Type: framework.TypeString,
			Description: "Party that has to act next: certinext, dcv-solver, domain-owner, " +
				"organization, approver (of the CERTInext account), vault-approver (at " +
				"approvals/<role>/<id>), requester or operator; empty when the order is over.",
		},
		"needs": {
			Type:        framework.TypeStringSlice,
			Description: "What has to happen next, e.g. the TXT record to publish.",
		},
		"last_error": {Type: framework.TypeString, Description: "The last failure."},
		"created_at": {
			Type:        framework.TypeString,
			Description: "When the order was created, in RFC 3339.",
		},
		"updated_at": {
			Type:        framework.TypeString,
			Description: "When the order was last updated, in RFC 3339.",
		},
		"requester_entity_id": {
			Type: framework.TypeString,
			Description: "Identity entity of the token that asked for the order; empty for a " +
				"token without one.",
		},
		"requester_entity_name": {
			Type:        framework.TypeString,
			Description: "Name of that entity at that time.",
		},
		"requester_display_name": {
			Type:        framework.TypeString,
			Description: "Display name of that token.",
		},
		"vault_request_id": vaultRequestID(),
		"owner":            orderOwner(),
		"cert_metadata":    orderMetadata(),
		"reissue_of": {
			Type: framework.TypeString,
			Description: "Id of the order whose certificate this one reissues; empty for other " +
				"orders.",
		},
		"subscription_end": {
			Type: framework.TypeString,
			Description: "When the term ends, in RFC 3339, that the order has bought, within " +
				"which it can be reissued; empty while that is not known.",
		},
		"subscription_status": {
			Type:        framework.TypeString,
			Description: "CERTInext's word for the state of that term, such as active or expired.",
		},
		"adopted_at": {
			Type: framework.TypeString,
			Description: "When the role adopted the certificate of this order, which was placed " +
				"outside of the mount, in RFC 3339; empty for most.",
		},
		"subscription_told": {
			Type: framework.TypeBool,
			Description: "CERTInext has said when the term ends. Otherwise it is reckoned from " +
				"the day of the order and validity_years.",
		},
		"subscription_price":        subscriptionPrice(),
		"subscription_currency":     subscriptionCurrency(),
		"subscription_certificates": subscriptionCertificates(),
		"price": {
			Type: framework.TypeString,
			Description: "What the order costs, as 25.00, by product_prices of config or the " +
				"catalog, as it was when the order was placed; empty when that was not known. " +
				"The catalog is asked for it only where a budget has a max_spend.",
		},
		"currency": {
			Type:        framework.TypeString,
			Description: "Currency of the price, where the catalog has said it.",
		},
		"charged": {
			Type: framework.TypeString,
			Description: "no for a draft, and for an order that CERTInext never took; otherwise " +
				"unknown, which budgets take for a charge.",
		},
		"timeline": {
			Type:        framework.TypeSlice,
			Description: "What has happened to the order, as events with at and what.",
		},
	}
}

func dcvFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"domain": {
			Type: framework.TypeString, Query: true,
			Description: "One of the order's domains. When empty: all of them for read, and " +
				"those that are not validated yet for write.",
		},
		"method": {
			Type: framework.TypeString, Query: true,
			AllowedValues: []any{"dns-txt", "http-url", "email"},
			Description:   "dns-txt, http-url or email; the role's dcv_method when empty.",
		},
	}
}

func challengeFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"domains": {
			Type: framework.TypeSlice,
			Description: "For each domain: domain, verified, and what to publish: dns_names, " +
				"dns_value, http_url, http_path, http_content, email_to, and expires as " +
				"CERTInext words it; error when CERTInext refused; and found, which says what " +
				"was looked for in the DNS, where, and what was there.",
		},
	}
}

func vaultRequestID() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeString,
		Description: "Vault's id of the request that placed the order, as in the audit log; " +
			"empty for orders of earlier versions.",
	}
}

func orderOwner() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type:        framework.TypeString,
		Description: "Who answers for the certificate, as that request said.",
	}
}

func orderMetadata() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type:        framework.TypeString,
		Description: "What that request has kept with the order, in base64.",
	}
}

func subscriptionPrice() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeString,
		Description: "What the order that has bought the term was said to cost, as 25.00; empty " +
			"when that is not known.",
	}
}

func subscriptionCurrency() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type:        framework.TypeString,
		Description: "Currency of that price; empty when it is not known.",
	}
}

func subscriptionCertificates() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeInt,
		Description: "How many certificates the order of CERTInext's has given so far, of which " +
			"this mount knows. Only in reads. Certificates of earlier versions count once they " +
			"are indexed, minutes after an upgrade.",
	}
}

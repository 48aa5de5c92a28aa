// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
)

// A binding ties a field of a path to its place in an entry of type T, so that declaration, write and read of the field
// cannot drift apart.
type binding[T any] struct {
	name   string
	kind   framework.FieldType
	help   string
	secret bool // written, never read
	get    func(*T) any
	set    func(*T, any)
	check  func(any) error // of a value that is about to be set; nil when every one will do
}

func text[T any](name, help string, at func(*T) *string) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeString, help: help,
		get: func(t *T) any { return *at(t) }, set: func(t *T, v any) { *at(t) = v.(string) },
	}
}

// word is a text whose values have a type of their own.
func word[T any, W ~string](name, help string, at func(*T) *W) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeString, help: help,
		get: func(t *T) any { return string(*at(t)) }, set: func(t *T, v any) { *at(t) = W(v.(string)) },
	}
}

func hidden[T any](name, help string, at func(*T) *backend.Secret) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeString, help: help, secret: true,
		set: func(t *T, v any) { *at(t) = backend.Secret(v.(string)) },
	}
}

func flag[T any](name, help string, at func(*T) *bool) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeBool, help: help,
		get: func(t *T) any { return *at(t) }, set: func(t *T, v any) { *at(t) = v.(bool) },
	}
}

func number[T any](name, help string, at func(*T) *int) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeInt, help: help,
		get: func(t *T) any { return *at(t) }, set: func(t *T, v any) { *at(t) = v.(int) },
	}
}

func decimal[T any](name, help string, at func(*T) *float64) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeFloat, help: help,
		get: func(t *T) any { return *at(t) }, set: func(t *T, v any) { *at(t) = v.(float64) },
	}
}

// seconds is a duration that is read as a number of seconds.
func seconds[T any](name, help string, at func(*T) *time.Duration) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeSignedDurationSecond, help: help,
		get: func(t *T) any { return int64(*at(t) / time.Second) },
		set: func(t *T, v any) { *at(t) = time.Duration(v.(int)) * time.Second },
	}
}

func texts[T any](name, help string, at func(*T) *[]string) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeCommaStringSlice, help: help,
		get: func(t *T) any { return append([]string{}, *at(t)...) }, set: func(t *T, v any) { *at(t) = v.([]string) },
	}
}

func pairs[T any](name, help string, at func(*T) *map[string]string) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeKVPairs, help: help,
		get: func(t *T) any {
			out := map[string]string{}
			for k, v := range *at(t) {
				out[k] = v
			}
			return out
		},
		set: func(t *T, v any) { *at(t) = v.(map[string]string) },
	}
}

// dnsValidation are the fields that a role and a registered domain share.
func dnsValidation[T any](at func(*T) *backend.DNSValidation) []binding[T] {
	return []binding[T]{
		text("dcv_solver", "Solver that publishes the DNS records of dns-txt, and removes them; domains are validated by hand when empty.", func(t *T) *string { return &at(t).Solver }),
		texts("dcv_hosts", "Names of the TXT records, with {domain} in the place of the domain. All are published, unless CERTInext names one.", func(t *T) *[]string { return &at(t).Hosts }),
		texts("dcv_resolvers", "DNS resolvers by which zones, delegations and servers are found, as host or host:port; the machine's when empty.", func(t *T) *[]string { return &at(t).Resolvers }),
		texts("dcv_propagation_servers", "DNS servers that are asked whether a record can be seen, as host or host:port; the zone's authoritative servers when empty.", func(t *T) *[]string { return &at(t).PropagationServers }),
		seconds("dcv_propagation_timeout", "How long a record may take to be seen by all of those before CERTInext is asked to look all the same.", func(t *T) *time.Duration { return &at(t).PropagationTimeout }),
	}
}

// orderDefaults are the fields that the config and a role share.
func orderDefaults[T any](at func(*T) *backend.OrderDefaults) []binding[T] {
	return []binding[T]{
		text("requestor_name", "Name of the person or team that orders.", func(t *T) *string { return &at(t).Requestor.Name }),
		text("requestor_email", "Address that CERTInext writes to about orders.", func(t *T) *string { return &at(t).Requestor.Email }),
		text("requestor_phone", "Phone of the requestor in E.164 form, e.g. +14155550123.", func(t *T) *string { return &at(t).Requestor.Phone }),
		text("requestor_designation", "Job title of the requestor.", func(t *T) *string { return &at(t).Requestor.Designation }),
		text("technical_contact_name", "Technical contact. An order without one may wait for a manual check.", func(t *T) *string { return &at(t).TechnicalContact.Name }),
		text("technical_contact_email", "Address of the technical contact.", func(t *T) *string { return &at(t).TechnicalContact.Email }),
		text("technical_contact_phone", "Phone of the technical contact in E.164 form.", func(t *T) *string { return &at(t).TechnicalContact.Phone }),
		text("technical_contact_designation", "Job title of the technical contact.", func(t *T) *string { return &at(t).TechnicalContact.Designation }),
		text("delegation_name", "Second contact of orders.", func(t *T) *string { return &at(t).Delegation.Name }),
		text("delegation_email", "Address of the second contact.", func(t *T) *string { return &at(t).Delegation.Email }),
		text("signer_name", "Name in which the subscriber agreement is accepted; requestor_name when empty.", func(t *T) *string { return &at(t).SignerName }),
		text("signer_place", "Place at which the subscriber agreement is accepted.", func(t *T) *string { return &at(t).SignerPlace }),
		text("signer_ip", "Public IP address from which the subscriber agreement is accepted; not every edition of the API asks for it.", func(t *T) *string { return &at(t).SignerIP }),
		text("group_number", "Billing group of orders; the account's default group when empty.", func(t *T) *string { return &at(t).GroupNumber }),
		text("organization_number", "Vetted organization; OV and EV orders need one.", func(t *T) *string { return &at(t).OrganizationNumber }),
		hidden("consent_token", "The organization's consent token, with which its orders need no manual consent. Never read back.", func(t *T) *backend.Secret { return &at(t).ConsentToken }),
		word("accounting_model", "How orders of version 1 are paid for: credit or cash; credit when empty. Version 2 leaves it to the account.", func(t *T) *backend.AccountingModel { return &at(t).AccountingModel }),
		text("email_notifications", `Mails that CERTInext sends about orders: "all", or "0" for none; the account's setting when empty.`, func(t *T) *string { return &at(t).EmailNotifications }),
	}
}

// schemas declares the bound fields. The defaults shown are those of a new entry.
func schemas[T any](bindings []binding[T], fresh *T) map[string]*framework.FieldSchema {
	out := make(map[string]*framework.FieldSchema, len(bindings))
	for _, b := range bindings {
		f := &framework.FieldSchema{Type: b.kind, Description: b.help}
		if b.secret {
			f.DisplayAttrs = &framework.DisplayAttributes{Sensitive: true}
		} else if v := b.get(fresh); !empty(v) {
			f.Default = v
			if b.kind == framework.TypeSignedDurationSecond { // a text in OpenAPI, which a default has to be, too
				f.Default = fmt.Sprintf("%ds", v)
			}
		}
		out[b.name] = f
	}
	return out
}

func empty(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case int:
		return v == 0
	case int64:
		return v == 0
	case float64:
		return v == 0
	case []string:
		return len(v) == 0
	case map[string]string:
		return len(v) == 0
	}
	return false
}

// readable declares the bound fields that a read returns.
func readable[T any](bindings []binding[T]) map[string]*framework.FieldSchema {
	out := make(map[string]*framework.FieldSchema, len(bindings))
	for _, b := range bindings {
		if b.secret {
			continue
		}
		kind := b.kind
		if kind == framework.TypeSignedDurationSecond {
			kind = framework.TypeInt64
		}
		out[b.name] = &framework.FieldSchema{Type: kind, Description: b.help}
	}
	return out
}

// write sets in t what the request holds.
func write[T any](bindings []binding[T], d *framework.FieldData, t *T) error {
	for _, b := range bindings {
		v, ok, err := d.GetOkErr(b.name)
		if err != nil {
			return &backend.FieldError{Field: b.name, Problem: err.Error()}
		}
		if !ok {
			continue
		}
		if b.check != nil {
			if err := b.check(v); err != nil {
				return &backend.FieldError{Field: b.name, Problem: err.Error()}
			}
		}
		b.set(t, v)
	}
	return nil
}

// read returns what may be told of t. Secrets are left out.
func read[T any](bindings []binding[T], t *T) map[string]any {
	out := make(map[string]any, len(bindings))
	for _, b := range bindings {
		if !b.secret {
			out[b.name] = b.get(t)
		}
	}
	return out
}

// merge returns a map with the fields of all.
func merge(all ...map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	out := make(map[string]*framework.FieldSchema)
	for _, m := range all {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// Fields that several paths share.
func roleField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"role": {Type: framework.TypeString, Description: "Name of the role.", Required: true},
	}
}

func orderField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"id": {Type: framework.TypeString, Description: "Id of the order, as issue, sign and orders/<role> tell it.", Required: true},
	}
}

func keysField(what string) map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"keys": {Type: framework.TypeStringSlice, Description: what},
	}
}

// windowFields are the query of a list that is read page by page.
func windowFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"after": {Type: framework.TypeString, Description: "The next of an answer, for the page that follows it.", Query: true},
		"limit": {Type: framework.TypeInt, Default: 100, Description: "Rows at most, up to 1000.", Query: true},
	}
}

// pageFields are the answer of one: rows under name, and how to go on.
func pageFields(name, what string) map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		name:   {Type: framework.TypeSlice, Description: what},
		"next": {Type: framework.TypeString, Description: "What to send as after for the next page; empty when the list ends here."},
	}
}

// totalField is part of the answer where the length of the list is known.
func totalField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"total": {Type: framework.TypeInt, Description: "Rows of the whole list."},
	}
}

func groupField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"group_number": {Type: framework.TypeString, Description: "Billing group; the config's, or all, when empty.", Query: true},
	}
}

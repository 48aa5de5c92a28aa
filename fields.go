// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
)

// A binding ties a field of a path to its place in an entry of type T, so that the declaration, the
// writing and the reading of the field cannot drift apart.
type binding[T any] struct {
	name   string
	kind   framework.FieldType
	help   string
	secret bool // write-only
	get    func(*T) any
	set    func(*T, any)
	reset  func(t, fresh *T) // to what fresh has, a new entry
	check  func(any) error   // validates a value before set; nil when any value is valid
}

// as returns what sets a field to what another entry has there.
func as[T, V any](at func(*T) *V) func(t, from *T) {
	return func(t, from *T) { *at(t) = *at(from) }
}

func text[T any](name, help string, at func(*T) *string) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeString, help: help,
		get: func(t *T) any { return *at(t) }, reset: as(at),
		set: func(t *T, v any) { *at(t) = strings.TrimSpace(v.(string)) },
	}
}

// word is a text field that is stored as a string type such as [backend.DCVMethod].
func word[T any, W ~string](name, help string, at func(*T) *W) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeString, help: help,
		get: func(t *T) any { return string(*at(t)) }, reset: as(at),
		set: func(t *T, v any) { *at(t) = W(strings.TrimSpace(v.(string))) },
	}
}

func hidden[T any](name, help string, at func(*T) *backend.Secret) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeString, help: help, secret: true, reset: as(at),
		// A secret that comes from a file often ends with the file's last line break.
		set: func(t *T, v any) { *at(t) = backend.Secret(strings.TrimSpace(v.(string))) },
	}
}

func flag[T any](name, help string, at func(*T) *bool) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeBool, help: help,
		get: func(t *T) any { return *at(t) }, reset: as(at),
		set: func(t *T, v any) { *at(t) = v.(bool) },
	}
}

func number[T any](name, help string, at func(*T) *int) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeInt, help: help,
		get: func(t *T) any { return *at(t) }, reset: as(at),
		set: func(t *T, v any) { *at(t) = v.(int) },
	}
}

func decimal[T any](name, help string, at func(*T) *float64) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeFloat, help: help,
		get: func(t *T) any { return *at(t) }, reset: as(at),
		set: func(t *T, v any) { *at(t) = v.(float64) },
	}
}

// seconds is a duration field, which is read back as a number of seconds.
func seconds[T any](name, help string, at func(*T) *time.Duration) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeSignedDurationSecond, help: help,
		get: func(t *T) any { return int64(*at(t) / time.Second) }, reset: as(at),
		set: func(t *T, v any) { *at(t) = time.Duration(v.(int)) * time.Second },
	}
}

func texts[T any](name, help string, at func(*T) *[]string) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeCommaStringSlice, help: help,
		get: func(t *T) any { return append([]string{}, *at(t)...) }, reset: as(at),
		set: func(t *T, v any) { *at(t) = v.([]string) },
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
		reset: as(at),
		set:   func(t *T, v any) { *at(t) = v.(map[string]string) },
	}
}

// dnsValidation returns the fields that roles and registered domains share.
func dnsValidation[T any](at func(*T) *backend.DNSValidation) []binding[T] {
	return []binding[T]{
		text("dcv_solver",
			"Solver that publishes and removes the DNS records for dns-txt. When empty, domains "+
				"are validated manually.",
			func(t *T) *string { return &at(t).Solver }),
		texts("dcv_hosts",
			"Names of the TXT records; {domain} stands for the domain. All of them are published, "+
				"unless CERTInext names the one that it expects.",
			func(t *T) *[]string { return &at(t).Hosts }),
		texts("dcv_resolvers",
			"DNS resolvers used to find zones, delegations and name servers, each as host or "+
				"host:port; those of the Vault server when empty.",
			func(t *T) *[]string { return &at(t).Resolvers }),
		texts("dcv_propagation_servers",
			"DNS servers that are asked whether a record is visible, each as host or host:port; "+
				"the zone's authoritative servers when empty.",
			func(t *T) *[]string { return &at(t).PropagationServers }),
		seconds("dcv_propagation_timeout",
			"How long to wait until every server that is asked (dcv_propagation_servers) shows a "+
				"record. After that, CERTInext is asked to look for it anyway.",
			func(t *T) *time.Duration { return &at(t).PropagationTimeout }),
	}
}

// orderDefaults returns the fields that the config and roles share.
func orderDefaults[T any](at func(*T) *backend.OrderDefaults) []binding[T] {
	return []binding[T]{
		text("requestor_name",
			"Name of the person or team that places orders.",
			func(t *T) *string { return &at(t).Requestor.Name }),
		text("requestor_email",
			"Email address to which CERTInext writes about orders.",
			func(t *T) *string { return &at(t).Requestor.Email }),
		text("requestor_phone",
			"Phone number of the requestor in E.164 format, e.g. +14155550123.",
			func(t *T) *string { return &at(t).Requestor.Phone }),
		text("requestor_designation",
			"Job title of the requestor.",
			func(t *T) *string { return &at(t).Requestor.Designation }),
		text("technical_contact_name",
			"Name of the technical contact. An order without one may be held for a manual check.",
			func(t *T) *string { return &at(t).TechnicalContact.Name }),
		text("technical_contact_email",
			"Email address of the technical contact.",
			func(t *T) *string { return &at(t).TechnicalContact.Email }),
		text("technical_contact_phone",
			"Phone number of the technical contact in E.164 format.",
			func(t *T) *string { return &at(t).TechnicalContact.Phone }),
		text("technical_contact_designation",
			"Job title of the technical contact.",
			func(t *T) *string { return &at(t).TechnicalContact.Designation }),
		text("delegation_name",
			"Name of the second contact for orders.",
			func(t *T) *string { return &at(t).Delegation.Name }),
		text("delegation_email",
			"Email address of the second contact.",
			func(t *T) *string { return &at(t).Delegation.Email }),
		text("signer_name",
			"Name in which the subscriber agreement is accepted; requestor_name when empty.",
			func(t *T) *string { return &at(t).SignerName }),
		text("signer_place",
			"Place where the subscriber agreement is accepted.",
			func(t *T) *string { return &at(t).SignerPlace }),
		text("signer_ip",
			"Public IP address from which the subscriber agreement is accepted. Not every edition "+
				"of the API requires it.",
			func(t *T) *string { return &at(t).SignerIP }),
		text("group_number",
			"Billing group that orders are charged to; the account's default group when empty.",
			func(t *T) *string { return &at(t).GroupNumber }),
		text("organization_number",
			"Number of the vetted organization. OV and EV orders need one.",
			func(t *T) *string { return &at(t).OrganizationNumber }),
		hidden("consent_token",
			"Consent token of the organization, which spares its orders a manual consent. Never "+
				"read back.",
			func(t *T) *backend.Secret { return &at(t).ConsentToken }),
		word("accounting_model",
			"How orders in version 1 of the API are paid for: credit or cash; credit when empty. "+
				"In version 2, the account decides.",
			func(t *T) *backend.AccountingModel { return &at(t).AccountingModel }),
		text("email_notifications",
			`Emails that CERTInext sends about orders: "all", or "0" for none; the account's `+
				"setting when empty.",
			func(t *T) *string { return &at(t).EmailNotifications }),
	}
}

// schemas declares the bound fields of a request. Their defaults are the values of fresh, a new
// entry.
func schemas[T any](bindings []binding[T], fresh *T) map[string]*framework.FieldSchema {
	out := make(map[string]*framework.FieldSchema, len(bindings))
	for _, b := range bindings {
		f := &framework.FieldSchema{Type: b.kind, Description: b.help}
		if b.secret {
			f.DisplayAttrs = &framework.DisplayAttributes{Sensitive: true}
		} else if v := b.get(fresh); !empty(v) {
			f.Default = v
			if b.kind == framework.TypeSignedDurationSecond {
				// OpenAPI describes a duration as a string, so its default has to be one.
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

// readable declares the bound fields of an answer, which are all except secrets.
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

// write sets the fields of t that the request contains, and those that are null to what fresh has,
// a new entry. Its errors are [*backend.FieldError].
func write[T any](bindings []binding[T], d *framework.FieldData, t, fresh *T) error {
	for _, b := range bindings {
		if raw, given := d.Raw[b.name]; given && raw == nil {
			b.reset(t, fresh)
			continue
		}
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

// read returns the bound fields of t, without secrets.
func read[T any](bindings []binding[T], t *T) map[string]any {
	out := make(map[string]any, len(bindings))
	for _, b := range bindings {
		if !b.secret {
			out[b.name] = b.get(t)
		}
	}
	return out
}

// merge returns the union of several sets of fields.
func merge(all ...map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	out := make(map[string]*framework.FieldSchema)
	for _, m := range all {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func roleField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"role": {Type: framework.TypeString, Description: "Name of the role.", Required: true},
	}
}

func orderField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"id": {
			Type: framework.TypeString, Required: true,
			Description: "Id of the order, as returned by issue, sign and orders/<role>.",
		},
	}
}

func keysField(what string) map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"keys": {Type: framework.TypeStringSlice, Description: what},
	}
}

// listFields select a part of a list of keys. Vault's PKI engine ignores them, and OpenBao's has
// them.
func listFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"after": {
			Type: framework.TypeString, Query: true,
			Description: "List only what comes after this key, which need not be in the list.",
		},
		"limit": {
			Type: framework.TypeInt, Query: true,
			Description: "Maximum number of keys; all of them when 0 or omitted.",
		},
	}
}

// listed returns the part of sorted keys that a request selects by [listFields].
func listed(keys []string, d *framework.FieldData) []string {
	return keysAfter(keys, d.Get("after").(string), d.Get("limit").(int))
}

// listedSerials is listed for serial numbers, which a request may spell with dashes.
func listedSerials(serials []string, d *framework.FieldData) []string {
	after := strings.ToLower(strings.ReplaceAll(d.Get("after").(string), "-", ":"))
	return keysAfter(serials, after, d.Get("limit").(int))
}

func keysAfter(keys []string, after string, limit int) []string {
	if after != "" {
		next, found := slices.BinarySearch(keys, after)
		if found {
			next++
		}
		keys = keys[next:]
	}
	if limit > 0 {
		keys = keys[:min(limit, len(keys))]
	}
	return keys
}

// windowFields select one page of a list.
func windowFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"after": {
			Type: framework.TypeString, Query: true,
			Description: "Value of next in the previous answer; empty for the first page.",
		},
		"limit": {
			Type: framework.TypeInt, Default: 100, Query: true,
			Description: "Maximum number of rows, up to 1000.",
		},
	}
}

// pageFields are the answer of a list that is read page by page: its rows, described by what, in
// the field name, and how to continue.
func pageFields(name, what string) map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		name: {Type: framework.TypeSlice, Description: what},
		"next": {
			Type:        framework.TypeString,
			Description: "Value to send as after for the next page; empty on the last page.",
		},
	}
}

// totalField is part of the answer when the length of the list is known.
func totalField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"total": {Type: framework.TypeInt, Description: "Number of rows in the whole list."},
	}
}

func groupField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"group_number": {
			Type: framework.TypeString, Query: true,
			Description: "Billing group; when empty, the group_number of the config, or all " +
				"groups if that is empty, too.",
		},
	}
}

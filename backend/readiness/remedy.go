// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// refusal adds an error about a setting of a role, or of the config that the role has it from, with
// the command that mends it.
func (f *findings) refusal(
	role *issuing.Role, cfg *account.Config, err error, got *answers,
) {
	var field *fault.FieldError
	if !errors.As(err, &field) {
		f.problems.add(role.Name, sanitize.Error(err))
		return
	}
	setting := fmt.Sprintf("%s=%s", field.Field, valueFor(field.Field, role, cfg, got))
	command := fmt.Sprintf("vault patch <mount>/roles/%s %s", role.Name, setting)
	if isOfConfig(field.Field, role) {
		command = "vault write <mount>/config " + setting
	}
	f.problems.add(role.Name, err.Error()+": "+command)
}

// isOfConfig reports whether a role has the value of a field from the config.
func isOfConfig(field string, role *issuing.Role) bool {
	d := role.OrderDefaults
	none := certinext.Contact{}
	switch field {
	case "requestor_name", "requestor_email", "requestor_phone":
		return d.Requestor == none
	case "technical_contact_name", "technical_contact_email", "technical_contact_phone":
		return d.TechnicalContact == none
	case "delegation_name", "delegation_email":
		return d.Delegation == none
	case "signer_name", "signer_place", "signer_ip":
		return d.SignerName+d.SignerPlace+d.SignerIP == ""
	case "group_number":
		return d.GroupNumber == ""
	case "email_notifications":
		return d.EmailNotifications == ""
	case "allowed_products":
		return true
	case "accounting_model":
		return d.AccountingModel == ""
	}
	return false
}

// plainValues are the values to write into fields that have one that always does. For others, the
// command says in angle brackets what to put there.
var plainValues = map[string]string{
	"email_notifications": "all",
	"renew_before_days":   "30",
	"accounting_model":    "credit",
	"validity_years":      "1",
	"ca_profile_id":       "'' master_product_id=''",
	"signer_place":        "'<town>'",
	"signer_ip":           "'<public IP address of this server>'",
	"requestor_name":      "'<name>'",
	"consent_token":       "@consent_token",
	"dcv_method":          "dns-txt",
	"dcv_solver":          "''",
	"allowed_domains":     "'<domains>'",
	"allowed_products":    "'<codes>'",
}

// valueFor returns a value for a field of a command: CERTInext's own where it names one.
func valueFor(
	field string, role *issuing.Role, cfg *account.Config, got *answers,
) string {
	switch field {
	case "custom_fields":
		return customFieldsFor(got.fields[role.ProductCode], role.CustomFields)
	case "organization_number":
		if number := got.organizationFor(role); number != "" {
			return number
		}
	case "group_number":
		i := slices.IndexFunc(got.groups, func(g certinext.Group) bool { return g.Default })
		if i >= 0 && isNumber(got.groups[i].Number) {
			return got.groups[i].Number
		}
	case "product_code":
		group := role.OrderDefaults.Or(cfg.OrderDefaults).GroupNumber
		if code := onlyProduct(got.products[group], role.Variant); code != "" {
			return code
		}
	}
	if value, ok := plainValues[field]; ok {
		return value
	}
	if strings.HasSuffix(field, "_email") {
		return "'<e-mail address>'"
	}
	return "'<" + strings.ReplaceAll(field, "_", " ") + ">'"
}

// customFieldsFor returns values for custom_fields, which a write replaces as a whole: those of
// before that the product takes, and what to fill in for the others that it demands.
func customFieldsFor(specs []certinext.CustomFieldSpec, before map[string]string) string {
	var values []string
	for _, f := range specs {
		only := []certinext.CustomFieldSpec{f}
		value := before[f.ID]
		switch {
		case value == "" && !f.Mandatory:
			continue
		case value == "", !isWritable(value),
			issuing.CheckCustomFields(only, map[string]string{f.ID: value}) != nil:
			value = "<value>"
		}
		if isWritable(f.ID) {
			values = append(values, "'"+f.ID+"="+value+"'")
		}
	}
	if len(values) == 0 {
		return "''"
	}
	return strings.Join(values, " custom_fields=")
}

// isWritable reports whether a text can stand in quotes in a command as it is.
func isWritable(text string) bool {
	return text == sanitize.Short(text) && !strings.ContainsAny(text, "'=,{<>")
}

// isNumber reports whether a number that CERTInext names can stand in a command as it is.
func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// organizationFor returns the number of an organization that orders of a role could be for.
func (got *answers) organizationFor(role *issuing.Role) string {
	for _, o := range got.organizations {
		detail := o
		if known := got.details[o.Number]; known != nil {
			detail.ValidationFor = known.ValidationFor
		}
		if isNumber(o.Number) && unfitness(&detail, role) == "" {
			return o.Number
		}
	}
	return ""
}

// onlyProduct returns the code of the only product of a variant; empty when there are none or
// several.
func onlyProduct(products []certinext.Product, variant string) string {
	var code string
	for _, p := range products {
		if p.Variant != variant || !isNumber(p.Code) {
			continue
		}
		if code != "" {
			return ""
		}
		code = p.Code
	}
	return code
}

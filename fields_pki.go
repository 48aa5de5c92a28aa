// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
)

// pkiOnly are fields of the roles of Vault's PKI engine that CERTInext leaves no choice about. Clients such as Terraform send all of them, so
// each is accepted with the value that a role of that engine has by default, and read back with it. Any other value would
// be a constraint that nobody enforces, and is refused.
func pkiOnly[T any]() []binding[T] {
	return []binding[T]{
		fixed[T]("allow_localhost", framework.TypeBool, true, "localhost has to be among allowed_domains, like any other name"),
		fixed[T]("enforce_hostnames", framework.TypeBool, true, "names are host names, always"),
		fixed[T]("allowed_other_sans", framework.TypeCommaStringSlice, []string{}, "CERTInext certifies host names and, for private PKI, addresses"),
		fixed[T]("allowed_uri_sans", framework.TypeCommaStringSlice, []string{}, "CERTInext certifies host names and, for private PKI, addresses"),
		fixed[T]("allowed_uri_sans_template", framework.TypeBool, false, "CERTInext certifies host names and, for private PKI, addresses"),
		fixed[T]("allowed_serial_numbers", framework.TypeCommaStringSlice, []string{}, "CERTInext makes up the subject"),
		fixed[T]("allowed_user_ids", framework.TypeCommaStringSlice, []string{}, "CERTInext makes up the subject"),
		fixed[T]("server_flag", framework.TypeBool, true, "the product decides what certificates are for"),
		fixed[T]("client_flag", framework.TypeBool, true, "the product decides what certificates are for"),
		fixed[T]("code_signing_flag", framework.TypeBool, false, "the product decides what certificates are for"),
		fixed[T]("email_protection_flag", framework.TypeBool, false, "the product decides what certificates are for"),
		fixed[T]("key_usage", framework.TypeCommaStringSlice, []string{"DigitalSignature", "KeyAgreement", "KeyEncipherment"}, "the product decides what certificates are for"),
		fixed[T]("ext_key_usage", framework.TypeCommaStringSlice, []string{}, "the product decides what certificates are for"),
		fixed[T]("ext_key_usage_oids", framework.TypeCommaStringSlice, []string{}, "the product decides what certificates are for"),
		fixed[T]("signature_bits", framework.TypeInt, 0, "CERTInext chooses how it signs"),
		fixed[T]("use_pss", framework.TypeBool, false, "CERTInext chooses how it signs"),
		fixed[T]("use_csr_common_name", framework.TypeBool, true, "the names of a CSR are those of its certificate"),
		fixed[T]("use_csr_sans", framework.TypeBool, true, "the names of a CSR are those of its certificate"),
		fixed[T]("serial_number_source", framework.TypeString, "json-csr", "CERTInext makes up the subject"),
		fixed[T]("ou", framework.TypeCommaStringSlice, []string{}, "the subject is that of the vetted organization (organization_number)"),
		fixed[T]("organization", framework.TypeCommaStringSlice, []string{}, "the subject is that of the vetted organization (organization_number)"),
		fixed[T]("country", framework.TypeCommaStringSlice, []string{}, "the subject is that of the vetted organization (organization_number)"),
		fixed[T]("locality", framework.TypeCommaStringSlice, []string{}, "the subject is that of the vetted organization (organization_number)"),
		fixed[T]("province", framework.TypeCommaStringSlice, []string{}, "the subject is that of the vetted organization (organization_number)"),
		fixed[T]("street_address", framework.TypeCommaStringSlice, []string{}, "the subject is that of the vetted organization (organization_number)"),
		fixed[T]("postal_code", framework.TypeCommaStringSlice, []string{}, "the subject is that of the vetted organization (organization_number)"),
		fixed[T]("policy_identifiers", framework.TypeCommaStringSlice, []string{}, "CERTInext states its policies"),
		fixed[T]("basic_constraints_valid_for_non_ca", framework.TypeBool, false, "CERTInext makes up the extensions"),
		fixed[T]("cn_validations", framework.TypeCommaStringSlice, []string{"email", "hostname"}, "a common name is a host name, always"),
		fixed[T]("not_after", framework.TypeString, "", "CERTInext decides when certificates end"),
		fixed[T]("not_before_duration", framework.TypeSignedDurationSecond, 30*time.Second, "CERTInext decides when certificates begin"),
		fixed[T]("no_store", framework.TypeBool, false, "a certificate that is not stored could be neither found again nor revoked"),
		fixed[T]("no_store_metadata", framework.TypeBool, false, "there is no metadata"),
		fixed[T]("issuer_ref", framework.TypeString, "default", "the product decides the issuer"),
	}
}

// fixed is a field that has one value.
func fixed[T any](name string, kind framework.FieldType, value any, why string) binding[T] {
	shown := value
	if d, ok := value.(time.Duration); ok {
		shown = int64(d / time.Second)
	}
	return binding[T]{
		name: name, kind: kind, help: fmt.Sprintf("Accepted as %s: %s.", describeFixed(shown), why),
		get: func(*T) any { return shown },
		set: func(*T, any) {},
		check: func(v any) error {
			if sameValue(v, shown) {
				return nil
			}
			return errors.New("cannot be honoured: " + why)
		},
	}
}

func describeFixed(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return "empty"
		}
		return v
	case []string:
		if len(v) == 0 {
			return "empty"
		}
		return strings.Join(v, ",")
	}
	return fmt.Sprint(v)
}

// sameValue compares what a request holds with the value of a field. An empty text or list stands for it, as for a field that is left
// out.
func sameValue(given, value any) bool {
	switch v := value.(type) {
	case string:
		return given == "" || given == v
	case []string:
		list, _ := given.([]string)
		return blank(list) || sameList(list, v)
	case int64:
		n, ok := given.(int)
		return ok && (int64(n) == v || n == 0)
	}
	return given == value
}

// sameList compares lists whose order and case mean nothing.
func sameList(a, b []string) bool {
	fold := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = strings.ToLower(strings.TrimSpace(s))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(fold(a), fold(b))
}

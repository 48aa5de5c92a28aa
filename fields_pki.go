// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
)

// Reasons why CERTInext leaves no choice about a field of a role of Vault's PKI engine.
const (
	onlyHostNames   = "CERTInext certifies only host names and, for private PKI, IP addresses"
	composedSubject = "CERTInext composes the subject"
	productUsage    = "the product determines what certificates may be used for"
	chosenSignature = "CERTInext chooses the signature algorithm"
	namesOfCSR      = "a certificate has the names of its CSR"
	vettedSubject   = "the subject is that of the vetted organization (organization_number)"
)

// pkiOnly are the fields of roles in Vault's PKI engine about which CERTInext leaves no choice.
// Clients such as Terraform send all of them, so each is accepted with the value that it has by
// default in that engine, and is read back with it. Any other value is refused: it would be a
// constraint that is not enforced.
func pkiOnly[T any]() []binding[T] {
	return []binding[T]{
		fixed[T]("allow_localhost", framework.TypeBool, true,
			"localhost must be in allowed_domains, like any other name"),
		fixed[T]("enforce_hostnames", framework.TypeBool, true, "names are always host names"),
		fixed[T]("allowed_other_sans", framework.TypeCommaStringSlice, []string{}, onlyHostNames),
		fixed[T]("allowed_uri_sans", framework.TypeCommaStringSlice, []string{}, onlyHostNames),
		fixed[T]("allowed_uri_sans_template", framework.TypeBool, false, onlyHostNames),
		fixed[T]("allowed_serial_numbers", framework.TypeCommaStringSlice, []string{},
			composedSubject),
		fixed[T]("allowed_user_ids", framework.TypeCommaStringSlice, []string{}, composedSubject),
		fixed[T]("server_flag", framework.TypeBool, true, productUsage),
		fixed[T]("code_signing_flag", framework.TypeBool, false, productUsage),
		fixed[T]("email_protection_flag", framework.TypeBool, false, productUsage),
		fixed[T]("key_usage", framework.TypeCommaStringSlice,
			[]string{"DigitalSignature", "KeyAgreement", "KeyEncipherment"}, productUsage),
		fixed[T]("ext_key_usage", framework.TypeCommaStringSlice, []string{}, productUsage),
		fixed[T]("ext_key_usage_oids", framework.TypeCommaStringSlice, []string{}, productUsage),
		fixed[T]("signature_bits", framework.TypeInt, 0, chosenSignature),
		fixed[T]("use_pss", framework.TypeBool, false, chosenSignature),
		fixed[T]("use_csr_common_name", framework.TypeBool, true, namesOfCSR),
		fixed[T]("use_csr_sans", framework.TypeBool, true, namesOfCSR),
		fixed[T]("serial_number_source", framework.TypeString, "json-csr", composedSubject),
		fixed[T]("ou", framework.TypeCommaStringSlice, []string{}, vettedSubject),
		fixed[T]("organization", framework.TypeCommaStringSlice, []string{}, vettedSubject),
		fixed[T]("country", framework.TypeCommaStringSlice, []string{}, vettedSubject),
		fixed[T]("locality", framework.TypeCommaStringSlice, []string{}, vettedSubject),
		fixed[T]("province", framework.TypeCommaStringSlice, []string{}, vettedSubject),
		fixed[T]("street_address", framework.TypeCommaStringSlice, []string{}, vettedSubject),
		fixed[T]("postal_code", framework.TypeCommaStringSlice, []string{}, vettedSubject),
		fixed[T]("policy_identifiers", framework.TypeCommaStringSlice, []string{},
			"CERTInext determines the certificate policies"),
		fixed[T]("basic_constraints_valid_for_non_ca", framework.TypeBool, false,
			"CERTInext determines the extensions"),
		fixed[T]("cn_validations", framework.TypeCommaStringSlice, []string{"email", "hostname"},
			"a common name is always a host name"),
		fixed[T]("not_after", framework.TypeString, "",
			"CERTInext determines when certificates expire"),
		fixed[T]("not_before_duration", framework.TypeSignedDurationSecond, 30*time.Second,
			"CERTInext determines when certificates become valid"),
		fixed[T]("no_store", framework.TypeBool, false,
			"a certificate that is not stored could be neither found again nor revoked"),
		fixed[T]("no_store_metadata", framework.TypeBool, false, "certificates have no metadata"),
		fixed[T]("issuer_ref", framework.TypeString, "default",
			"the product determines the issuer"),
	}
}

// clientFlag is the field client_flag, which is true until it is written, as in Vault's PKI engine.
func clientFlag() binding[backend.Role] {
	return binding[backend.Role]{
		name: "client_flag", kind: framework.TypeBool,
		help: "Whether the certificates are to authenticate clients. The product determines what " +
			"certificates may be used for: with true, written as such, each answer warns whose " +
			"certificate servers refuse as a client's, as those of public CAs are more and " +
			"more; false is accepted for public products only. It reads as true until it is " +
			"written, and nothing is said then.",
		get:   func(r *backend.Role) any { return r.ClientFlag == nil || *r.ClientFlag },
		reset: as(func(r *backend.Role) **bool { return &r.ClientFlag }),
		set: func(r *backend.Role, v any) {
			is := v.(bool)
			r.ClientFlag = &is
		},
	}
}

// fixed is a field that accepts one value only. why completes "cannot be honoured:".
func fixed[T any](name string, kind framework.FieldType, value any, why string) binding[T] {
	shown := value
	if d, ok := value.(time.Duration); ok {
		shown = int64(d / time.Second)
	}
	return binding[T]{
		name: name, kind: kind,
		help:  fmt.Sprintf("Accepted only %s: %s.", describeFixed(shown), why),
		get:   func(*T) any { return shown },
		set:   func(*T, any) {},
		reset: func(_, _ *T) {},
		check: func(v any) error {
			if sameValue(v, shown) {
				return nil
			}
			return errors.New("cannot be honoured: " + why)
		},
	}
}

// describeFixed completes "Accepted only".
func describeFixed(v any) string {
	if list, ok := v.([]string); ok {
		v = strings.Join(list, ",")
	}
	if v == "" {
		return "when empty"
	}
	return fmt.Sprintf("as %v", v)
}

// sameValue compares a value from a request with the only value of a field. An empty string or
// list, or the number 0 for a duration, counts as the field's value, as if the field had been
// omitted.
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

// sameList compares two lists, ignoring the order and the case of their elements.
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

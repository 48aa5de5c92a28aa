// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// CheckCustomFields checks a role's values, by field id, against the custom fields of its
// product. The error names the first value that does not suit its field, or all mandatory fields
// without one, or all values for fields that the product does not have.
func CheckCustomFields(specs []certinext.CustomFieldSpec, values map[string]string) error {
	var missing []string
	for _, f := range specs {
		v := values[f.ID]
		switch {
		case v == "" && f.Mandatory:
			missing = append(missing, customFieldName(f))
		case v == "":
		case len(f.Values) > 0 && !slices.Contains(f.Values, v):
			return fault.BadField("custom_fields", "%q is not a value of %s, which takes %s",
				sanitize.Short(v), customFieldName(f), sanitize.Enumerate(f.Values))
		case f.MaxLength > 0 && utf8.RuneCountInString(v) > f.MaxLength:
			return fault.BadField("custom_fields", "the value of %s is longer than %d characters",
				customFieldName(f), f.MaxLength)
		}
	}
	if len(missing) > 0 {
		return fault.BadField("custom_fields", "the product cannot be ordered without %s",
			strings.Join(missing, ", "))
	}
	if unknown := unknownCustomFields(specs, values); len(unknown) > 0 {
		return fault.BadField("custom_fields", "the product has no field %s",
			strings.Join(unknown, ", "))
	}
	return nil
}

// customFieldName names a field in messages: by its id and, when it has one, its name.
func customFieldName(f certinext.CustomFieldSpec) string {
	if f.Name == "" {
		return f.ID
	}
	return fmt.Sprintf("%s (%s)", f.ID, f.Name)
}

// unknownCustomFields returns the ids of values for fields that the product does not have. An empty
// list of fields says nothing: every list of the live service was empty (observed 2026), whatever
// fields its orders accepted.
func unknownCustomFields(
	specs []certinext.CustomFieldSpec, values map[string]string,
) (unknown []string) {
	for id := range values {
		hasID := func(f certinext.CustomFieldSpec) bool { return f.ID == id }
		if len(specs) > 0 && !slices.ContainsFunc(specs, hasID) {
			unknown = append(unknown, sanitize.Short(id))
		}
	}
	slices.Sort(unknown)
	return unknown
}

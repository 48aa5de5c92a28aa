// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package fault

import "slices"

// Fields collects errors about the fields of one entry. The zero value is empty.
type Fields []error

// Bad adds a [*FieldError], as [BadField] returns it.
func (f *Fields) Bad(field, format string, args ...any) {
	*f = append(*f, BadField(field, format, args...))
}

// Add adds an error that is not nil.
func (f *Fields) Add(err error) {
	if err != nil {
		*f = append(*f, err)
	}
}

// Has reports whether an error with the text of err is among them.
func (f Fields) Has(err error) bool {
	return slices.ContainsFunc(f, func(e error) bool { return e.Error() == err.Error() })
}

// First returns the first of the errors, or nil.
func (f Fields) First() error {
	if len(f) == 0 {
		return nil
	}
	return f[0]
}

// Since divides the errors of an entry that has just been changed: those that the change has
// brought, and those that the entry, whose errors were before, has had all along. An entry of an
// earlier version may be wrong by a rule of this one, and must stay open to other changes.
func (f Fields) Since(before Fields) (brought, had Fields) {
	known := make(map[string]bool, len(before))
	for _, err := range before {
		known[err.Error()] = true
	}
	for _, err := range f {
		if known[err.Error()] {
			had = append(had, err)
		} else {
			brought = append(brought, err)
		}
	}
	return brought, had
}

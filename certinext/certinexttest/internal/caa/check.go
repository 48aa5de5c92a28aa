// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa

import (
	"context"
	"fmt"
	"strings"
)

// A Record is one CAA resource record.
type Record struct {
	Critical   bool
	Tag, Value string
}

// A Lookup returns the CAA records at exactly one name, after aliases. There are none at a name
// that does not exist; an error says that it cannot be told.
type Lookup func(ctx context.Context, name string) ([]Record, error)

// A Refusal is why a CA may not issue.
type Refusal struct {
	// Name is the one that was asked about, At the one whose records decide.
	Name, At string
	// Reason is for people.
	Reason string
	// Unknown says that the records could not be read.
	Unknown bool
}

// Error says what decided.
func (r *Refusal) Error() string {
	return fmt.Sprintf("CAA of %s, at %s: %s", r.Name, r.At, r.Reason)
}

// Check returns nil where a CA that is known as one of issuers may issue for name, a host or a
// wildcard, and else a [*Refusal].
//
// "RelevantCAASet(domain): while domain is not ".": if CAA(domain) is not Empty: return
// CAA(domain); domain = Parent(domain); return Empty" (RFC 8659, section 3). The aliases of a name
// are followed by the look-up, and the climb goes on from the name itself.
func Check(ctx context.Context, look Lookup, name string, issuers []string) error {
	host, wildcard := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(name, ".")), "*.")
	for at := host; at != ""; at = parent(at) {
		records, err := look(ctx, at)
		if err != nil {
			return &Refusal{Name: name, At: at, Reason: err.Error(), Unknown: true}
		}
		if len(records) == 0 {
			continue
		}
		if reason := forbidden(records, wildcard, issuers); reason != "" {
			return &Refusal{Name: name, At: at, Reason: reason}
		}
		return nil
	}
	return nil
}

func parent(name string) string {
	_, above, _ := strings.Cut(name, ".")
	return above
}

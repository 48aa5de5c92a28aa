// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package lineage

import (
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
)

// A Standing is what clients make of a certificate, in a word.
type Standing string

// The standings of certificates. The first one that applies is said.
const (
	Unknown    Standing = "unknown"    // nobody has looked yet, or it cannot be parsed
	Distrusted Standing = "distrusted" // each of its chains has a key that clients refuse
	Refused    Standing = "refused"    // a family of clients knows no root of its chains
	Partly     Standing = "partly"     // some of its chains have a key that clients refuse
	Accepted   Standing = "accepted"   // nothing is known that would speak against it
)

// Standings returns all standings.
func Standings() []Standing { return []Standing{Accepted, Partly, Refused, Distrusted, Unknown} }

// A View is what is above all certificates at a moment. It is not changed any more.
type View struct {
	// Whole is not set when some chain was not looked at: certificates may be missing in what is
	// selected, and are unknown elsewhere.
	Whole bool
	// Families are the families of clients whose roots are known, sorted.
	Families []string
	known    map[string]*above
	leaves   map[index.KeyID]trust.Link
}

// Verdict says which clients accept a certificate, by its [index.Row.Chain] and its own key; false
// when that is not known.
func (v *View) Verdict(chain string, key index.KeyID) (trust.Verdict, bool) {
	a := v.known[chain]
	if a == nil || a.cas == nil {
		return trust.Verdict{}, false
	}
	link, refused := v.leaves[key]
	if !refused {
		return a.verdict, true
	}
	return trust.Verdict{
		Distrusted: []trust.Link{link},
		Refuse:     slices.Sorted(slices.Values(slices.Concat(a.verdict.Accept, a.verdict.Refuse))),
	}, true
}

// Standing is Verdict in a word.
func (v *View) Standing(chain string, key index.KeyID) Standing {
	verdict, known := v.Verdict(chain, key)
	return standingOf(&verdict, known)
}

func standingOf(v *trust.Verdict, known bool) Standing {
	switch {
	case !known:
		return Unknown
	case len(v.Distrusted) > 0:
		return Distrusted
	case len(v.Refuse) > 0:
		return Refused
	case len(v.Avoid) > 0:
		return Partly
	}
	return Accepted
}

// Root returns the name of the root of a chain, if it has several that of the first; empty when it
// is not known.
func (v *View) Root(chain string) string {
	if a := v.known[chain]; a != nil && a.cas != nil {
		return a.cas.Root
	}
	return ""
}

// A Want selects certificates by what is above them. Everything that it names has to apply; the
// zero value selects all.
type Want struct {
	// Key is that of a CA in one of the certificate's chains.
	Key trust.Key
	// Root is the common name of a CA at the end of one of its chains, or on the way there, since
	// clients may know that one as a root; whatever its case.
	Root string
	// Standing is what clients make of it.
	Standing Standing
	// RefusedBy is a family of clients that does not accept it.
	RefusedBy string
}

// IsZero reports whether the want selects all.
func (w Want) IsZero() bool { return w == Want{} }

// Select returns what is to be [index.Query.Select] for a want. Certificates of which nothing is
// known are selected only by who wants those.
func (v *View) Select(w Want) func(chain string, key index.KeyID) bool {
	if w.IsZero() {
		return nil
	}
	plain := make(map[string]bool, len(v.known)) // chains of certificates whose own key is fine
	for chain := range v.known {
		plain[chain] = v.matches(w, chain, index.KeyID{})
	}
	plain[""] = w == Want{Standing: Unknown}
	return func(chain string, key index.KeyID) bool {
		if _, refused := v.leaves[key]; refused {
			return v.matches(w, chain, key)
		}
		if matches, known := plain[chain]; known {
			return matches
		}
		return plain[""]
	}
}

// Check refuses a want for a family of clients that the mount does not know: that nobody refuses
// would be the answer to a misspelt name.
func (v *View) Check(w Want) error {
	if w.RefusedBy == "" || slices.Contains(v.Families, w.RefusedBy) {
		return nil
	}
	if len(v.Families) == 0 {
		return fault.BadField("refused_by", "no family of clients is known: write the roots that "+
			"one trusts to <mount>/config/trust/<family>")
	}
	return fault.BadField("refused_by", "%q is none of %s, whose roots are known",
		sanitize.Short(w.RefusedBy), sanitize.Enumerate(v.Families))
}

// matches reports whether a want selects a certificate.
func (v *View) matches(w Want, chain string, key index.KeyID) bool {
	if w.Standing != "" && w.Standing != v.Standing(chain, key) {
		return false
	}
	if w.Key != "" || w.Root != "" {
		a := v.known[chain]
		if a == nil || a.cas == nil || (w.Key != "" && !slices.Contains(a.cas.Keys, w.Key)) {
			return false
		}
		isIt := func(root string) bool { return strings.EqualFold(root, w.Root) }
		if w.Root != "" && !slices.ContainsFunc(a.cas.Names, isIt) {
			return false
		}
	}
	verdict, _ := v.Verdict(chain, key)
	return w.RefusedBy == "" || slices.Contains(verdict.Refuse, w.RefusedBy)
}

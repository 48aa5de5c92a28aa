// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package lineage

import (
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/hashicorp/vault/sdk/logical"
)

// Counts are how many live certificates clients refuse: those that are neither revoked nor expired.
type Counts struct {
	Live       int
	Distrusted int // each of their chains has a key that clients refuse
	Partly     int // some of their chains have
	// Refused are how many each family does not accept, by its name. Every known family is there.
	Refused map[string]int
	Unknown int // of which nothing is known
	// Unfinished are those with more chains than can be tried.
	Unfinished int
}

// A Latest is the newest certificate of a role, by which the CA is told that CERTInext issues from.
type Latest struct {
	Serial    string // with dashes
	NotBefore time.Time
	Known     bool
	Verdict   trust.Verdict
}

// A Survey is what clients make of all the mount's certificates.
type Survey struct {
	Counts Counts
	// Latest are the newest certificates that are not expired, by role.
	Latest map[string]Latest
	// Whole is not set when certificates may be missing, or were not looked at.
	Whole bool
}

// Take looks at all certificates that the index lists now. The survey is usable beside an error,
// too.
func Take(ctx context.Context, k *Keeper, s logical.Storage) (*Survey, error) {
	view, err := Look(ctx, k, s)
	out := &Survey{
		Counts: Counts{Refused: make(map[string]int, len(view.Families))},
		Latest: make(map[string]Latest), Whole: view.Whole && k.certs.Index.IsComplete(),
	}
	for _, family := range view.Families {
		out.Counts.Refused[family] = 0
	}
	k.certs.Index.Glance(k.Now(), func(g *index.Glance) bool {
		verdict, known := view.Verdict(g.Chain, g.Key)
		if g.State == index.Valid || g.State == index.Held {
			out.Counts.add(&verdict, known)
		}
		out.note(g, verdict, known)
		return true
	})
	return out, err
}

// add counts a live certificate.
func (c *Counts) add(v *trust.Verdict, known bool) {
	c.Live++
	switch standingOf(v, known) {
	case Unknown:
		c.Unknown++
	case Distrusted:
		c.Distrusted++
	case Partly:
		c.Partly++
	case Refused, Accepted: // families are counted below
	}
	for _, family := range v.Refuse {
		c.Refused[family]++
	}
	if v.Unfinished {
		c.Unfinished++
	}
}

// note remembers a certificate that is the newest of its role.
func (y *Survey) note(g *index.Glance, v trust.Verdict, known bool) {
	if g.Role == "" || g.State == index.Expired {
		return
	}
	at, has := y.Latest[g.Role]
	if has && (g.NotBefore.Before(at.NotBefore) ||
		(g.NotBefore.Equal(at.NotBefore) && strings.Compare(g.Serial(), at.Serial) < 0)) {
		return
	}
	y.Latest[g.Role] = Latest{
		Serial: g.Serial(), NotBefore: g.NotBefore, Known: known, Verdict: v,
	}
}

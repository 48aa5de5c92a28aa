// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"errors"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// maxLooks is how often the CAs above all certificates are looked at for one selection. One look
// reads a hundred chains that were not known yet, and thousands are more than a CA has.
const maxLooks = 50

// wants returns what a selection says of the CAs above certificates. Of each list, one has to
// apply.
func (q *Selection) wants() [][]lineage.Want {
	var all [][]lineage.Want
	add := func(values []string, want func(string) lineage.Want) {
		var of []lineage.Want
		for _, value := range values {
			of = append(of, want(value))
		}
		if len(of) > 0 {
			all = append(all, of)
		}
	}
	add(q.Roots, func(name string) lineage.Want { return lineage.Want{Root: name} })
	add(q.CAKeys, func(key string) lineage.Want { return lineage.Want{Key: trust.Key(key)} })
	add(q.Trust, func(word string) lineage.Want {
		return lineage.Want{Standing: lineage.Standing(word)}
	})
	add(q.RefusedBy, func(family string) lineage.Want { return lineage.Want{RefusedBy: family} })
	return all
}

// byAbove returns whether a row matches what a selection says of the CAs above certificates.
func byAbove(
	ctx context.Context, r *Runner, s logical.Storage, q *Selection,
) (func(*index.Row) bool, error) {
	wants := q.wants()
	if len(wants) == 0 {
		return func(*index.Row) bool { return true }, nil
	}
	view, err := wholeView(ctx, r, s)
	if err != nil {
		return nil, err
	}
	matchers := make([][]func(string, index.KeyID) bool, len(wants))
	for i, list := range wants {
		for _, want := range list {
			if err := view.Check(want); err != nil {
				return nil, err
			}
			matchers[i] = append(matchers[i], view.Select(want))
		}
	}
	return func(row *index.Row) bool {
		for _, some := range matchers {
			if !slices.ContainsFunc(some, func(is func(string, index.KeyID) bool) bool {
				return is(row.Chain, row.Key)
			}) {
				return false
			}
		}
		return true
	}, nil
}

// wholeView returns what is above all certificates.
func wholeView(ctx context.Context, r *Runner, s logical.Storage) (*lineage.View, error) {
	for range maxLooks {
		view, err := lineage.Look(ctx, r.Lineage, s)
		if err != nil || view.Whole {
			return view, err
		}
	}
	return nil, &fault.RefusedError{Err: errors.New("the CAs above some certificates are not " +
		"known yet, and a campaign has to see all of them: try again in a minute")}
}

// checkTrust returns an error about a word that is no standing of certificates.
func checkTrust(words []string) error {
	for _, word := range words {
		if !slices.Contains(lineage.Standings(), lineage.Standing(word)) {
			return fault.BadField("trust", "%q is not %s", sanitize.Short(word),
				phrase.Or(lineage.Standings()...))
		}
	}
	return nil
}

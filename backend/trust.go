// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/hashicorp/vault/sdk/logical"
)

// TrustLink is [trust.Link].
type TrustLink = trust.Link

// TrustVerdict is [trust.Verdict].
type TrustVerdict = trust.Verdict

// TrustCounts are [lineage.Counts].
type TrustCounts = lineage.Counts

// CountTrust counts which live certificates clients refuse by what is stored now; whole is false
// when some were not looked at. It waits at most a second for an index that is being filled.
func CountTrust(
	ctx context.Context, e *Engine, s logical.Storage,
) (counts *TrustCounts, whole bool, err error) {
	lineage.Await(ctx, e.Lineage, s)
	survey, err := lineage.Take(ctx, e.Lineage, s)
	return &survey.Counts, survey.Whole, err
}

// TrustSettings are what clients trust, as far as the mount was told.
type TrustSettings struct {
	DistrustedKeys []string
	BuiltinKeys    []string
	Families       map[string]any // how many roots each has, by its name
}

// ReadTrust returns what clients trust.
func ReadTrust(ctx context.Context, s logical.Storage) (*TrustSettings, error) {
	keys, err := trust.Keys(ctx, s)
	if err != nil {
		return nil, err
	}
	t := &TrustSettings{
		DistrustedKeys: texts(keys), BuiltinKeys: texts(trust.Builtin()),
		Families: make(map[string]any),
	}
	names, err := trust.Families(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		family, _, err := trust.ReadFamily(ctx, s, name)
		if err != nil {
			return nil, err
		}
		if family != nil {
			t.Families[name] = family.Len()
		}
	}
	return t, nil
}

func texts(keys []trust.Key) []string {
	out := make([]string, 0, len(keys))
	for _, key := range keys {
		out = append(out, string(key))
	}
	return out
}

// WriteDistrustedKeys stores the keys that clients refuse beside the builtin ones.
func WriteDistrustedKeys(
	ctx context.Context, e *Engine, s logical.Storage, keys []string,
) error {
	parsed, err := trust.ParseKeys("distrusted_keys", keys)
	if err != nil {
		return err
	}
	return e.Trust.WriteKeys(ctx, s, parsed)
}

// TrustedFamilies returns the names of the families of clients whose roots are stored, sorted.
func TrustedFamilies(ctx context.Context, s logical.Storage) ([]string, error) {
	return trust.Families(ctx, s)
}

// ReadFamily returns a family of clients and its roots in PEM; nil when there is none of that name.
func ReadFamily(
	ctx context.Context, s logical.Storage, name string,
) (*trust.Family, string, error) {
	return trust.ReadFamily(ctx, s, name)
}

// TrustIn says which clients accept a stored certificate now.
func TrustIn(
	ctx context.Context, e *Engine, s logical.Storage, c *certificates.Certificate,
) (*TrustVerdict, error) {
	certs, err := certificates.Parse(append([]string{c.PEM}, append(c.Chain, c.Others...)...))
	if err != nil || len(certs) == 0 {
		return new(TrustVerdict), nil //nolint:nilerr // it was stored as it came, and is shown
	}
	v, err := e.Trust.Of(ctx, s, certs[0], certs[1:], e.Account.Corrected())
	return &v, err
}

// ParseLineage is [lineage.ParseWant].
func ParseLineage(key, root, standing, refusedBy string) (LineageWant, error) {
	return lineage.ParseWant(key, root, standing, refusedBy)
}

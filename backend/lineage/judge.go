// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package lineage

import (
	"context"
	"crypto/x509"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/hashicorp/vault/sdk/logical"
)

// Judge says what clients make of a certificate that came with others, whether or not it is stored.
func Judge(
	ctx context.Context, k *Keeper, s logical.Storage, leaf *x509.Certificate,
	pool []*x509.Certificate,
) (Standing, trust.Verdict, error) {
	v, err := k.trust.Of(ctx, s, leaf, pool, k.now())
	if err != nil {
		return Unknown, v, err
	}
	return standingOf(&v, true), v, nil
}

// Of returns what clients make of stored certificates, by their serial numbers with dashes. What is
// not known is missing, and beside an error all may be.
func Of(
	ctx context.Context, k *Keeper, s logical.Storage, serials []string,
) (map[string]trust.Verdict, error) {
	view, err := Look(ctx, k, s)
	out := make(map[string]trust.Verdict, len(serials))
	for serial, row := range k.certs.Index.Find(serials) {
		if v, known := view.Verdict(row.Chain, row.Key); known {
			out[serial] = v
		}
	}
	return out, err
}

// Tell says why clients refuse a certificate, in one line each; empty when none does.
func Tell(serial string, v *trust.Verdict) (lines []string) {
	for _, why := range v.Reasons() {
		lines = append(lines, "trust: certificate "+serial+": "+sanitize.OneLine(why))
	}
	return lines
}

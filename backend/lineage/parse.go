// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package lineage

import (
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
)

// ParseWant reads a want from the fields chain_key, root, trust and refused_by. Empty texts select
// all. The error is a [*fault.FieldError] that names one of them.
func ParseWant(key, root, standing, refusedBy string) (Want, error) {
	w := Want{Root: root, Standing: Standing(standing), RefusedBy: refusedBy}
	if key != "" {
		parsed, err := trust.ParseKey("chain_key", key)
		if err != nil {
			return Want{}, err
		}
		w.Key = parsed
	}
	if standing != "" && !slices.Contains(Standings(), w.Standing) {
		var names []string
		for _, s := range Standings() {
			names = append(names, string(s))
		}
		return Want{}, fault.BadField("trust", "%q is none of %s", sanitize.Short(standing),
			strings.Join(names, ", "))
	}
	return w, nil
}

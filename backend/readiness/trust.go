// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"context"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// judgeTrust says which certificates clients refuse, and under which roles more of them are to be
// expected: CERTInext does not say by which CA it will issue, but has issued by one.
func (c *Checker) judgeTrust(
	ctx context.Context, s logical.Storage, all []*issuing.Role, r *Report, said *findings,
) error {
	lineage.Await(ctx, c.above, s)
	survey, err := lineage.Take(ctx, c.above, s)
	if err != nil {
		return err
	}
	r.Trust = survey.Counts
	sayCounts(said, survey)
	byProduct := make(map[string]lineage.Latest)
	for _, role := range all {
		latest, has := survey.Latest[role.Name]
		if has && byProduct[role.ProductCode].NotBefore.Before(latest.NotBefore) {
			byProduct[role.ProductCode] = latest
		}
	}
	for _, role := range all {
		latest, has := survey.Latest[role.Name]
		whose := "its"
		if !has && role.ProductCode != "" {
			latest, whose = byProduct[role.ProductCode], "its product's"
		}
		sayLatest(said, role, &latest, whose)
	}
	return nil
}

// sayCounts says how many live certificates clients refuse.
func sayCounts(said *findings, survey *lineage.Survey) {
	c := &survey.Counts
	if c.Distrusted > 0 {
		said.note("trust: %s with a key that clients refuse in each chain: "+
			"vault read <mount>/inventory/certs trust=distrusted shows which",
			plural(c.Distrusted, "live certificate"))
	}
	if c.Partly > 0 {
		said.note("trust: %s with a key that clients refuse in some chain: "+
			"vault read <mount>/inventory/certs trust=partly shows which",
			plural(c.Partly, "live certificate"))
	}
	for _, family := range slices.Sorted(refusing(c.Refused)) {
		said.note("trust: %s that %s does not accept: "+
			"vault read <mount>/inventory/certs refused_by=%s shows which",
			plural(c.Refused[family], "live certificate"), family, family)
	}
	if c.Unfinished > 0 {
		said.note("trust: %s with more chains than can be tried: clients may accept what is "+
			"said to be refused", plural(c.Unfinished, "live certificate"))
	}
	if c.Unknown > 0 || !survey.Whole {
		said.note("trust: %s not looked at, or cannot be read: after a start, check again in a "+
			"minute", plural(c.Unknown, "live certificate"))
	}
}

// refusing yields the families that do not accept some certificate.
func refusing(refused map[string]int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for family, n := range refused {
			if n > 0 && !yield(family) {
				return
			}
		}
	}
}

// sayLatest says that clients refuse the latest certificate of a role, or of its product. What is
// bought next is held then, if the role says so.
func sayLatest(said *findings, role *issuing.Role, latest *lineage.Latest, whose string) {
	v := &latest.Verdict
	if !latest.Known || !v.IsDoubtful() {
		return
	}
	what := whose + " latest certificate, " + strings.ReplaceAll(latest.Serial, "-", ":")
	why := sanitize.OneLine(phrase.And(v.Reasons()...))
	if role.Trust == issuing.TrustRefuse {
		said.problems.add(role.Name, "trust: "+what+", would be held, and so may the next one be: "+
			why+": vault write <mount>/roles/"+role.Name+" trust=warn hands it over, or ask "+
			"CERTInext for another CA before anything is ordered")
		return
	}
	said.notes.add(role.Name, "trust: "+what+", is refused, and so may the next one be: "+why)
}

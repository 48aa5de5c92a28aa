// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// No order was ever seen to leave CERTInext's report. Should one do so, the mount notes it, and
// nothing else: what the report leaves out proves nothing (ADR 0009). For that it stores the
// numbers that the report has shown, spread over a fixed number of entries, of which those are
// written that have changed.
const (
	listedPrefix = "sync-listed/"
	listedParts  = 64
)

// Reported is the entry of the numbers that the report has shown, those of one part.
type Reported struct {
	Version int    `json:"version"`
	Account string `json:"account"`
	// Numbers are sorted, and separated by spaces.
	Numbers string `json:"numbers"`
}

// partOf returns the part of a number.
func partOf(number string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(number)) // never fails
	return int(h.Sum32() % listedParts)
}

// noteListed compares the numbers that a whole reading of the report has shown with those that were
// shown before, and notes in st which of them are gone.
func noteListed(ctx context.Context, s logical.Storage, st *Status, numbers []string) error {
	var parts [listedParts][]string
	for _, number := range numbers {
		part := partOf(number)
		parts[part] = append(parts[part], number)
	}
	gone := 0
	var first []string
	for i, shown := range parts {
		missing, err := noteListedPart(ctx, s, st.Account, i, shown)
		if err != nil {
			return err
		}
		gone += len(missing)
		first = append(first, missing...)
		slices.Sort(first)
		first = first[:min(len(first), maxGone)]
	}
	st.Gone, st.GoneOrders = gone, first
	return nil
}

// noteListedPart is noteListed for one part. It returns the numbers that are gone, which stay
// stored: they are gone until the report shows them again.
func noteListedPart(
	ctx context.Context, s logical.Storage, acct string, part int, shown []string,
) (missing []string, err error) {
	key := fmt.Sprintf("%s%02x", listedPrefix, part)
	before, err := store.Get[Reported](ctx, s, key)
	if err != nil {
		return nil, err
	}
	slices.Sort(shown)
	shown = slices.Compact(shown)
	all := shown
	if before != nil && account.SameAccount(before.Account, acct) {
		known := strings.Fields(before.Numbers)
		for _, number := range known {
			if _, found := slices.BinarySearch(shown, number); !found {
				missing = append(missing, number)
			}
		}
		all = slices.Concat(shown, missing)
		slices.Sort(all)
	}
	text := strings.Join(all, " ")
	if (before == nil && text == "") ||
		(before != nil && before.Numbers == text && account.SameAccount(before.Account, acct)) {
		return missing, nil
	}
	return missing, store.Put(ctx, s, key, &Reported{Version: 1, Account: acct, Numbers: text})
}

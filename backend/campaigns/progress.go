// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Progress is how far a campaign is, as counted from its items.
type Progress struct {
	*Campaign
	Counts map[Stage]int
	// Total is how many certificates it is about.
	Total int
	// Stuck are some of those that could not be replaced yet.
	Stuck []Item
	// Left is how long what waits for its turn takes at least, by PerHour.
	Left time.Duration
}

// maxStuck is how many stuck items a progress tells of.
const maxStuck = 20

// splitStage splits <stage>/<key>.
func splitStage(at string) (Stage, string) {
	g, key, _ := strings.Cut(at, "/")
	return Stage(g), key
}

// stagesOf returns the keys of a campaign's items with their stages. One that a crash has left at
// two is at the later one.
func stagesOf(ctx context.Context, s logical.Storage, name string) (map[string]Stage, error) {
	all := make(map[string]Stage)
	for _, g := range Stages() {
		keys, err := listItems(ctx, s, name, g)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			all[key] = g
		}
	}
	return all, nil
}

func count(ctx context.Context, s logical.Storage, name string) (map[Stage]int, error) {
	all, err := stagesOf(ctx, s, name)
	return countStages(all), err
}

func countStages(all map[string]Stage) map[Stage]int {
	counts := make(map[Stage]int, len(Stages()))
	for _, g := range Stages() {
		counts[g] = 0
	}
	for _, g := range all {
		counts[g]++
	}
	return counts
}

// ProgressOf returns how far a campaign is. It reads as many items as are stuck, and 20 at most.
func ProgressOf(
	ctx context.Context, s logical.Storage, name string,
) (*Progress, error) {
	c, err := mustRead(ctx, s, name)
	if err != nil {
		return nil, err
	}
	p := &Progress{Campaign: c}
	all, err := stagesOf(ctx, s, name)
	if err != nil {
		return nil, err
	}
	p.Counts = countStages(all)
	parts, err := store.List(ctx, s, partPrefix+name+"/")
	if err != nil {
		return nil, err
	}
	for _, part := range parts { // what the next passes take in
		in, err := store.Get[Part](ctx, s, partPrefix+name+"/"+part)
		if err != nil {
			return nil, err
		}
		if in == nil {
			continue
		}
		for _, one := range in.Chosen {
			if all[keyFor(&c.Plan, one.Role, one.Serial, one.NotAfter)] == "" {
				p.Counts[Waiting]++
			}
		}
	}
	for _, n := range p.Counts {
		p.Total += n
	}
	if c.Plan.PerHour > 0 {
		p.Left = time.Duration(p.Counts[Waiting]) * time.Hour / time.Duration(c.Plan.PerHour)
	}
	keys, err := listItems(ctx, s, name, Stuck)
	if err != nil {
		return nil, err
	}
	for _, key := range keys[:min(len(keys), maxStuck)] {
		it, err := readItem(ctx, s, name, Stuck, key)
		if err != nil {
			return nil, err
		}
		if it != nil {
			p.Stuck = append(p.Stuck, *it)
		}
	}
	return p, nil
}

// A Listed is an item as it is listed.
type Listed struct {
	Item
	Stage Stage
}

// MaxListed is the largest number of items of a page.
const MaxListed = 1000

// ListItems returns a page of a campaign's items, of one stage or of all, after a key of the page
// before, and where the next page begins.
func ListItems(
	ctx context.Context, s logical.Storage, name string, g Stage, after string, limit int,
) (page []Listed, next string, total int, err error) {
	if limit < 1 || limit > MaxListed {
		return nil, "", 0, fault.BadField("limit", "must be between 1 and %d", MaxListed)
	}
	if g != "" && !slices.Contains(Stages(), g) {
		return nil, "", 0, fault.BadField("stage", "is none of %s", stageList())
	}
	if _, err := mustRead(ctx, s, name); err != nil {
		return nil, "", 0, err
	}
	all, err := stagesOf(ctx, s, name)
	if err != nil {
		return nil, "", 0, err
	}
	keys := make([]string, 0, len(all))
	for key, at := range all {
		if g == "" || at == g {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	total = len(keys)
	from, found := slices.BinarySearch(keys, after)
	if found {
		from++
	}
	for _, key := range keys[from:] {
		if len(page) == limit {
			return page, page[limit-1].key, total, nil
		}
		it, err := readItem(ctx, s, name, all[key], key)
		if err != nil {
			return nil, "", 0, err
		}
		if it != nil {
			page = append(page, Listed{Item: *it, Stage: all[key]})
		}
	}
	return page, "", total, nil
}

func stageList() string {
	var names []string
	for _, g := range Stages() {
		names = append(names, string(g))
	}
	return strings.Join(names, ", ")
}

// A Summary is a campaign that is not over, in short.
type Summary struct {
	Name         string
	State        State
	Open, Failed int // items that are under way or wait, and those that are stuck or left
}

// maxSummed is how many campaigns are looked at for those that are not over.
const maxSummed = 100

// Summaries returns the campaigns that are not over, at most so many.
func Summaries(ctx context.Context, s logical.Storage, most int) ([]Summary, error) {
	names, err := List(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []Summary
	for _, name := range names[:min(len(names), maxSummed)] {
		c, err := Read(ctx, s, name)
		if err != nil {
			return nil, err
		}
		if c == nil || c.State == Done || c.State == Erasing || (c.State == Aborted && c.Ended) {
			continue
		}
		if len(out) == most {
			break
		}
		counts, err := count(ctx, s, name)
		if err != nil {
			return nil, err
		}
		sum := Summary{Name: name, State: c.State, Failed: counts[Stuck] + counts[Left]}
		for g, n := range counts {
			if g.isOpen() && g != Stuck {
				sum.Open += n
			}
		}
		out = append(out, sum)
	}
	return out, nil
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Control pauses, resumes or aborts a campaign: it becomes what to says. What is under way at
// CERTInext goes on. Done again, it changes nothing.
func Control(
	ctx context.Context, r *Runner, s logical.Storage, name string, to State,
) (*Campaign, error) {
	return change(ctx, r, s, name, func(c *Campaign) (bool, error) {
		if c.State == to {
			return false, nil
		}
		if c.isOver() {
			return false, fault.BadField("campaign", "%q is over: it is %s", name, c.State)
		}
		c.State, c.ChangedAt = to, r.Now()
		return true, nil
	})
}

// Delete removes a campaign that is over, with its items: at once where there are few, else in the
// background.
func Delete(ctx context.Context, r *Runner, s logical.Storage, name string) error {
	unlock, err := r.writes.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := Read(ctx, s, name)
	if err != nil || c == nil {
		return err
	}
	if c.State != Done && (c.State != Aborted || !c.Ended) && c.State != Erasing {
		return fault.BadField("campaign", "%q is not over yet: it is %s. Abort it first, and wait "+
			"until nothing of it is open", name, c.State)
	}
	c.State, c.ChangedAt = Erasing, r.Now()
	if err := put(ctx, s, c); err != nil {
		return err
	}
	return erase(ctx, s, name, passErase)
}

// erase removes items of a deleted campaign, at most so many, and then the campaign.
func erase(ctx context.Context, s logical.Storage, name string, most int) error {
	if err := eraseParts(ctx, s, name); err != nil {
		return err
	}
	for _, g := range Stages() {
		keys, err := listItems(ctx, s, name, g)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if most--; most < 0 {
				return nil
			}
			if err := store.Delete(ctx, s, folder(name, g)+key); err != nil {
				return err
			}
		}
	}
	return store.Delete(ctx, s, prefix+name)
}

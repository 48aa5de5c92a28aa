// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of one background pass, for each campaign.
const (
	passItems = 200  // that are looked at
	passErase = 1000 // items of a deleted campaign
)

// Pass moves each campaign on: it takes in what was selected, files what has its turn for
// replacement, and looks at some of what is open. What it costs grows with what is open, but for a
// read of each campaign.
func (r *Runner) Pass(ctx context.Context, s logical.Storage) error {
	names, err := List(ctx, s)
	errs := []error{err}
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, r.passOne(ctx, s, name))
	}
	return errors.Join(errs...)
}

func (r *Runner) passOne(ctx context.Context, s logical.Storage, name string) error {
	c, err := Read(ctx, s, name)
	switch {
	case err != nil || c == nil || c.State == Done:
		return err
	case c.State == Erasing:
		return erase(ctx, s, name, passErase)
	}
	more, err := takeIn(ctx, s, c)
	if err != nil || more {
		return err
	}
	now := r.earlier(ctx, s)
	if c.State == Running {
		if err := begin(ctx, r, s, name, now); err != nil {
			return err
		}
	}
	open, err := tend(ctx, r, s, c, now)
	if err != nil || open || c.State == Paused {
		return err
	}
	return end(ctx, r, s, name)
}

// takeIn makes items of one part of what was selected, and reports whether there may be more. A
// part that a crash has left is taken in again: none of its items has moved by then.
func takeIn(ctx context.Context, s logical.Storage, c *Campaign) (more bool, err error) {
	parts, err := store.List(ctx, s, partPrefix+c.Name+"/")
	if err != nil || len(parts) == 0 {
		return false, err
	}
	slices.Sort(parts)
	key := partPrefix + c.Name + "/" + parts[0]
	part, err := store.Get[Part](ctx, s, key)
	if err != nil {
		return true, err
	}
	if part != nil {
		for _, one := range part.Chosen {
			it := &Item{Serial: one.Serial, Role: one.Role, Behind: one.Behind, At: c.CreatedAt}
			it.key = keyFor(&c.Plan, one.Role, one.Serial, one.NotAfter)
			if err := moveItem(ctx, s, c.Name, it, Waiting); err != nil {
				return true, err
			}
		}
	}
	return len(parts) > 1, store.Delete(ctx, s, key)
}

// begin gives as many items their turn as may have it now. That is stored before: a crash in
// between costs a turn, and gives none twice.
func begin(ctx context.Context, r *Runner, s logical.Storage, name string, now time.Time) error {
	waiting, err := listItems(ctx, s, name, Waiting)
	if err != nil || len(waiting) == 0 || now.IsZero() {
		return err
	}
	n := 0
	c, err := change(ctx, r, s, name, func(c *Campaign) (bool, error) {
		if c.State != Running {
			return false, nil
		}
		before := c.Next
		n, c.Next = turns(&c.Plan, c.Next, now, len(waiting), passItems)
		return !c.Next.Equal(before), nil
	})
	if err != nil {
		return err
	}
	for _, key := range waiting[:n] {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := step(ctx, r, s, c, Waiting, key, now); err != nil {
			return err
		}
	}
	return nil
}

// tend looks at some of the items that are under way, others than the pass before where there are
// many. It reports whether any is open. What waits for its turn is given up when the campaign is.
func tend(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, now time.Time,
) (open bool, err error) {
	var all []string
	for _, g := range Stages() {
		if !g.isOpen() {
			continue
		}
		keys, err := listItems(ctx, s, c.Name, g)
		if err != nil {
			return true, err
		}
		open = open || len(keys) > 0
		if g == Waiting && c.State != Aborted {
			continue
		}
		for _, key := range keys {
			all = append(all, string(g)+"/"+key)
		}
	}
	slices.Sort(all)
	from, _ := slices.BinarySearch(all, r.cursors[c.Name]+"\x00")
	all = slices.Concat(all[from:], all[:from])
	for _, at := range all[:min(len(all), passItems)] {
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		g, key := splitStage(at)
		if err := step(ctx, r, s, c, g, key, now); err != nil {
			return true, err
		}
		r.cursors[c.Name] = at
	}
	if len(all) == 0 {
		delete(r.cursors, c.Name)
	}
	return open, nil
}

// step looks at an item, does what is to be done, and stores where it is then.
func step(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, g Stage, key string,
	now time.Time,
) error {
	it, err := readItem(ctx, s, c.Name, g, key)
	if err != nil || it == nil {
		return err
	}
	filed := it.FiledAt
	if latest := r.Account.Corrected(); g == Waiting || filed.After(latest) {
		it.FiledAt = latest // or a clock that was ahead would hold it up
	}
	f, cert, err := look(ctx, r, s, c, it, now)
	if err != nil {
		return err
	}
	to := next(&c.Plan, it, f)
	switch c.State {
	case Aborted:
		to, err = aborted(ctx, r, s, c, it, f)
	case Paused:
		if to.Do != Nothing {
			return nil
		}
	default:
		err = do(ctx, r, s, c, it, &to, f)
	}
	if err != nil {
		return err
	}
	by := it.By // of one that is revoked, nothing more is looked up
	handed := time.Time{}
	if f.Heir != nil {
		by, handed = f.Heir.Serial, f.Heir.Handed
	}
	if to.Stage == g && it.Why == to.Why && it.By == by && it.FiledAt.Equal(filed) {
		return nil
	}
	if to.Stage == Left && cert != nil && cert.Replacement != nil {
		if err := orders.ForgetReplaced(ctx, r.Orders, s, cert); err != nil {
			return err
		}
	}
	it.Why, it.By, it.At, it.HandedAt = to.Why, by, r.Now(), handed
	if err := moveItem(ctx, s, c.Name, it, to.Stage); err != nil {
		return err
	}
	if to.Stage == Stuck {
		return tellStuck(ctx, r, s, c.Name, cert)
	}
	return nil
}

// do does the deed of a step. What refuses it is what keeps the item.
func do(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, it *Item, to *Step, f Facts,
) error {
	switch to.Do {
	case File:
		return orders.WantReplaced(ctx, r.Orders, s, it.Serial, certificates.Replacement{
			For: c.Name, Why: c.Plan.Note, NewOrder: c.Plan.Revoke,
		})
	case Take:
		at, err := take(ctx, s, c, f.Newest)
		if err == nil && at == Left {
			to.Stage, to.Why = Left, "CERTInext revokes its order as a whole, and certificate "+
				colons(f.Newest)+" of the same order is left as it is"
		}
		return err
	case Revoke:
		queued, err := certificates.RevokeReplaced(ctx, r.Certificates, s, it.Serial,
			c.Plan.Reason, "campaign "+c.Name)
		if err == nil && !queued {
			to.Stage, to.Why = Stuck, "its order has a newer certificate, or is about to, which "+
				"CERTInext would revoke, too"
		}
		return err
	default:
		return nil
	}
}

// take makes the newest certificate of an order part of a campaign, unless it is, and returns at
// which stage it is.
func take(ctx context.Context, s logical.Storage, c *Campaign, serial string) (Stage, error) {
	cert, err := certificates.Read(ctx, s, serial)
	if err != nil || cert == nil {
		return "", err
	}
	it := &Item{Serial: serial, Role: cert.Role, At: c.CreatedAt}
	it.key = keyFor(&c.Plan, cert.Role, serial, cert.NotAfter)
	for _, g := range Stages() {
		there, err := readItem(ctx, s, c.Name, g, it.key)
		if err != nil || there != nil {
			return g, err
		}
	}
	return Waiting, moveItem(ctx, s, c.Name, it, Waiting)
}

// aborted is the step for an item of a campaign that was aborted: what was not replaced by then is
// not, and what was not to be revoked by then stays valid.
func aborted(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, it *Item, f Facts,
) (Step, error) {
	switch {
	case f.Revoked:
		return nextRevoked(&c.Plan, it, f), nil
	case f.Revoking:
		return Step{Stage: Left, Why: "the campaign was aborted when its revocation was queued, " +
			"which goes on"}, nil
	case f.Heir != nil && !f.Heir.Handed.IsZero():
		return Step{Stage: Replaced, Why: "the campaign was aborted: it is not revoked for that"},
			nil
	}
	err := orders.DropReplaced(ctx, r.Orders, s, it.Serial, c.Name)
	return Step{Stage: Left, Why: "the campaign was aborted"}, err
}

// tellStuck tells, once for a campaign, that something could not be replaced.
func tellStuck(
	ctx context.Context, r *Runner, s logical.Storage, name string, cert *certificates.Entry,
) error {
	tell := false
	_, err := change(ctx, r, s, name, func(c *Campaign) (bool, error) {
		tell = !c.ToldStuck
		c.ToldStuck = true
		return tell, nil
	})
	if err != nil || !tell {
		return err
	}
	n := notices.Notice{Change: notices.CampaignStuck, Path: "replace/" + name}
	if cert != nil {
		n.Role, n.Serial = cert.Role, colons(cert.Serial)
	}
	r.Notices.Tell(n)
	return nil
}

// end ends a campaign of which nothing is open.
func end(ctx context.Context, r *Runner, s logical.Storage, name string) error {
	tell := false
	c, err := change(ctx, r, s, name, func(c *Campaign) (bool, error) {
		tell = c.State == Running || (c.State == Aborted && !c.Ended)
		if c.State == Running {
			c.State = Done
		}
		c.Ended = true
		if tell {
			c.ChangedAt = r.Now()
		}
		return tell, nil
	})
	if err != nil || !tell {
		return err
	}
	counts, err := count(ctx, s, name)
	if err != nil {
		r.Log.Warn("how a campaign has ended could not be counted", "campaign", name,
			"error", sanitize.Error(err))
	}
	r.Log.Info("a campaign is over", "campaign", name, "state", c.State,
		"replaced", counts[Replaced], "left", counts[Left])
	r.Notices.Tell(notices.Notice{
		Change: notices.CampaignOver, Path: "replace/" + name, State: string(c.State),
	})
	return nil
}

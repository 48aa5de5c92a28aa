// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// errPresumed is the error for an order in doubt that counts as never taken because the operator
// has said so beforehand, and not because that is proved (ADR 0051).
var errPresumed = fmt.Errorf("%w, as presume_absent_after in config has it", errNeverTaken)

// mayPresume reports whether the order counts as never taken once CERTInext's records have left it
// out for long enough. Of drafts it is not known whether the records show them, and of a reissue
// the order itself tells.
func mayPresume(d *driver) bool {
	o := d.order
	return d.config.PresumeAbsentAfter > 0 && o.Reissue == nil && !o.Draft && !o.promoting() &&
		o.PromotedAt.IsZero()
}

// wantsWhole reports whether only a whole reading of the records tells something new of the order:
// CERTInext has had the time to show it.
func wantsWhole(d *driver) bool {
	return mayPresume(d) && d.sinceAsked() >= d.config.EffectiveAbsentAfter()
}

// leavesOut reports whether a reading shows that CERTInext's records leave the order out: it is
// whole, began after they have had the time to show it, and has no row that could be the order's.
func leavesOut(d *driver, g *reading) bool {
	from := d.journal.registry.lastAsked(d.order.ID).Add(d.config.EffectiveAbsentAfter())
	return mayPresume(d) && g.state == readingComplete && !g.begun.Before(from) &&
		!g.mayShow(d.order)
}

// presume notes that the whole reading g leaves the order out, and returns [errPresumed] when the
// records have done so for long enough, by a clock that agrees with CERTInext's the first time and
// now: from the end of the first such reading to the beginning of this one. Each time, they have
// to show another order of the role's, of the same kind: so they are the mount's, and show markers.
func presume(ctx context.Context, d *driver, g *reading) error {
	o := d.order
	shown, err := showsOurs(ctx, d, g)
	if err != nil || shown == "" {
		return err
	}
	now, certain := d.journal.Account.Time()
	if !certain {
		return nil
	}
	if o.LeftOutSince.IsZero() || now.Before(o.LeftOutSince) {
		o.LeftOutSince, o.dirty = now, true
		return nil
	}
	began := now.Add(-d.journal.Steady().Sub(g.begun))
	if began.Sub(o.LeftOutSince) < d.config.PresumeAbsentAfter {
		return nil
	}
	d.journal.Log.Warn("an order counts as never placed, as presume_absent_after in config has "+
		"it: should CERTInext have it all the same, it is paid twice",
		"role", o.Role, "order_id", o.ID, "marker", o.marker())
	return fmt.Errorf("%w: its records show order %s, and have not shown this one since %s",
		errPresumed, sanitize.Short(shown), o.LeftOutSince.UTC().Format(time.RFC3339))
}

// maxLookedUp bounds how many closed orders are read in search of one that the records show.
const maxLookedUp = 50

// showsOurs returns CERTInext's number of a closed order of the role's, placed in the same scope as
// the one in doubt, that a reading shows with its marker; empty when there is none.
func showsOurs(ctx context.Context, d *driver, g *reading) (number string, err error) {
	o := d.order
	ids, err := store.List(ctx, d.storage, closedOrderPrefix+o.Role+"/")
	if err != nil {
		return "", err
	}
	scope := laterOrderOf(o, time.Time{}).scope
	for _, id := range ids[:min(len(ids), maxLookedUp)] {
		other, err := store.Get[orderEntry](ctx, d.storage, closedOrderPrefix+o.Role+"/"+id)
		switch {
		case store.IsFault(err):
			return "", err
		case err != nil || other == nil || other.CAOrderID == "" || other.Reissue != nil:
		case laterOrderOf(other, time.Time{}).scope != scope:
		case g.showsMarker(other.marker()):
			return other.CAOrderID, nil
		}
	}
	return "", nil
}

func (g *reading) showsMarker(marker string) bool {
	_, shown := g.marked[g.hash(strings.ToLower(marker))]
	return shown
}

// presumedNeed says of an order in doubt what else ends the doubt; nothing when it is not of the
// kind that is presumed absent.
func presumedNeed(d *driver) []string {
	o, after := d.order, d.config.PresumeAbsentAfter
	switch {
	case o.Reissue != nil || o.Draft || o.promoting() || !o.PromotedAt.IsZero():
		return nil
	case after == 0:
		return []string{"it stays in doubt until CERTInext's records show an order that this " +
			"mount has placed much later, and not this one; presume_absent_after in config, if " +
			"an operator sets it, says after how long in which they do not show it that is not " +
			"waited for"}
	case o.LeftOutSince.IsZero():
		return []string{fmt.Sprintf("it counts as never placed %s after CERTInext's records, read "+
			"whole, first left it out (presume_absent_after in config)", phrase.Duration(after))}
	}
	return []string{fmt.Sprintf("it counts as never placed from %s on, unless CERTInext's records "+
		"show it by then (presume_absent_after in config); the next request buys then",
		o.LeftOutSince.Add(after).UTC().Format(time.RFC3339))}
}

// isPresumed reports whether an order is closed without proof, so that it may cost money.
func isPresumed(err error) bool { return errors.Is(err, errPresumed) }

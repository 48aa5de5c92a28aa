// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"errors"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Request asks for a synchronization: see [Inventory.Sync].
type Request struct {
	// IncludeExpired imports certificates that have expired, too.
	IncludeExpired bool
}

// Sync starts a synchronization in the background and returns its status at once. It imports the
// certificates of the account's orders that were not placed by this mount, and records revocations
// that did not go through it. It reads the whole orders report each time: the report's dates may be
// those of the orders, and an old order may be issued, reissued or revoked today.
//
// When a synchronization is already running, it goes on as it was requested, and Sync returns its
// status. The config's rate limit bounds the calls. A synchronization that was cut short, by a
// restart for example, goes on with the next background pass from the page that it had come to,
// and downloads no certificate twice.
func (inv *Inventory) Sync(ctx context.Context, s logical.Storage, r Request) (*Status, error) {
	_, cfg, err := inv.Account.Client(ctx, s)
	if err != nil {
		return nil, err
	}
	before, err := inv.Status(ctx, s)
	if err != nil {
		return nil, err
	}
	if !inv.sync.begin() {
		if r.IncludeExpired && !before.IncludeExpired {
			return nil, fault.BadField("include_expired", "cannot be set while "+
				"a synchronization without it is running: wait until it has ended")
		}
		return before, nil
	}
	st := follow(before, cfg.Account())
	st.IncludeExpired, st.StartedAt = r.IncludeExpired, inv.Now()
	return inv.begin(ctx, s, st)
}

// follow returns the status of a synchronization that follows another one.
func follow(before *Status, acct string) *Status {
	st := &Status{Version: 1, State: Running, Account: acct}
	if account.SameAccount(before.Account, acct) {
		st.LastSuccess, st.Gone, st.GoneOrders = before.LastSuccess, before.Gone, before.GoneOrders
	}
	return st
}

// begin stores the status of a synchronization before it starts. The caller has called begin of the
// state.
func (inv *Inventory) begin(
	ctx context.Context, s logical.Storage, st *Status,
) (*Status, error) {
	if err := store.Put(ctx, s, statusKey, st); err != nil {
		inv.sync.end()
		return nil, err
	}
	begun := st.copy()
	inv.start(ctx, s, st)
	return begun, nil
}

// Tend begins a synchronization once the last one is as old as the config's sync_interval, and goes
// on with one that another process, which has died or stepped down, has not finished. The
// background pass calls it; held is set while nothing may be changed from here.
func (inv *Inventory) Tend(ctx context.Context, s logical.Storage, held bool) error {
	st, err := inv.Status(ctx, s)
	if err != nil {
		return err
	}
	acct, interval := st.Account, time.Duration(0)
	switch _, cfg, err := inv.Account.Client(ctx, s); {
	case err == nil:
		acct, interval = cfg.Account(), cfg.SyncInterval
	case !errors.Is(err, fault.ErrNotConfigured):
		return err
	}
	what := nextStep(st, acct, interval, held, inv.Now())
	if what == stepNone || !inv.sync.begin() {
		return nil
	}
	if what == stepResume {
		st.State, st.FinishedAt, st.LastError = Running, time.Time{}, ""
		inv.start(ctx, s, st)
		return nil
	}
	st = follow(st, acct)
	st.Automatic, st.StartedAt = true, inv.Now()
	_, err = inv.begin(ctx, s, st)
	return err
}

// start runs a synchronization in the background, and stores its outcome in st. It ends with the
// engine. The caller has called begin of the state.
func (inv *Inventory) start(ctx context.Context, s logical.Storage, st *Status) {
	ctx, stop := inv.Detached(ctx)
	st.begun, st.base = inv.Steady(), st.Seen
	inv.sync.publish(st)
	inv.Work.Go(func() {
		defer stop()
		defer inv.sync.end()
		err := inv.readReport(ctx, s, st)
		if inv.Alive.Err() != nil {
			return // the stored state stays Running, so the next process resumes it
		}
		st.finish(inv.Now(), err)
		if err != nil {
			inv.Log.Warn("synchronizing with CERTInext's records failed", "error", err)
		}
		if st.Distrusted+st.Refused > 0 {
			inv.Log.Warn("certificates were synchronized that clients refuse; "+
				"inventory/certs lists them by trust", "distrusted", st.Distrusted,
				"refused by a family of clients", st.Refused, "imported", st.Imported)
		}
		if err := store.Put(ctx, s, statusKey, st); err != nil {
			inv.Log.Error("the state of the synchronization could not be stored", "error", err)
		}
	})
}

// finish notes how a synchronization has ended.
func (st *Status) finish(now time.Time, err error) {
	st.FinishedAt = now
	if err != nil {
		st.State, st.LastError = Failed, sanitize.Short(err.Error())
		st.Attempts++
		return
	}
	st.State, st.Page, st.Attempts, st.LastSuccess = Done, 0, 0, now
}

// storeEvery is how often the progress is stored: a process that goes on reads the report again
// from there, and downloads nothing twice.
const storeEvery = 5 * time.Second

// readReport handles all rows of CERTInext's orders report. An error ends the synchronization.
func (inv *Inventory) readReport(ctx context.Context, s logical.Storage, st *Status) error {
	client, cfg, err := inv.Account.Client(ctx, s)
	if err != nil {
		return err
	}
	if !account.SameAccount(st.Account, cfg.Account()) {
		return certificates.ErrOtherAccount
	}
	if err := inv.Certificates.Numbers.Complete(ctx, s); err != nil {
		return err
	}
	y := &syncer{
		inv: inv, storage: s, client: client, account: st.Account, group: cfg.GroupNumber,
		status: st, stored: inv.Steady(), resumed: st.Page > 1,
	}
	w, pages := newWalk(st.Page), client.ReportPages()
	for w.state == walkOn {
		if err := y.waitOutPause(ctx); err != nil {
			return err
		}
		p, err := pages.Read(ctx, w.page)
		if err != nil {
			return err
		}
		if err := y.handlePage(ctx, w, w.add(p)); err != nil {
			return err
		}
	}
	st.Whole = w.state == walkWhole
	if !st.Whole {
		return y.endIncomplete(w)
	}
	return noteListed(ctx, s, st, y.numbers)
}

// errIncomplete is why a synchronization has failed although it has read the report to its end.
var errIncomplete = errors.New("CERTInext's records show fewer orders than they announce")

// endIncomplete returns an error when orders are certainly missing from what was read.
func (y *syncer) endIncomplete(w *walk) error {
	if w.total > w.orders {
		y.status.Page = 0 // there is nothing to go on from
		return errIncomplete
	}
	return nil
}

// waitOutPause waits while background work makes no calls to CERTInext.
func (y *syncer) waitOutPause(ctx context.Context) error {
	acct := y.inv.Account
	for acct.Paused() {
		pause := acct.Breaker.Now().Until.Sub(acct.Now())
		if host.Sleep(ctx, min(max(pause, time.Second), time.Minute)) {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

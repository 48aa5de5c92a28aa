// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// key is where it is stored how far the last synchronization has got.
const key = "sync"

// A Request asks for the account's certificates that this mount does not know.
type Request struct {
	// IncludeExpired takes in certificates that have expired, too.
	IncludeExpired bool
}

// The states of a synchronization.
const (
	Never   = "never"
	Running = "running"
	Done    = "done"
	Failed  = "failed" // what it has taken in is not asked for again
)

// A Status tells how far the last synchronization has got.
type Status struct {
	Version        int       `json:"version"`
	State          string    `json:"state"`
	Account        string    `json:"account"`
	IncludeExpired bool      `json:"include_expired,omitempty"`
	StartedAt      time.Time `json:"started_at,omitzero"`
	FinishedAt     time.Time `json:"finished_at,omitzero"`

	Seen        int    `json:"seen"`        // orders looked at
	Imported    int    `json:"imported"`    // certificates that the mount did not know
	Revoked     int    `json:"revoked"`     // known ones that somebody has revoked at CERTInext
	Unavailable int    `json:"unavailable"` // certificates that CERTInext does not serve, e.g. since they are revoked
	Failed      int    `json:"failed"`      // orders whose certificate could not be had this time
	LastError   string `json:"last_error,omitempty"`
}

// synchronizing is the synchronization that is under way in this process, if any.
type synchronizing struct {
	mu      sync.Mutex
	running bool
}

func (y *synchronizing) begin() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	begun := !y.running
	y.running = true
	return begun
}

func (y *synchronizing) end() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.running = false
}

// Status returns how far the last synchronization has got.
func (inv *Inventory) Status(ctx context.Context, s logical.Storage) (*Status, error) {
	st, err := store.Get[Status](ctx, s, key)
	if err == nil && st == nil {
		st = &Status{State: Never}
	}
	return st, err
}

// Sync begins to take in the certificates of the account's orders that were not placed by this mount, and the revocations that did
// not go through it. It reads all of the report each time, since its days may be those of the order: an old one may be
// issued, reissued or revoked today. It returns at once; one that is under way already goes on as it was asked for. It is bounded by the
// config's rate limit, and one that was cut short begins anew with the next background pass: what it has taken in is not asked
// for twice.
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
			return nil, fault.BadField("include_expired", "cannot be set now: a synchronization without it is running")
		}
		return before, nil
	}
	st := &Status{
		Version: 1, State: Running, Account: cfg.Account(), IncludeExpired: r.IncludeExpired, StartedAt: inv.Now(),
	}
	if err := store.Put(ctx, s, key, st); err != nil {
		inv.sync.end()
		return nil, err
	}
	asked := *st
	inv.synchronize(ctx, s, st)
	return &asked, nil
}

// Resume goes on with a synchronization that a process which has died, or has stepped down, left unfinished.
func (inv *Inventory) Resume(ctx context.Context, s logical.Storage) error {
	st, err := inv.Status(ctx, s)
	if err != nil || st.State != Running || !inv.sync.begin() {
		return err
	}
	st.LastError = ""
	st.Seen, st.Imported, st.Revoked, st.Unavailable, st.Failed = 0, 0, 0, 0, 0
	inv.synchronize(ctx, s, st)
	return nil
}

// synchronize works behind the caller's back. It ends with the engine.
func (inv *Inventory) synchronize(ctx context.Context, s logical.Storage, st *Status) {
	ctx, stop := inv.Outlive(ctx)
	inv.Work.Go(func() {
		defer stop()
		defer inv.sync.end()
		err := inv.syncRows(ctx, s, st)
		if inv.Alive.Err() != nil {
			return // its state stays running: the next process goes on
		}
		st.State, st.FinishedAt = Done, inv.Now()
		if err != nil {
			st.State, st.LastError = Failed, sanitize.Short(err.Error())
			inv.Log.Warn("synchronizing with CERTInext's records failed", "error", err)
		}
		if err := store.Put(ctx, s, key, st); err != nil {
			inv.Log.Error("the state of the synchronization could not be stored", "error", err)
		}
	})
}

// syncEvery is after how many orders the progress is stored.
const syncEvery = 50

func (inv *Inventory) syncRows(ctx context.Context, s logical.Storage, st *Status) error {
	client, cfg, err := inv.Account.Client(ctx, s)
	if err != nil {
		return err
	}
	if !account.SameAccount(st.Account, cfg.Account()) {
		return certificates.ErrOtherAccount
	}
	own, err := inv.orders.Own(ctx, s)
	if err != nil {
		return err
	}
	y := &syncer{inv: inv, storage: s, client: client, account: st.Account, status: st, own: own}
	y.learnFamilies(ctx, cfg.GroupNumber)
	for row, err := range client.OrdersReport(ctx, certinext.ReportFilter{}) {
		if err != nil {
			return err
		}
		if err := y.row(ctx, row); err != nil {
			return err
		}
		if st.Seen++; st.Seen%syncEvery == 0 {
			if err := store.Put(ctx, s, key, st); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// A syncer takes in the certificates of one reading of CERTInext's records.
type syncer struct {
	inv      *Inventory
	storage  logical.Storage
	client   *certinext.Client
	account  string
	status   *Status
	own      map[string]bool
	families map[string]certinext.Family // by product code
	newest   map[string]string           // serial numbers by CERTInext's order numbers; nil until it is needed
}

// learnFamilies asks the catalog which family a product is of. Without it the families are tried one after the other.
func (y *syncer) learnFamilies(ctx context.Context, group string) {
	products, err := y.client.Products(ctx, group)
	if err != nil {
		y.inv.Log.Debug("the catalog could not be asked for the families of products", "error", err)
	}
	y.families = make(map[string]certinext.Family, len(products))
	for _, p := range products {
		y.families[p.Code] = p.Family
	}
}

// row takes in one order. What is wrong with it is counted; an error ends the synchronization.
func (y *syncer) row(ctx context.Context, row certinext.ReportRow) error {
	if row.OrderID == "" || y.isOwn(row) {
		return nil
	}
	serial, known, err := y.known(ctx, row)
	if err != nil {
		return err
	}
	switch status := row.Status(); {
	case known && status == certinext.StatusRevoked:
		return y.revoked(ctx, serial, row)
	case known, status.Terminal() && status != certinext.StatusRevoked && status != certinext.StatusExpired:
		return nil
	case status == certinext.StatusRevoked:
		y.status.Unavailable++ // CERTInext does not serve it any more (observed)
		if err := y.learnNewest(ctx); err != nil || y.newest[row.OrderID] == "" {
			return err
		}
		return y.revoked(ctx, y.newest[row.OrderID], row) // it was reissued, and then revoked
	case !row.ExpiresAt.IsZero() && row.ExpiresAt.Before(y.inv.Now()) && !y.status.IncludeExpired:
		return nil
	case row.SerialNumber == "" && status != certinext.StatusIssued:
		return nil // not issued yet
	}
	return y.take(ctx, row)
}

func (y *syncer) isOwn(row certinext.ReportRow) bool {
	if y.own[row.OrderID] {
		return true
	}
	for _, tag := range row.Tags {
		if y.own[strings.ToLower(tag)] {
			return true
		}
	}
	return false
}

// serialsOf are the serial numbers, with dashes, that a row may mean. The service writes them in decimal, the documentation in hexadecimal.
func serialsOf(row certinext.ReportRow) []string {
	var out []string
	if n, ok := new(big.Int).SetString(row.SerialNumber, 10); ok && n.Sign() > 0 {
		out = append(out, serials.Key(n))
	}
	if hex, err := serials.Parse("serial", row.SerialNumber); err == nil {
		out = append(out, hex)
	}
	return out
}

// known reports whether the mount has the certificate of a row.
func (y *syncer) known(ctx context.Context, row certinext.ReportRow) (serial string, known bool, err error) {
	for _, candidate := range serialsOf(row) {
		c, err := certificates.Read(ctx, y.storage, candidate)
		if err != nil {
			return "", false, err
		}
		if c != nil && c.CAOrderID == row.OrderID {
			return candidate, true, nil
		}
	}
	return "", false, nil
}

// revoked stores that a certificate of the mount was revoked without it.
func (y *syncer) revoked(ctx context.Context, serial string, row certinext.ReportRow) error {
	e := y.inv
	c, err := certificates.Read(ctx, y.storage, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	remote, err := y.client.TrackOrder(ctx, c.Family, row.OrderID)
	if err != nil || remote.Status != certinext.StatusRevoked {
		y.failed(row, err)
		return ctx.Err()
	}
	unlock, err := e.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	if c, err = certificates.Read(ctx, y.storage, serial); err != nil || c == nil || c.Revocation != nil {
		return err
	}
	y.status.Revoked++
	at, reason := certificates.RevocationOf(remote, e.Now())
	return e.Certificates.RecordRevocation(ctx, y.storage, c, at, reason)
}

// take downloads and stores the certificate of a row.
func (y *syncer) take(ctx context.Context, row certinext.ReportRow) error {
	bundle, family, err := y.download(ctx, row)
	switch {
	case certinext.IsNotReady(err):
		y.status.Unavailable++
		return nil
	case err != nil:
		y.failed(row, err)
		return ctx.Err()
	}
	cert, err := certificates.AssembleAny(bundle)
	if err != nil {
		y.failed(row, err)
		return nil
	}
	if named := serialsOf(row); len(named) > 0 && !slices.Contains(named, serials.Key(cert.Leaf.SerialNumber)) {
		// No key tells whether it is the order's: it may be another order's, or was reissued since the report was read.
		y.failed(row, errors.New("the delivered certificate has another serial number than the report's"))
		return nil
	}
	now := y.inv.Now()
	c := certificates.NewEntry(cert, now)
	c.CAOrderID, c.Account, c.Family = row.OrderID, y.account, family
	c.Imported, c.Delivery = true, &certificates.Delivery{At: now} // nobody waits for it
	if err := y.succeed(ctx, c); err != nil {
		return err
	}
	unlock, err := y.inv.Certificates.Lock(ctx, c.Serial)
	if err != nil {
		return err
	}
	defer unlock()
	stored, err := certificates.Read(ctx, y.storage, c.Serial)
	if err != nil || stored != nil {
		return err // the mount knows more of it than the records do
	}
	y.status.Imported++
	return store.Put(ctx, y.storage, c.Key(), c)
}

// succeed ties c to the certificate of the same order that the mount has, if any: it was reissued outside of the mount, and CERTInext
// revokes the two together.
func (y *syncer) succeed(ctx context.Context, c *certificates.Entry) error {
	if err := y.learnNewest(ctx); err != nil {
		return err
	}
	serial := y.newest[c.CAOrderID]
	if serial == "" || serial == c.Serial {
		return nil
	}
	unlock, err := y.inv.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := certificates.Read(ctx, y.storage, serial)
	if err != nil || before == nil || before.NotBefore.After(c.NotBefore) {
		return err
	}
	before.ReissuedAs, c.Replaces = c.Serial, serial
	return store.Put(ctx, y.storage, before.Key(), before)
}

// learnNewest finds the newest certificate of each of the account's orders among those of the mount.
func (y *syncer) learnNewest(ctx context.Context) error {
	if y.newest != nil {
		return nil
	}
	serials, err := store.List(ctx, y.storage, certificates.Prefix)
	if err != nil {
		return err
	}
	newest, since := make(map[string]string), make(map[string]time.Time)
	for _, serial := range serials {
		c, err := certificates.Read(ctx, y.storage, serial)
		if err != nil {
			return err
		}
		if c != nil && (c.Account == "" || account.SameAccount(c.Account, y.account)) && !c.NotBefore.Before(since[c.CAOrderID]) {
			newest[c.CAOrderID], since[c.CAOrderID] = serial, c.NotBefore
		}
	}
	y.newest = newest
	return nil
}

// download finds the certificate of an order whose family is not known for certain: an order that is asked for in another family than
// its own is answered 404 (observed).
func (y *syncer) download(ctx context.Context, row certinext.ReportRow) (*certinext.Bundle, certinext.Family, error) {
	families := []certinext.Family{certinext.FamilySSL, certinext.FamilyPrivatePKI, certinext.FamilySignature, certinext.FamilySMIME}
	if f := y.families[row.ProductCode]; f != "" {
		families = []certinext.Family{f}
	}
	var errs []error
	for _, f := range families {
		bundle, err := y.client.Certificate(ctx, f, row.OrderID)
		if err == nil {
			return bundle, f, nil
		}
		if errs = append(errs, err); !certinext.IsNotReady(err) {
			break
		}
	}
	return nil, "", errs[len(errs)-1]
}

func (y *syncer) failed(row certinext.ReportRow, err error) {
	y.status.Failed++
	if err == nil {
		err = errors.New("its status is another one than the report's")
	}
	y.status.LastError = sanitize.Short(fmt.Sprintf("CERTInext order %s: %v", row.OrderID, err))
}

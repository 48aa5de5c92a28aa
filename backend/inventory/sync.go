// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// statusKey is the storage key of the last synchronization's [Status].
const statusKey = "sync"

// A Request asks for a synchronization: see [Inventory.Sync].
type Request struct {
	// IncludeExpired imports certificates that have expired, too.
	IncludeExpired bool
}

// The states of a synchronization.
const (
	Never   = "never"
	Running = "running"
	Done    = "done"
	Failed  = "failed" // ended early; what was imported stays, and is not downloaded again
)

// A Status describes the progress of the last synchronization.
type Status struct {
	Version        int       `json:"version"`
	State          string    `json:"state"`
	Account        string    `json:"account"`
	IncludeExpired bool      `json:"include_expired,omitempty"`
	StartedAt      time.Time `json:"started_at,omitzero"`
	FinishedAt     time.Time `json:"finished_at,omitzero"`

	Seen     int `json:"seen"`     // orders read from the report
	Imported int `json:"imported"` // certificates that the mount did not know
	Revoked  int `json:"revoked"`  // known certificates that were revoked outside of the mount
	// Unavailable counts certificates that CERTInext does not serve, e.g. because they are revoked.
	Unavailable int `json:"unavailable"`
	// Failed counts orders whose certificate could not be downloaded or verified this time.
	Failed    int    `json:"failed"`
	LastError string `json:"last_error,omitempty"` // of the latest failure
}

// A syncState says whether a synchronization is under way in this process.
type syncState struct {
	mu      sync.Mutex
	running bool
}

// begin reports whether the caller may start a synchronization, and has to call end after it.
func (y *syncState) begin() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	begun := !y.running
	y.running = true
	return begun
}

func (y *syncState) end() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.running = false
}

// Status returns the progress of the last synchronization. Its State is [Never] when there was
// none.
func (inv *Inventory) Status(ctx context.Context, s logical.Storage) (*Status, error) {
	st, err := store.Get[Status](ctx, s, statusKey)
	if err == nil && st == nil {
		st = &Status{State: Never}
	}
	return st, err
}

// Sync starts a synchronization in the background and returns its status at once. It imports the
// certificates of the account's orders that were not placed by this mount, and records revocations
// that did not go through it. It reads the whole orders report each time: the report's dates may be
// those of the orders, and an old order may be issued, reissued or revoked today.
//
// When a synchronization is already running, it goes on as it was requested, and Sync returns its
// status. The config's rate limit bounds the calls. A synchronization that was cut short, by a
// restart for example, starts over with the next background pass, and downloads no certificate
// twice.
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
	st := &Status{
		Version: 1, State: Running, Account: cfg.Account(),
		IncludeExpired: r.IncludeExpired, StartedAt: inv.Now(),
	}
	if err := store.Put(ctx, s, statusKey, st); err != nil {
		inv.sync.end()
		return nil, err
	}
	begun := *st
	inv.start(ctx, s, st)
	return &begun, nil
}

// Resume starts a synchronization over that another process, which has died or stepped down, has
// not finished. The background pass calls it.
func (inv *Inventory) Resume(ctx context.Context, s logical.Storage) error {
	st, err := inv.Status(ctx, s)
	if err != nil || st.State != Running || !inv.sync.begin() {
		return err
	}
	st.LastError = ""
	st.Seen = 0
	st.Imported = 0
	st.Revoked = 0
	st.Unavailable = 0
	st.Failed = 0
	inv.start(ctx, s, st)
	return nil
}

// start runs a synchronization in the background, and stores its outcome in st. It ends with the
// engine. The caller has called begin.
func (inv *Inventory) start(ctx context.Context, s logical.Storage, st *Status) {
	ctx, stop := inv.Detached(ctx)
	inv.Work.Go(func() {
		defer stop()
		defer inv.sync.end()
		err := inv.readReport(ctx, s, st)
		if inv.Alive.Err() != nil {
			return // the stored state stays Running, so the next process resumes it
		}
		st.State, st.FinishedAt = Done, inv.Now()
		if err != nil {
			st.State, st.LastError = Failed, sanitize.Short(err.Error())
			inv.Log.Warn("synchronizing with CERTInext's records failed", "error", err)
		}
		if err := store.Put(ctx, s, statusKey, st); err != nil {
			inv.Log.Error("the state of the synchronization could not be stored", "error", err)
		}
	})
}

// storeEvery is the number of orders after which the progress is stored.
const storeEvery = 50

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
	y := &syncer{inv: inv, storage: s, client: client, account: st.Account, status: st}
	y.loadFamilies(ctx, cfg.GroupNumber)
	for row, err := range client.OrdersReport(ctx, certinext.ReportFilter{}) {
		if err != nil {
			return err
		}
		if err := y.handleRow(ctx, row); err != nil {
			return err
		}
		st.Seen++
		if st.Seen%storeEvery == 0 {
			if err := store.Put(ctx, s, statusKey, st); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// A syncer handles the rows of one reading of CERTInext's orders report.
type syncer struct {
	inv      *Inventory
	storage  logical.Storage
	client   *certinext.Client
	account  string
	status   *Status
	families map[string]certinext.Family // by product code
}

// loadFamilies asks the catalog for the family of each product. Where it does not tell, download
// tries one family after the other.
func (y *syncer) loadFamilies(ctx context.Context, group string) {
	products, err := y.client.Products(ctx, group)
	if err != nil {
		y.inv.Log.Debug("the catalog could not be asked for the families of products", "error", err)
	}
	y.families = make(map[string]certinext.Family, len(products))
	for _, p := range products {
		y.families[p.Code] = p.Family
	}
}

// handleRow imports or updates the certificate of one order. A failure with this order is counted;
// an error ends the synchronization.
func (y *syncer) handleRow(ctx context.Context, row certinext.ReportRow) error {
	if row.OrderID == "" {
		return nil
	}
	known, err := y.findKnown(ctx, row)
	if err != nil {
		return err
	}
	own, err := y.inv.orders.IsOwn(ctx, y.storage, y.account, row)
	if err != nil {
		return err
	}
	switch status := row.Status(); {
	case own && (known == nil || status != certinext.StatusRevoked):
		return nil // its order is open, and takes care of itself
	case known != nil && status == certinext.StatusRevoked:
		return y.recordRevoked(ctx, known.Serial, row)
	case known != nil && known.Imported && known.Replaces != "":
		return y.linkToPrevious(ctx, known) // which a crash may have prevented
	case known != nil, isVoid(status):
		return nil
	case status == certinext.StatusRevoked:
		y.status.Unavailable++ // CERTInext no longer serves it (observed)
		numbers := &y.inv.Certificates.Numbers
		earlier, err := numbers.Newest(ctx, y.storage, y.account, row.OrderID, "")
		if err != nil || earlier == nil {
			return err
		}
		// The mount has an earlier certificate of the order, which was reissued and then revoked.
		return y.recordRevoked(ctx, earlier.Serial, row)
	case !row.ExpiresAt.IsZero() && row.ExpiresAt.Before(y.inv.Now()) && !y.status.IncludeExpired:
		return nil
	case row.SerialNumber == "" && status != certinext.StatusIssued:
		return nil // not issued yet
	}
	return y.importRow(ctx, row)
}

// isVoid reports whether an order has ended without ever having had a certificate.
func isVoid(status certinext.Status) bool {
	return status.Terminal() && status != certinext.StatusRevoked &&
		status != certinext.StatusExpired
}

// findKnown returns a row's certificate if the mount has it, and nil if not.
func (y *syncer) findKnown(
	ctx context.Context, row certinext.ReportRow,
) (*certificates.Entry, error) {
	for _, candidate := range serials.Candidates(row.SerialNumber) {
		c, err := certificates.Read(ctx, y.storage, candidate)
		if err != nil {
			return nil, err
		}
		if c != nil && c.CAOrderID == row.OrderID {
			return c, nil
		}
	}
	return nil, nil
}

// recordRevoked stores that a certificate which the mount has was revoked outside of it. It asks
// CERTInext for the order first: the report alone is not believed (ADR 0021).
func (y *syncer) recordRevoked(ctx context.Context, serial string, row certinext.ReportRow) error {
	keeper := y.inv.Certificates
	c, err := certificates.Read(ctx, y.storage, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	remote, err := y.client.TrackOrder(ctx, c.Family, row.OrderID)
	if err == nil && !account.IsAbout(remote, row.OrderID, y.client.Version) {
		err = errors.New("CERTInext answered about another order")
	}
	if err != nil || remote.Status != certinext.StatusRevoked {
		y.recordFailure(row, err)
		return ctx.Err()
	}
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err = certificates.Read(ctx, y.storage, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	y.status.Revoked++
	at, reason := certificates.RevocationOf(remote, y.inv.Now())
	return certificates.RecordOutside(ctx, keeper, y.storage, c, at, reason)
}

// importRow downloads and stores the certificate of a row.
func (y *syncer) importRow(ctx context.Context, row certinext.ReportRow) error {
	bundle, family, err := y.download(ctx, row)
	switch {
	case certinext.IsNotReady(err):
		y.status.Unavailable++
		return nil
	case err != nil:
		y.recordFailure(row, err)
		return ctx.Err()
	}
	cert, err := certificates.AssembleAny(bundle)
	if err != nil {
		y.recordFailure(row, err)
		return nil
	}
	named, delivered := serials.Candidates(row.SerialNumber), serials.Key(cert.Leaf.SerialNumber)
	if len(named) > 0 && !slices.Contains(named, delivered) {
		// The mount has no key to verify it by. It may be another order's certificate, or one that
		// was reissued since the report was read.
		y.recordFailure(row, errors.New(
			"the serial number of the delivered certificate differs from the report's",
		))
		return nil
	}
	now := y.inv.Now()
	c := certificates.NewEntry(cert, now)
	c.CAOrderID = row.OrderID
	c.Account = y.account
	c.Family = family
	c.Imported = true
	c.Delivery = &certificates.Delivery{At: now} // it was delivered outside of this mount
	if err := y.findPrevious(ctx, c); err != nil {
		return err
	}
	// The newer certificate first: one that names a successor which is not stored would revoke
	// nothing when its lease ends.
	if stored, err := y.storeImported(ctx, c); err != nil || !stored {
		return err
	}
	return y.linkToPrevious(ctx, c)
}

// storeImported stores a certificate, and reports false when the mount has it already.
func (y *syncer) storeImported(ctx context.Context, c *certificates.Entry) (bool, error) {
	unlock, err := y.inv.Certificates.Lock(ctx, c.Serial)
	if err != nil {
		return false, err
	}
	defer unlock()
	stored, err := certificates.Read(ctx, y.storage, c.Serial)
	if err != nil || stored != nil {
		return false, err // the mount's entry knows more than the report
	}
	var open *certificates.OpenOrderError
	switch err = y.inv.Certificates.Put(ctx, y.storage, c); {
	case errors.As(err, &open):
		return false, nil // it was given the number since the row was looked at
	case err != nil:
		return false, err
	}
	y.status.Imported++
	return true, nil
}

// findPrevious notes in c which certificate of the same CERTInext order the mount already has, if
// any. The latter was reissued outside of the mount, and CERTInext revokes both together (ADR
// 0013).
func (y *syncer) findPrevious(ctx context.Context, c *certificates.Entry) error {
	numbers := &y.inv.Certificates.Numbers
	previous, err := numbers.Newest(ctx, y.storage, y.account, c.CAOrderID, c.Serial)
	if err == nil && previous != nil && !previous.NotBefore.After(c.NotBefore) {
		c.Replaces = previous.Serial
	}
	return err
}

// linkToPrevious has the certificate that c replaces name c, which is stored, as its successor.
func (y *syncer) linkToPrevious(ctx context.Context, c *certificates.Entry) error {
	if c.Replaces == "" {
		return nil
	}
	unlock, err := y.inv.Certificates.Lock(ctx, c.Replaces)
	if err != nil {
		return err
	}
	defer unlock()
	previous, err := certificates.Read(ctx, y.storage, c.Replaces)
	if err != nil || previous == nil || previous.ReissuedAs == c.Serial {
		return err
	}
	previous.ReissuedAs = c.Serial
	return y.inv.Certificates.Put(ctx, y.storage, previous)
}

// download returns the certificate of an order and the order's family. Where the catalog does not
// tell the family, all are tried: CERTInext answers 404 to a family that is not the order's own
// (observed).
func (y *syncer) download(
	ctx context.Context, row certinext.ReportRow,
) (*certinext.Bundle, certinext.Family, error) {
	families := []certinext.Family{
		certinext.FamilySSL, certinext.FamilyPrivatePKI,
		certinext.FamilySignature, certinext.FamilySMIME,
	}
	if f := y.families[row.ProductCode]; f != "" {
		families = []certinext.Family{f}
	}
	var errs []error
	for _, f := range families {
		bundle, err := y.client.Certificate(ctx, f, row.OrderID)
		if err == nil {
			return bundle, f, nil
		}
		errs = append(errs, err)
		if !certinext.IsNotReady(err) {
			break
		}
	}
	return nil, "", errs[len(errs)-1]
}

// recordFailure counts a failure with one order. err is nil when the order's status is not the one
// that the report says.
func (y *syncer) recordFailure(row certinext.ReportRow, err error) {
	y.status.Failed++
	if err == nil {
		err = errors.New("its status differs from the report's")
	}
	y.status.LastError = sanitize.Short(fmt.Sprintf("CERTInext order %s: %v", row.OrderID, err))
}

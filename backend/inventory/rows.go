// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A syncer handles the rows of one reading of CERTInext's orders report.
type syncer struct {
	inv      *Inventory
	storage  logical.Storage
	client   *certinext.Client
	account  string
	group    string // the config's
	status   *Status
	families map[string]certinext.Family // by product code; nil until they are needed
	numbers  []string                    // of the orders that were seen
	moved    int                         // see [walk]; the numbers are those seen since
	resumed  bool                        // an earlier process has read the first pages
	stored   time.Time                   // when the progress was, by the clock that nobody sets
}

// handlePage handles what a page of the report has shown, and shows and stores the progress.
func (y *syncer) handlePage(ctx context.Context, w *walk, rows []sighting) error {
	if w.total >= 0 {
		y.status.Total = w.total
	}
	if w.moved != y.moved {
		y.moved, y.numbers = w.moved, nil
	}
	for _, seen := range rows {
		before := y.status.changes()
		if err := y.handleRow(ctx, seen.row); err != nil {
			return err
		}
		if seen.isNew && isPlain(seen.row.OrderID) {
			y.numbers = append(y.numbers, seen.row.OrderID)
		}
		if y.status.changes() != before {
			if err := y.keepProgress(ctx); err != nil {
				return err
			}
		}
	}
	if w.state != walkOn {
		y.status.Seen = w.orders
		return nil
	}
	y.status.Seen = max(y.status.Seen, w.orders, min(w.total, y.status.base+w.orders))
	y.status.Page = w.page
	if w.page == 1 && y.resumed {
		// From here on it sees all that the process before it has seen, and counts it again.
		y.resumed = false
		y.status.Failed, y.status.Unavailable, y.status.Failures = 0, 0, nil
	}
	return y.keepProgress(ctx)
}

// keepProgress shows the progress to those who ask, and stores it from time to time.
func (y *syncer) keepProgress(ctx context.Context) error {
	y.inv.sync.publish(y.status)
	now := y.inv.Steady()
	if now.Sub(y.stored) < storeEvery {
		return nil
	}
	y.stored = now
	return store.Put(ctx, y.storage, statusKey, y.status)
}

// changes counts what a synchronization has changed or could not do.
func (st *Status) changes() int { return st.Imported + st.Revoked + st.Unavailable + st.Failed }

// isPlain reports whether a text may be a number of CERTInext's: letters, digits and signs, and not
// many of them.
func isPlain(number string) bool {
	if number == "" || len(number) > 64 {
		return false
	}
	return !strings.ContainsFunc(number, func(r rune) bool { return r <= ' ' || r > '~' })
}

// loadFamilies asks the catalog for the family of each product, once, when the first certificate is
// to be downloaded. Where it does not tell, download tries one family after the other.
func (y *syncer) loadFamilies(ctx context.Context) {
	if y.families != nil {
		return
	}
	products, err := y.client.Products(ctx, y.group)
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
	switch {
	case row.OrderID == "":
		return nil // a draft
	case !isPlain(row.OrderID):
		y.recordFailure(row, errors.New("that is no number of an order"))
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
		numbers := &y.inv.Certificates.Numbers
		earlier, err := numbers.Newest(ctx, y.storage, y.account, row.OrderID, "")
		if err == nil && (earlier == nil || row.SerialNumber != "") {
			y.status.Unavailable++ // CERTInext no longer serves it (observed)
		}
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
	if row.SerialNumber != "" || row.Status() != certinext.StatusIssued {
		return nil, nil
	}
	// Version 1 may leave the serial number out. Then the newest certificate of the order is the
	// row's, unless that ends at another time: it may have been reissued since.
	c, err := y.inv.Certificates.Numbers.Newest(ctx, y.storage, y.account, row.OrderID, "")
	if err != nil || c == nil || c.Revocation != nil {
		return nil, err
	}
	if !row.ExpiresAt.IsZero() && row.ExpiresAt.Sub(c.NotAfter).Abs() > 48*time.Hour {
		return nil, nil
	}
	return c, nil
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
	at, reason := certificates.RevocationOf(remote, y.inv.Now())
	if err := certificates.RecordOutside(ctx, keeper, y.storage, c, at, reason); err != nil {
		return err
	}
	y.status.Revoked++
	return nil
}

// importRow downloads and stores the certificate of a row.
func (y *syncer) importRow(ctx context.Context, row certinext.ReportRow) error {
	y.loadFamilies(ctx)
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
	standing, _, err := lineage.Judge(ctx, y.inv.Lineage, y.storage, cert.Leaf,
		slices.Concat(cert.Chain, cert.Rest))
	if err != nil {
		return err
	}
	now := y.inv.Now()
	c := certificates.NewEntry(cert, now)
	c.CAOrderID = row.OrderID
	c.Account = y.account
	c.Family = family
	c.Imported = true
	c.ProductCode, c.OrderedAt = sanitize.Short(row.ProductCode), row.OrderedAt
	c.OtherMount = slices.ContainsFunc(row.Tags, account.IsMarker)
	c.Delivery = &certificates.Delivery{At: now} // it was delivered outside of this mount
	if err := y.findPrevious(ctx, c); err != nil {
		return err
	}
	// The newer certificate first: one that names a successor which is not stored would revoke
	// nothing when its lease ends.
	if stored, err := y.storeImported(ctx, c); err != nil || !stored {
		return err
	}
	switch standing {
	case lineage.Distrusted:
		y.status.Distrusted++
	case lineage.Refused:
		y.status.Refused++
	case lineage.Partly, lineage.Accepted, lineage.Unknown: // clients may accept it
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
	number := sanitize.Short(row.OrderID)
	y.status.LastError = sanitize.Short(fmt.Sprintf("CERTInext order %s: %v", number, err))
	if len(y.status.Failures) < maxFailures {
		y.status.Failures = append(y.status.Failures,
			Failure{Order: number, Error: sanitize.Short(err.Error())})
	}
}

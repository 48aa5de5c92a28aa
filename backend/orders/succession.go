// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// linkSuccessor stores what a downloaded certificate is beside its own entry, which is stored
// afterwards: the newest one for its names, and the successor of another. A crash in between leaves
// an open order, with which both are stored again.
func linkSuccessor(ctx context.Context, d *driver, cert *certificates.Downloaded) error {
	o, serial := d.order, serials.Key(cert.Leaf.SerialNumber)
	if o.Names != "" {
		if err := storeNewest(ctx, d.journal, d.storage, o.Role, o.Names, serial); err != nil {
			return err
		}
	}
	isLinked := o.Names != "" || o.Replaces || (d.role != nil && d.role.Reuse)
	if !isLinked || o.Renews == "" || o.Renews == serial {
		return nil // where nobody looks for it, nothing costs another write
	}
	unlock, err := d.journal.Certificates.Lock(ctx, o.Renews)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, d.storage, o.Renews)
	if err != nil || c == nil || c.RenewedBy == serial || c.Role != o.Role {
		return err // of another role, it was adopted anew since
	}
	c.RenewedBy, c.RenewedAhead = serial, o.Ahead
	err = d.journal.Certificates.Put(ctx, d.storage, c)
	if err != nil {
		return err
	}
	if c.Replacement != nil {
		err = d.journal.replacing.Forget(ctx, d.storage, c.Role, replacedNames(o), c.Serial)
	}
	if err != nil || c.ReusedFor == "" || (o.Ahead && c.Replacement == nil) {
		return err
	}
	return reuse.Erase(ctx, d.storage, &d.journal.Certificates.Kept,
		c.Role, c.ReusedFor, c.Serial)
}

// Bounds of a reading of the ledger, which may be long and cannot be asked for one order.
const (
	ledgerPatience = 5 * time.Second
	ledgerRows     = 1000
)

// learnCharge finds out, once, whether CERTInext has charged for the reissue by which the order
// renews a certificate. What cannot be found out is told, and fails nothing.
func learnCharge(ctx context.Context, d *driver) {
	o := d.order
	if o.Reissue == nil || !o.Reissue.Renewal || o.Reissue.Charge != nil {
		return
	}
	charge := readLedger(ctx, d.client, o)
	o.Reissue.Charge = &charge
	switch charge.Verdict {
	case renewal.Charged:
		stopReissues(ctx, d.journal, d.storage, o, charge)
	case renewal.Free:
		o.note(d.journal.Now(), "the ledger shows no charge for the reissue")
	default:
		o.note(d.journal.Now(),
			"it cannot be told whether CERTInext has charged for the reissue: its ledger does "+
				"not show that, or could not be read")
	}
	if err := d.save(ctx); err != nil {
		d.journal.Log.Warn("what the ledger says of a reissue could not be stored; it is asked "+
			"again before the next one", "order_id", o.ID, "error", err)
	}
}

// readLedger asks the ledger about a reissue.
func readLedger(ctx context.Context, client *certinext.Client, o *orderEntry) renewal.Statement {
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	reader := renewal.NewReader(renewal.Question{
		Order: o.CAOrderID, Request: o.CARequestID,
		Ordered: o.Reissue.Ordered, Asked: o.CreatedAt, Before: o.Reissue.ChargesBefore,
	})
	n := 0
	for row, err := range client.Ledger(ctx, o.Placement.GroupNumber) {
		if n++; err != nil || n > ledgerRows {
			return reader.Statement(false)
		}
		reader.Row(row)
	}
	return reader.Statement(true)
}

// stopReissues stores and tells that a reissue was charged, and has the role renew by new orders
// from now on.
func stopReissues(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
	charge renewal.Statement,
) {
	amount := sanitize.Short(charge.Amount)
	countCharge(ctx, journal, s, o, charge.Amount)
	o.note(journal.Now(), "CERTInext has charged %s for the reissue: certificates of role %s are "+
		"renewed by new orders until an operator allows reissues again", amount, o.Role)
	err := renewal.StopRole(ctx, s, o.Role,
		renewal.Stop{At: journal.Now(), OrderID: o.ID, Amount: amount})
	told := noticeOf(o, notices.ReissueCharged)
	told.Amount, told.Path = amount, "operator/renewal/"+o.Role
	journal.Notices.Tell(told)
	if err != nil {
		journal.Log.Error("that a role renews by new orders from now on could not be stored",
			"role", o.Role, "order_id", o.ID, "error", err)
	}
}

// reviewCharge looks once more whether the reissue by which parent was issued was charged: the
// ledger may show a charge late. It reports whether it was, and the practice ends. stop is the
// role's last one: what an operator has allowed since is no reason.
func reviewCharge(
	ctx context.Context, w *caller, parent *orderEntry, stop *renewal.Stop,
) bool {
	if parent.Reissue == nil || !parent.Reissue.Renewal {
		return false
	}
	client, err := w.journal.clientOf(ctx, w.storage, parent)
	if err != nil {
		return false
	}
	seen := parent.chargesSeen()
	charge := readLedger(ctx, client, parent)
	// The next reissue takes of it how many charges were seen: a reading that was cut short has not
	// unseen any.
	charge.Charges = max(charge.Charges, seen)
	parent.Reissue.Charge = &charge
	if charge.Verdict != renewal.Charged || stop.Forgives(parent.CreatedAt) {
		return false
	}
	stopReissues(ctx, w.journal, w.storage, parent, charge)
	return true
}

// chargesSeen returns how many charges of the order's number the ledger has shown so far.
func (o *orderEntry) chargesSeen() int {
	if o.Reissue == nil || o.Reissue.Charge == nil {
		return 0
	}
	return o.Reissue.Charge.Charges
}

// chargeWarnings tell the caller of a renewal by reissue what it has cost, where that is not
// nothing.
func (o *orderEntry) chargeWarnings() []string {
	if o.Reissue == nil || !o.Reissue.Renewal || o.Reissue.Charge == nil {
		return nil
	}
	switch charge := o.Reissue.Charge; charge.Verdict {
	case renewal.Charged:
		return []string{fmt.Sprintf("CERTInext has charged %s for reissuing this certificate "+
			"within its subscription. The role renews by new orders from now on: %s has it "+
			"reissue again", sanitize.Short(charge.Amount), allowAgain(o.Role))}
	case renewal.Unknown:
		return []string{"this certificate was reissued within its subscription, and it cannot " +
			"be told whether CERTInext has charged for that: its ledger does not show it, or " +
			"could not be read"}
	}
	return nil
}

// allowAgain is the command by which an operator has a role reissue again.
func allowAgain(role string) string {
	return "vault write <mount>/operator/renewal/" + role + " allow=true"
}

// A RenewalPractice is how the certificates of a role are succeeded at present.
type RenewalPractice struct {
	Role    string
	Renewal issuing.RenewBy // as the role says
	// StoppedAt is when a charge ended reissues; zero when none has. OrderID is the order that was
	// charged, and Amount the charge as CERTInext wrote it.
	StoppedAt time.Time
	OrderID   string
	Amount    string
}

// PracticeOf returns how the certificates of a role are succeeded at present.
func PracticeOf(
	ctx context.Context, s logical.Storage, role string,
) (*RenewalPractice, error) {
	r, err := roles.MustRead(ctx, s, role)
	if err != nil {
		return nil, err
	}
	stop, err := renewal.Stopped(ctx, s, role)
	if err != nil {
		return nil, err
	}
	p := &RenewalPractice{Role: role, Renewal: r.Renewal}
	if stop.Holds() {
		p.StoppedAt, p.OrderID, p.Amount = stop.At, stop.OrderID, stop.Amount
	}
	return p, nil
}

// AllowReissues has a role renew by reissues again after CERTInext has charged for one. now is when
// that was allowed.
func AllowReissues(
	ctx context.Context, s logical.Storage, role string, now time.Time,
) (*RenewalPractice, error) {
	if _, err := roles.MustRead(ctx, s, role); err != nil {
		return nil, err
	}
	if err := renewal.AllowRole(ctx, s, role, now); err != nil {
		return nil, err
	}
	return PracticeOf(ctx, s, role)
}

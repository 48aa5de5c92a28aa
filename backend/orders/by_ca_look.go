// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// No source says how CERTInext's own renewal shows. Within the subscription it is a reissue that
// nobody has asked for: the order delivers another certificate for the same key. Otherwise it is a
// new order, which the orders report shows. Both are looked for, and what decides is the key.

// Bounds of a look for CERTInext's own renewal.
const (
	byCAPatience   = 10 * time.Second
	byCARows       = 2000 // of the orders report
	byCACandidates = 20   // certificates that are downloaded
	byCAReissues   = 20   // before the certificate, within its order
)

// lookByCA asks CERTInext whether it has made the certificate that renews another one. While that
// cannot be told, nothing is bought.
func lookByCA(ctx context.Context, w *caller, b *byCA) error {
	client, err := w.journal.clientOf(ctx, w.storage, b.parent)
	if err != nil {
		return err
	}
	keys, err := keysByCA(ctx, w, b)
	if err != nil {
		return err
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	asked, stop := context.WithTimeout(asked, byCAPatience)
	defer stop()
	b.found, err = newerOf(asked, w, client, b, keys, b.parent.CAOrderID)
	if err == nil && b.found == nil {
		err = searchByCA(asked, w, client, b, keys)
	}
	if err == nil {
		return nil
	}
	return &fault.RefusedError{Err: fmt.Errorf("CERTInext renews certificate %s by itself "+
		"(auto_renew), and could not be asked whether it has; another order might be paid for "+
		"beside that: send the request again. %s: %w", b.cert.View().Serial, buyAnyway(w), err)}
}

// keysByCA returns the keys for which CERTInext may have made the certificate that renews b's: its
// own, and those before it within the same order, since CERTInext goes by the order's.
func keysByCA(ctx context.Context, w *caller, b *byCA) ([]any, error) {
	var keys []any
	for c := b.cert; c != nil && len(keys) < byCAReissues; {
		key, err := keyOf(c)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		if c.Replaces == "" {
			break
		}
		if c, err = certificates.Read(ctx, w.storage, c.Replaces); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// newerOf returns the certificate of a number of CERTInext's if it is one that renews b's: a later
// one for one of the keys that has not expired. It returns nil when it is not, or not ready,
// which b remembers of another order than its own.
func newerOf(
	ctx context.Context, w *caller, client *certinext.Client, b *byCA, keys []any, number string,
) (*foundByCA, error) {
	bundle, err := client.Certificate(ctx, b.parent.Placement.Family, number)
	switch {
	case certinext.IsNotReady(err) && number != b.parent.CAOrderID:
		b.underWay = number
		return nil, nil
	case certinext.IsNotReady(err), certinext.IsRefusal(err, http.StatusNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	delivered, err := certificates.AssembleAny(bundle)
	if err != nil {
		return nil, err
	}
	leaf := delivered.Leaf
	isOfKey := func(key any) bool { return issuing.SamePublicKey(leaf.PublicKey, key) }
	if !slices.ContainsFunc(keys, isOfKey) || !leaf.NotAfter.After(b.cert.NotAfter) ||
		!leaf.NotAfter.After(w.caNow()) {
		return nil, nil
	}
	return &foundByCA{leaf: leaf, serial: serials.Key(leaf.SerialNumber), number: number}, nil
}

// searchByCA looks for an order that CERTInext has placed by itself, in its records since shortly
// before it was to renew the certificate.
func searchByCA(
	ctx context.Context, w *caller, client *certinext.Client, b *byCA, keys []any,
) error {
	since := b.when.At.Add(-reportMargin)
	filter := certinext.ReportFilter{From: since, Domain: b.parent.Placement.names()[0]}
	rows, candidates := 0, 0
	for row, err := range client.OrdersReport(ctx, filter) {
		rows++
		switch {
		case hasNoRecords(err):
			return nil // of this edition of the API, which has no other way to tell
		case err != nil:
			return err
		case rows > byCARows, candidates > byCACandidates:
			b.tooMany = true // and what was found so far counts
			return nil
		}
		may, err := mayBeByCA(ctx, w, b, row, since)
		if err != nil {
			return err
		}
		if !may {
			continue
		}
		candidates++
		found, err := newerOf(ctx, w, client, b, keys, row.OrderID)
		switch {
		case err != nil:
			return err
		case found != nil && (b.found == nil || found.leaf.NotAfter.After(b.found.leaf.NotAfter)):
			b.found = found
		}
	}
	return nil
}

// mayBeByCA reports whether a row may be an order that CERTInext has placed to renew b's: it is of
// the same name, not older, and no order of this mount.
func mayBeByCA(
	ctx context.Context, w *caller, b *byCA, row certinext.ReportRow, since time.Time,
) (bool, error) {
	isOld := !row.OrderedAt.IsZero() && row.OrderedAt.Before(since)
	status := row.Status()
	if row.OrderID == "" || row.OrderID == b.parent.CAOrderID || isOld ||
		status == certinext.StatusDraft ||
		(status.Terminal() && status != certinext.StatusExpired) ||
		!strings.EqualFold(row.Domain, b.parent.Placement.names()[0]) {
		return false, nil
	}
	open, err := w.journal.OpenOrderOf(ctx, w.storage, b.parent.Account, row.OrderID)
	if err != nil || open != "" {
		return false, err
	}
	known, err := w.journal.Certificates.Numbers.Newest(
		ctx, w.storage, b.parent.Account, row.OrderID, "")
	return err == nil && (known == nil || known.Imported), err
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"context"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
)

// A stage is the part of a run that goes through one prefix of storage.
type stage struct {
	order  int
	prefix string
	kind   string // what an entry counts as that cannot be decoded
	wanted func(*Request) bool
	// folders returns the folders of the prefix that hold entries, each with a slash at its end.
	folders func(context.Context, *run) ([]string, error)
	// begin is called before each page; it may be nil.
	begin func(context.Context, *run) error
	// look looks at an entry, erases it if it goes, and counts it.
	look func(ctx context.Context, r *run, d decider, key string) error
}

// stages returns the stages in the order in which a run goes through them: a certificate before the
// record of its order, which stays for its sake.
func stages() []stage {
	return []stage{
		{
			order: 0, prefix: certificates.Prefix, kind: KindCertificate,
			wanted:  func(r *Request) bool { return r.CertStore || r.RevokedCerts },
			folders: itself(certificates.Prefix), begin: loadOpen, look: lookAtCertificate,
		},
		{
			order: 1, prefix: certificates.RevokedPrefix, kind: KindOrphan,
			wanted:  func(r *Request) bool { return r.RevokedCerts },
			folders: itself(certificates.RevokedPrefix), look: lookAtRevoked,
		},
		{
			order: 2, prefix: orders.ClosedPrefix, kind: KindOrder,
			wanted: func(r *Request) bool {
				return r.Orders || r.RefusedOrders || r.PersonalData
			},
			folders: below(orders.ClosedPrefix), begin: settle, look: lookAtOrder,
		},
		{
			order: 3, prefix: reuse.KeyPrefix, kind: KindReuse,
			wanted:  func(r *Request) bool { return r.ReuseKeys },
			folders: below(reuse.KeyPrefix), look: lookAtKept,
		},
	}
}

// itself is for a prefix without folders.
func itself(prefix string) func(context.Context, *run) ([]string, error) {
	return func(context.Context, *run) ([]string, error) { return []string{prefix}, nil }
}

// below is for a prefix with a folder for each role.
func below(prefix string) func(context.Context, *run) ([]string, error) {
	return func(ctx context.Context, r *run) ([]string, error) {
		names, err := store.List(ctx, r.storage, prefix)
		var folders []string
		for _, name := range names {
			if strings.HasSuffix(name, "/") {
				folders = append(folders, prefix+name)
			}
		}
		return folders, err
	}
}

// loadOpen has the journal know which orders are open.
func loadOpen(ctx context.Context, r *run) error {
	return orders.LoadOpen(ctx, r.orders, r.storage)
}

// settle has budgets count for good what closed orders have reserved, before their records go.
func settle(ctx context.Context, r *run) error {
	if err := loadOpen(ctx, r); err != nil || !r.request.Orders {
		return err
	}
	return orders.SettleReserved(ctx, r.orders, r.storage)
}

func lookAtCertificate(ctx context.Context, r *run, d decider, key string) error {
	kind, why, gone, err := certificate(ctx, r, d, strings.TrimPrefix(key, certificates.Prefix))
	if err == nil && kind != "" {
		r.count(kind, gone, why)
	}
	return err
}

// certificate erases a certificate unless it stays, or is to stay in a dry run, and says of which
// kind it is and why it stays. The kind is empty when there is none.
func certificate(
	ctx context.Context, r *run, d decider, serial string,
) (kind string, why Reason, gone bool, err error) {
	gone, err = certificates.EraseUnneeded(ctx, r.certs, r.storage, serial, certificates.Erasure{
		Now: d.now,
		Goes: func(f certificates.ErasureFacts) bool {
			kind = KindCertificate
			if f.Revoked {
				kind = KindRevoked
			}
			why = d.certificate(f)
			return why == goes
		},
		IsOpen: func(id string) bool { return orders.IsOpen(r.orders, id) },
		Before: func(ctx context.Context, c *certificates.Entry) error {
			return orders.ForgetNewest(ctx, r.orders, r.storage, c)
		},
		DryRun: r.request.DryRun,
	})
	return kind, why, gone, err
}

// isGone reports whether the run would have erased a certificate by now, if it is a dry one.
func (r *run) isGone(ctx context.Context, d decider, serial string) bool {
	if !r.request.DryRun {
		return false
	}
	_, _, gone, err := certificate(ctx, r, d, serial)
	return err == nil && gone
}

func lookAtRevoked(ctx context.Context, r *run, d decider, key string) error {
	serial := strings.TrimPrefix(key, certificates.RevokedPrefix)
	if r.isGone(ctx, d, serial) {
		return nil // its record went with it
	}
	gone, err := certificates.EraseRevoked(ctx, r.certs, r.storage, serial, r.request.DryRun)
	if err == nil {
		r.count(KindOrphan, gone, ReasonCertificate)
	}
	return err
}

func lookAtOrder(ctx context.Context, r *run, d decider, key string) error {
	role, id, _ := strings.Cut(strings.TrimPrefix(key, orders.ClosedPrefix), "/")
	var record, personal Reason
	kind, found, isPersonal := KindOrder, false, false
	deed, err := orders.EraseUnneeded(ctx, r.orders, r.storage, role, id, orders.Erasure{
		Does: func(f orders.ErasureFacts) orders.Deed {
			found, kind = true, KindOrder
			if f.NeverTaken {
				kind = KindRefused
			}
			isPersonal = f.Personal
			record, personal = d.record(f), d.personal(f)
			switch {
			case record == goes:
				return orders.DeedErase
			case isPersonal && personal == goes:
				return orders.DeedErasePersonal
			}
			return orders.DeedNone
		},
		IsGone: func(serial string) bool { return r.isGone(ctx, d, serial) },
		DryRun: r.request.DryRun,
	})
	if err != nil || !found {
		return err
	}
	r.count(kind, deed == orders.DeedErase, record)
	if isPersonal && deed != orders.DeedErase {
		r.count(KindPersonal, deed == orders.DeedErasePersonal, personal)
	}
	return nil
}

func lookAtKept(ctx context.Context, r *run, d decider, key string) error {
	role, fingerprint, _ := strings.Cut(strings.TrimPrefix(key, reuse.KeyPrefix), "/")
	var why Reason
	gone, err := reuse.EraseIf(ctx, r.storage, &r.certs.Kept,
		role, fingerprint, r.request.DryRun,
		func(k *reuse.Kept) bool {
			why = d.kept(k)
			return why == goes
		})
	if err == nil {
		r.count(KindReuse, gone, why)
	}
	return err
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/hashicorp/vault/sdk/logical"
)

// Orders, revocations and leases belong to the account in which they were ordered, and are stranded
// when config does not hold it any more: nobody asks CERTInext about them then. So that needs an
// operator's word.

// A ConfigWrite says how a config is written.
type ConfigWrite struct {
	Verify bool // ask CERTInext first whether it accepts the credentials
	Force  bool // strand what belongs to the account that config held
}

// WriteConfig is [account.Account.WriteConfig], and an error about the field force when it would
// strand something. With Force, the warning says what it has stranded; otherwise it is empty.
func (e *Engine) WriteConfig(
	ctx context.Context, s logical.Storage, change func(*Config) error, w ConfigWrite,
) (warning string, err error) {
	returned := ""
	admit := func(before, after *Config) (err error) {
		warning, returned = "", ""
		if before == nil || before.Account() != after.Account() {
			returned = after.Account()
		}
		if before != nil && returned != "" {
			warning, err = e.mayStrand(ctx, s, before.Account(), w.Force)
		}
		return err
	}
	if err := sweepBefore(ctx, s); err != nil {
		return "", err
	}
	err = e.Account.WriteConfig(ctx, s, change, w.Verify, admit)
	if err == nil && returned != "" {
		orders.LookAgain(e.Orders, returned)
	}
	if err != nil {
		return warning, err
	}
	return warning, reuse.SweepAllLater(ctx, s)
}

// sweepBefore notes, before config changes, that what is kept for reuse has to be looked at: the
// process may die in between. A node that may not write says so when it writes config.
func sweepBefore(ctx context.Context, s logical.Storage) error {
	err := reuse.SweepAllLater(ctx, s)
	if store.IsReadOnly(err) {
		return nil
	}
	return err
}

// DeleteConfig is [account.Account.DeleteConfig] with force and warning as in [Engine.WriteConfig].
func (e *Engine) DeleteConfig(
	ctx context.Context, s logical.Storage, force bool,
) (warning string, err error) {
	admit := func(before *Config) (err error) {
		warning, err = e.mayStrand(ctx, s, before.Account(), force)
		return err
	}
	if err := sweepBefore(ctx, s); err != nil {
		return "", err
	}
	if err = e.Account.DeleteConfig(ctx, s, admit); err != nil {
		return warning, err
	}
	return warning, reuse.SweepAllLater(ctx, s)
}

// mayStrand says what would be stranded when config no longer held an account; empty when nothing
// is. Unless that is forced, it is an error.
func (e *Engine) mayStrand(
	ctx context.Context, s logical.Storage, of string, force bool,
) (warning string, err error) {
	stranded, err := e.strandedBy(ctx, s, of)
	if err != nil || stranded == "" {
		return "", err
	}
	if !force {
		return "", fault.BadField("force", "%s, about which CERTInext could not be asked any "+
			"more: wait for that to end, or end it, or write force=true", stranded)
	}
	warning = stranded + ": CERTInext is not asked about that until config holds the account " +
		"again. In this mount, end=true ends it, at <mount>/operator/orders/<role>/<id> and at " +
		"<mount>/operator/revocations/<serial>"
	e.Log.Warn("config no longer holds an account", "stranded", stranded)
	return warning, nil
}

// strandedBy says what would be stranded if config did not hold an account; empty when nothing is.
func (e *Engine) strandedBy(ctx context.Context, s logical.Storage, of string) (string, error) {
	open, allOrders, err := orders.OpenOf(ctx, e.Orders, s, of)
	if err != nil {
		return "", err
	}
	queued, allQueued, err := certificates.QueuedOf(ctx, s, of)
	if err != nil {
		return "", err
	}
	leased, allLeased, err := certificates.LeasedOf(ctx, s, e.Account, of)
	if err != nil {
		return "", err
	}
	names := make([]string, len(open))
	for i, o := range open {
		names[i] = o.Role + "/" + o.ID
	}
	var parts []string
	for _, kind := range []struct {
		what  string
		names []string
		whole bool
	}{
		{"open order", names, allOrders},
		{"queued revocation", queued, allQueued},
		{"certificate with leases", leased, allLeased},
	} {
		if text := someOf(kind.what, kind.names, kind.whole); text != "" {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return "", nil
	}
	return account.Describe(of) + " has " + strings.Join(parts, ", "), nil
}

// maxNamed is how many of a kind someOf names.
const maxNamed = 3

// someOf counts the named, and names some of them; empty when there are none. whole is false when
// there may be more.
func someOf(what string, names []string, whole bool) string {
	if len(names) == 0 && whole {
		return ""
	}
	if len(names) == 0 {
		return "more than can be looked at for " + what + "s"
	}
	count := fmt.Sprint(len(names))
	if !whole {
		count = "at least " + count
	}
	if len(names) > 1 {
		head, tail, _ := strings.Cut(what, " with ")
		what = strings.TrimSuffix(head+"s with "+tail, " with ")
	}
	named := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if len(names) > maxNamed {
		named += ", ..."
	}
	return count + " " + what + " (" + named + ")"
}

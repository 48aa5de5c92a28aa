// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"context"
	"maps"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Storage keys.
const (
	configKey = "tidy/config"
	statusKey = "tidy/status"
)

// The states of a run, in the words of Vault's PKI engine.
const (
	Inactive   = "Inactive"
	Running    = "Running"
	Cancelling = "Cancelling"
	Cancelled  = "Cancelled"
	Finished   = "Finished"
	Failed     = "Error"
)

// The kinds of entries.
const (
	KindCertificate = "certificates"
	KindRevoked     = "revoked_certificates"
	KindOrphan      = "revocation_records"
	KindOrder       = "orders"
	KindRefused     = "refused_orders"
	KindPersonal    = "personal_data"
	KindReuse       = "reuse_keys"
)

// A Status describes the latest run. The JSON is its stored form.
type Status struct {
	Version    int       `json:"version"`
	State      string    `json:"state"`
	Auto       bool      `json:"auto,omitempty"` // the background pass has begun it
	DryRun     bool      `json:"-"`
	Request    Request   `json:"request"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Error      string    `json:"error,omitempty"`
	// Cursor is the storage key of the last entry that was looked at.
	Cursor string `json:"cursor,omitempty"`
	// Erased are how many entries of each kind went, and Kept how many stay for each reason. A run
	// that was cut short counts those that it looks at again once more.
	Erased map[string]int            `json:"erased,omitempty"`
	Kept   map[string]map[Reason]int `json:"kept,omitempty"`
	// LastAuto is when the last run that the background pass has begun has finished.
	LastAuto time.Time `json:"last_auto,omitzero"`
}

// clone returns a copy that shares nothing.
func (st *Status) clone() *Status {
	c := *st
	c.Erased = maps.Clone(st.Erased)
	c.Kept = make(map[string]map[Reason]int, len(st.Kept))
	for kind, reasons := range st.Kept {
		c.Kept[kind] = maps.Clone(reasons)
	}
	return &c
}

// IsOver reports whether the run is not under way.
func (st *Status) IsOver() bool { return st.State != Running && st.State != Cancelling }

// begun returns the status of a run that begins.
func begun(r Request, auto bool, now, lastAuto time.Time) Status {
	return Status{
		Version: 1, State: Running, Auto: auto, DryRun: r.DryRun, Request: r, StartedAt: now,
		Erased: make(map[string]int), Kept: make(map[string]map[Reason]int), LastAuto: lastAuto,
	}
}

// stored returns the status of the latest run that was stored.
func stored(ctx context.Context, s logical.Storage) (*Status, error) {
	st, err := store.Get[Status](ctx, s, statusKey)
	switch {
	case err != nil:
		return nil, err
	case st == nil:
		st = &Status{Version: 1, State: Inactive, Request: *NewRequest()}
	}
	if st.Erased == nil {
		st.Erased = make(map[string]int)
	}
	if st.Kept == nil {
		st.Kept = make(map[string]map[Reason]int)
	}
	return st, nil
}

// Status returns what is known of the run under way, or else of the latest one: a dry run of this
// process, or what is stored.
func (t *Tidier) Status(ctx context.Context, s logical.Storage) (*Status, error) {
	if r, _ := t.current(); r != nil {
		return r.snapshot(), nil
	}
	return stored(ctx, s)
}

// Latest returns what is known of the run under way, or else of the latest one, dry runs left out:
// they erase nothing.
func Latest(ctx context.Context, t *Tidier, s logical.Storage) (*Status, error) {
	if r, active := t.current(); active && !r.request.DryRun {
		return r.snapshot(), nil
	}
	return stored(ctx, s)
}

// ReadConfig returns the config; that of a mount that has none is not enabled.
func ReadConfig(ctx context.Context, s logical.Storage) (*Config, error) {
	c, err := store.Get[Config](ctx, s, configKey)
	if err == nil && c == nil {
		c = NewConfig()
	}
	return c, err
}

// WriteConfig changes the config. Its errors about fields are [*fault.FieldError].
func (t *Tidier) WriteConfig(
	ctx context.Context, s logical.Storage, change func(*Config) error,
) (*Config, error) {
	var written *Config
	err := store.Update[Config]{
		Locks: &t.configs,
		Make: func(before *Config) (*Config, error) {
			c := NewConfig()
			if before != nil {
				*c = *before
			}
			if err := change(c); err != nil {
				return nil, err
			}
			written = c
			return c, c.Validate()
		},
	}.Apply(ctx, s, configKey)
	return written, err
}

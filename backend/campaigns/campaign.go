// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// prefix is followed by the name of a campaign.
const prefix = "campaign/entry/"

// A State is where a campaign stands.
type State string

// The states of a campaign.
const (
	Running State = "running"
	Paused  State = "paused"  // nothing is filed, ordered or revoked for it
	Aborted State = "aborted" // what was not replaced by then is not
	Done    State = "done"
	Erasing State = "erasing" // it was deleted, and its items go
)

// A Selection says which certificates are replaced. An empty filter selects all; a certificate has
// to match each of the others. The JSON is its stored form.
type Selection struct {
	Roles    []string `json:"roles,omitempty"`
	Issuers  []string `json:"issuers,omitempty"`   // common names of issuing CAs
	Roots    []string `json:"roots,omitempty"`     // common names at the end of a chain
	CAKeys   []string `json:"ca_keys,omitempty"`   // of any CA in a chain, as [trust.Key]
	KeyTypes []string `json:"key_types,omitempty"` // as ec-256
	Products []string `json:"products,omitempty"`  // codes of the certificates' orders
	// Trust is what clients make of the certificate, as [lineage.Standing].
	Trust []string `json:"trust,omitempty"`
	// RefusedBy are families of clients of which one refuses the certificate (config/trust).
	RefusedBy []string `json:"refused_by,omitempty"`
	// Serials are serial numbers, with dashes.
	Serials []string `json:"serials,omitempty"`
	// Synchronized selects what was ordered outside of the mount, too.
	Synchronized bool `json:"synchronized,omitempty"`
	// Each has all certificates of a requester for the same names replaced, not only the newest.
	Each bool `json:"each,omitempty"`
}

// A Plan says how they are replaced. The JSON is its stored form.
type Plan struct {
	Note string `json:"note"` // why, for their requesters
	// Revoke has them revoked for Reason, RevokeAfter after their replacements were handed over.
	Revoke      bool             `json:"revoke,omitempty"`
	Reason      certinext.Reason `json:"reason,omitempty"`
	RevokeAfter time.Duration    `json:"revoke_after,omitempty"` // nanoseconds
	// RevokeUnclaimed has them revoked, too, when nobody has collected a replacement by then.
	RevokeUnclaimed bool `json:"revoke_unclaimed,omitempty"`

	PerHour int   `json:"per_hour,omitempty"` // replacements; no limit when 0
	Order   Order `json:"order"`              // in which they have their turns
	// MaxCertificates and MaxSpend are what the campaign may come to, or it is not begun.
	MaxCertificates int    `json:"max_certificates,omitempty"`
	MaxSpend        string `json:"max_spend,omitempty"`
}

// An Order says which certificates are replaced first.
type Order string

// The orders.
const (
	ByExpiry Order = "expiry" // those that expire soonest
	ByRole   Order = "role"   // those of one role after the other, and of each by expiry
)

// A Campaign is a stored campaign. It has no counts: see [Progress].
type Campaign struct {
	Version   int       `json:"version"`
	Name      string    `json:"name"`
	Selection Selection `json:"selection"`
	Plan      Plan      `json:"plan"`
	State     State     `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`
	// Next is when the next replacement may be filed, by PerHour.
	Next time.Time `json:"next,omitzero"`
	// ToldStuck is set once people were told that something could not be replaced.
	ToldStuck bool `json:"told_stuck,omitempty"`
	// Ended is set once nothing of it is open.
	Ended bool `json:"ended,omitempty"`
}

// NewCampaign returns a campaign with the default of every field.
func NewCampaign(name string) *Campaign {
	return &Campaign{
		Version: 1, Name: name, State: Running,
		Plan: Plan{
			Reason: certinext.ReasonSuperseded, RevokeAfter: 24 * time.Hour, PerHour: 60,
			Order: ByExpiry,
		},
	}
}

// Bounds of what a campaign may ask for.
const (
	maxListed  = 10_000 // serial numbers
	maxFilters = 100    // values of a filter
	maxNote    = 200
	maxPerHour = 100_000
	longest    = 366 * 24 * time.Hour
)

// validate returns an error about the first field that is wrong, and spells the others as they are
// stored.
func (c *Campaign) validate() error {
	if !issuing.RoleName.MatchString(c.Name) {
		return fault.BadField("campaign",
			"%q is not a name: use letters and digits, with . _ - between them",
			sanitize.Short(c.Name))
	}
	if err := c.Selection.validate(); err != nil {
		return err
	}
	return c.Plan.validate()
}

func (q *Selection) validate() error {
	lists := map[string]*[]string{
		"roles": &q.Roles, "issuers": &q.Issuers, "roots": &q.Roots, "ca_keys": &q.CAKeys,
		"key_types": &q.KeyTypes, "products": &q.Products, "refused_by": &q.RefusedBy,
		"serial_numbers": &q.Serials, "trust": &q.Trust,
	}
	isEmpty := true
	for _, field := range slices.Sorted(maps.Keys(lists)) {
		list, most := lists[field], maxFilters
		if field == "serial_numbers" {
			most = maxListed
		}
		*list = issuing.NonEmpty(*list...)
		slices.Sort(*list)
		*list = slices.Compact(*list)
		if len(*list) > most {
			return fault.BadField(field, "has %d values: at most %d are taken", len(*list), most)
		}
		isEmpty = isEmpty && len(*list) == 0
	}
	if isEmpty {
		return fault.BadField("roles", "name what is replaced, by at least one of roles, issuers, "+
			"roots, ca_keys, key_types, products, refused_by, "+
			"trust and serial_numbers: roles=* is all")
	}
	if err := checkTrust(q.Trust); err != nil {
		return err
	}
	return q.spell()
}

func (p *Plan) validate() error {
	p.Note = sanitize.OneLine(strings.TrimSpace(p.Note))
	switch {
	case p.Note == "":
		return fault.BadField("note", "is required: the requesters are told why their "+
			"certificates are replaced")
	case len(p.Note) > maxNote:
		return fault.BadField("note", "has more than %d characters", maxNote)
	case p.PerHour < 0 || p.PerHour > maxPerHour:
		return fault.BadField("per_hour", "must be between 0 (no limit) and %d", maxPerHour)
	case p.MaxCertificates < 0:
		return fault.BadField("max_certificates", "must not be negative: 0 is no limit")
	case p.RevokeAfter < 0 || p.RevokeAfter > longest:
		return fault.BadField("revoke_after", "must be between 0 and a year")
	case p.Order != ByExpiry && p.Order != ByRole:
		return fault.BadField("order", "is none of %s and %s", ByExpiry, ByRole)
	case p.RevokeUnclaimed && !p.Revoke:
		return fault.BadField("revoke_unclaimed", "is for revoke=true, which is not set")
	}
	if p.MaxSpend != "" {
		if _, err := money.Parse(p.MaxSpend); err != nil {
			return fault.BadField("max_spend", "is no amount of money, such as 250.00")
		}
	}
	reason, err := certificates.ParseReason("reason", string(p.Reason))
	p.Reason = reason
	return err
}

// Read returns a campaign; nil when there is none of that name.
func Read(ctx context.Context, s logical.Storage, name string) (*Campaign, error) {
	return store.Get[Campaign](ctx, s, prefix+name)
}

// List returns the names of the campaigns, sorted.
func List(ctx context.Context, s logical.Storage) ([]string, error) {
	names, err := store.List(ctx, s, prefix)
	slices.Sort(names)
	return names, err
}

// mustRead is [Read] with an error when there is no such campaign.
func mustRead(ctx context.Context, s logical.Storage, name string) (*Campaign, error) {
	c, err := Read(ctx, s, name)
	if err == nil && (c == nil || c.State == Erasing) {
		err = &fault.NotFoundError{
			Kind: "campaign", Name: sanitize.Short(name), Command: "list <mount>/replace",
		}
	}
	return c, err
}

func put(ctx context.Context, s logical.Storage, c *Campaign) error {
	return store.Put(context.WithoutCancel(ctx), s, prefix+c.Name, c)
}

// isOver reports whether nothing is begun for the campaign any more.
func (c *Campaign) isOver() bool { return c.State == Done || c.State == Aborted }

// change changes a stored campaign, unless change reports false.
func change(
	ctx context.Context, r *Runner, s logical.Storage, name string,
	do func(*Campaign) (bool, error),
) (*Campaign, error) {
	unlock, err := r.writes.Lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := mustRead(ctx, s, name)
	if err != nil {
		return nil, err
	}
	changed, err := do(c)
	if err != nil || !changed {
		return c, err
	}
	return c, put(ctx, s, c)
}

// mayReplace reports whether what a campaign has filed is ordered now. What the engine has filed by
// itself is.
func (r *Runner) mayReplace(
	ctx context.Context, s logical.Storage, name string,
) (bool, error) {
	if name == "" {
		return true, nil
	}
	c, err := Read(ctx, s, name)
	return c != nil && c.State == Running, err
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// itemPrefix is followed by the name of a campaign, the stage of an item, and its key, by which the
// items of a stage are sorted: what is first is replaced first. An item that moves is stored in its
// new stage first. What a crash leaves in the earlier one is moved again, to where it is already.
const itemPrefix = "campaign/item/"

// A Stage is how far a certificate of a campaign is.
type Stage string

// The stages.
const (
	Waiting   Stage = "waiting"   // for its turn
	Asked     Stage = "asked"     // its replacement is being made
	Requester Stage = "requester" // only its requester's next request can replace it
	Stuck     Stage = "stuck"     // its replacement was refused, and is tried again
	Made      Stage = "made"      // its replacement waits for being asked for
	Handed    Stage = "handed"    // and was handed over; this one is to be revoked
	Revoking  Stage = "revoking"  // its revocation is queued
	Replaced  Stage = "replaced"  // and, where that was asked for, revoked
	Left      Stage = "left"      // it is not replaced
)

// Stages returns the stages, those that come later behind.
func Stages() []Stage {
	return []Stage{Waiting, Asked, Requester, Stuck, Made, Handed, Revoking, Replaced, Left}
}

// isOpen reports whether something is to be done yet for an item at the stage.
func (g Stage) isOpen() bool { return g != Replaced && g != Left }

// An Item is a certificate of a campaign.
type Item struct {
	Version int    `json:"version"`
	Serial  string `json:"serial"` // with dashes
	Role    string `json:"role"`
	// Behind is the serial number, with dashes, of a newer certificate of the same requester for
	// the same names, which takes its place; empty for most.
	Behind  string    `json:"behind,omitempty"`
	FiledAt time.Time `json:"filed_at,omitzero"` // when its turn had come
	At      time.Time `json:"at,omitzero"`       // since when it is at its stage, or its Why holds
	Why     string    `json:"why,omitempty"`     // for people
	By      string    `json:"by,omitempty"`      // serial number, with dashes, of its replacement
	// HandedAt is when that was handed over, as it was when the item came to its stage: a requester
	// that is answered with it again later may have its first answer forgotten.
	HandedAt time.Time `json:"handed_at,omitzero"`

	key   string
	stage Stage
}

// recall has what takes the item's place be handed over when the item has seen it first.
func (it *Item) recall(h *Heir) {
	if h == nil || h.Handed.IsZero() || h.Serial != it.By || it.HandedAt.IsZero() {
		return
	}
	if it.HandedAt.Before(h.Handed) {
		h.Handed = it.HandedAt
	}
}

// keyFor returns the key of an item, by which it is sorted.
func keyFor(p *Plan, role, serial string, notAfter time.Time) string {
	at := fmt.Sprintf("%012d.%s", max(notAfter.Unix(), 0), serial)
	if p.Order == ByRole {
		return role + "~" + at // no role has a tilde in its name
	}
	return at
}

func folder(campaign string, g Stage) string {
	return itemPrefix + campaign + "/" + string(g) + "/"
}

// listItems returns the keys of the items at a stage, the first one first.
func listItems(ctx context.Context, s logical.Storage, campaign string, g Stage) ([]string, error) {
	keys, err := store.List(ctx, s, folder(campaign, g))
	slices.Sort(keys)
	return keys, err
}

// readItem reads an item; nil when it has moved on.
func readItem(
	ctx context.Context, s logical.Storage, campaign string, g Stage, key string,
) (*Item, error) {
	it, err := store.Get[Item](ctx, s, folder(campaign, g)+key)
	if it != nil {
		it.key, it.stage = key, g
	}
	return it, err
}

// moveItem stores an item at a stage.
func moveItem(
	ctx context.Context, s logical.Storage, campaign string, it *Item, to Stage,
) error {
	it.Version = 1
	if err := store.Put(ctx, s, folder(campaign, to)+it.key, it); err != nil {
		return err
	}
	from := it.stage
	it.stage = to
	if from == "" || from == to {
		return nil
	}
	return store.Delete(ctx, s, folder(campaign, from)+it.key)
}

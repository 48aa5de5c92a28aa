// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/hashicorp/vault/sdk/logical"
)

// prefix is followed by a day, as 2026-11-29, and by the second of that day, counted as Unix does,
// and a serial number with dashes: a pass lists the days up to its own, and reads what is due.
const prefix = "ahead/"

// A Wanted is a certificate whose successor is to be made ahead.
type Wanted struct {
	Version   int       `json:"version"`
	Serial    string    `json:"serial"` // with dashes
	Role      string    `json:"role"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Asked     Asked     `json:"asked"`
}

// Life returns from when to when the certificate is valid.
func (w *Wanted) Life() renewal.Life {
	return renewal.Life{NotBefore: w.NotBefore, NotAfter: w.NotAfter}
}

// keyAt is where an entry is filed that something is to be done about at a time.
func keyAt(at time.Time, serial string) string {
	at = at.UTC()
	return fmt.Sprintf("%s%s/%d.%s", prefix, at.Format(time.DateOnly), at.Unix(), serial)
}

// Put files a certificate whose successor is to be made from a time on. What was filed under
// another time stays: whoever finds it later finds out that it is over.
func Put(ctx context.Context, s logical.Storage, at time.Time, w *Wanted) error {
	w.Version = 1
	return store.Put(context.WithoutCancel(ctx), s, keyAt(at, w.Serial), w)
}

// Get reads what is filed under a key; nil when it is gone.
func Get(ctx context.Context, s logical.Storage, key string) (*Wanted, error) {
	return store.Get[Wanted](ctx, s, key)
}

// Move files an entry under another time. A crash in between leaves both.
func Move(ctx context.Context, s logical.Storage, key string, at time.Time, w *Wanted) error {
	if keyAt(at, w.Serial) == key {
		return nil
	}
	if err := Put(ctx, s, at, w); err != nil {
		return err
	}
	return Remove(ctx, s, key)
}

// Remove removes what is filed under a key.
func Remove(ctx context.Context, s logical.Storage, key string) error {
	return store.Delete(context.WithoutCancel(ctx), s, key)
}

// Due returns the keys of what is due at a time, the longest overdue first, and limit at most.
func Due(ctx context.Context, s logical.Storage, now time.Time, limit int) ([]string, error) {
	days, err := store.List(ctx, s, prefix)
	if err != nil {
		return nil, err
	}
	slices.Sort(days)
	today := now.UTC().Format(time.DateOnly)
	var keys []string
	for _, day := range days {
		if strings.TrimSuffix(day, "/") > today || len(keys) >= limit {
			break
		}
		due, err := dueOn(ctx, s, day, now)
		if err != nil {
			return keys, err
		}
		keys = append(keys, due...)
	}
	return keys[:min(len(keys), limit)], nil
}

// dueOn returns the keys of a day that are due, the longest overdue first.
func dueOn(ctx context.Context, s logical.Storage, day string, now time.Time) ([]string, error) {
	names, err := store.List(ctx, s, prefix+day)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return secondOf(name) > now.Unix() })
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(secondOf(a), secondOf(b)), strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = prefix + day + name
	}
	return names, nil
}

// secondOf returns the time in the name of an entry; zero, so that it is looked at, when there is
// none.
func secondOf(name string) int64 {
	text, _, _ := strings.Cut(name, ".")
	second, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return second
}

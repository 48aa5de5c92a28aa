// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A QueueLength says how the queue of revocations stands.
type QueueLength struct {
	Queued  int
	Due     int // are to be sent to CERTInext; of the others, a lease has to end first
	Sent    int // of those that are due: CERTInext has taken them, and does not show it yet
	Failing int // of those that are due: failed at the latest attempt
	// Blocked are how many of those that are due cannot be tried, by why.
	Blocked map[string]int
	// Oldest is the one that is due and was queued first, by its serial number with colons; empty
	// when none is due.
	Oldest         string
	OldestQueuedAt time.Time
	Whole          bool // each of them was looked at
}

// maxLooked is how many queued revocations one [LookAtQueue] reads. Of a longer queue, it tells
// what the background pass has seen, which reads the queue anyway.
const maxLooked = 100

// A queueMemory is what the latest passes have read of a queue. The zero value has read nothing.
type queueMemory struct {
	mu   sync.Mutex
	seen map[string]Queued // by serial number, with dashes; without what is not needed here
}

// note remembers what a pass has read; q is nil when the entry is gone.
func (m *queueMemory) note(serial string, q *Queued) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q == nil {
		delete(m.seen, serial)
		return
	}
	if m.seen == nil {
		m.seen = make(map[string]Queued)
	}
	m.seen[serial] = Queued{
		QueuedAt: q.QueuedAt, Due: q.Due, SentAt: q.SentAt, LastError: q.LastError,
	}
}

// get returns what was read of a queued revocation.
func (m *queueMemory) get(serial string) *Queued {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q, ok := m.seen[serial]; ok {
		return &q
	}
	return nil
}

// keep forgets all but the given ones.
func (m *queueMemory) keep(serials []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.seen) <= len(serials) {
		return // a few that are gone are forgotten later
	}
	kept := make(map[string]Queued, len(serials))
	for _, serial := range serials {
		if q, ok := m.seen[serial]; ok {
			kept[serial] = q
		}
	}
	m.seen = kept
}

// LookAtQueue says how the queue of revocations stands. It reads the list and up to 100 entries.
func LookAtQueue(
	ctx context.Context, keeper *Keeper, s logical.Storage,
) (QueueLength, error) {
	serials, err := store.List(ctx, s, RevocationPrefix)
	if err != nil {
		return QueueLength{}, err
	}
	blocked, err := keeper.newBlockade(ctx, s)
	if err != nil {
		return QueueLength{}, err
	}
	out := QueueLength{Queued: len(serials), Blocked: make(map[string]int), Whole: true}
	for _, serial := range serials {
		var q *Queued
		if len(serials) <= maxLooked {
			q, err = store.Get[Queued](ctx, s, RevocationPrefix+serial)
			if err != nil {
				return QueueLength{}, err
			}
		} else {
			q = keeper.queue.get(serial)
			out.Whole = out.Whole && q != nil
		}
		if q != nil && q.Due {
			out.count(strings.ReplaceAll(serial, "-", ":"), q, blocked.whyQueued(q))
		}
	}
	return out, nil
}

// count counts a revocation that is due.
func (l *QueueLength) count(serial string, q *Queued, blocked string) {
	l.Due++
	switch {
	case blocked != "":
		l.Blocked[blocked]++
	case !q.SentAt.IsZero():
		l.Sent++
	case q.LastError != "":
		l.Failing++
	}
	if l.Oldest == "" || q.QueuedAt.Before(l.OldestQueuedAt) {
		l.Oldest, l.OldestQueuedAt = serial, q.QueuedAt
	}
}

// Why revocations cannot be tried, in a word each.
const (
	BlockedHeld    = "held"          // the mount is
	BlockedNone    = "no-config"     // config holds no account
	BlockedAccount = "other-account" // config holds another account than the certificate's
)

// whyQueued is [blockade.why] in a word, as far as that is known without the certificate.
func (b *blockade) whyQueued(q *Queued) string {
	switch {
	case b.held != nil:
		return BlockedHeld
	case b.config == nil:
		return BlockedNone
	case q.LastError == sanitize.Short(ErrOtherAccount.Error()):
		return BlockedAccount
	}
	return ""
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package notices

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// EventPrefix begins the type of every event; the change follows.
const EventPrefix = "certinext/"

const (
	// maxWaiting is how many events wait for being sent. What comes beyond is not sent: an event
	// bus that takes nothing must not fill the memory.
	maxWaiting = 256
	// maxPending is how many notices are remembered whose cause could not be stored. Beyond that,
	// they may be told once more.
	maxPending = 1024
	// sendPatience bounds the sending of one event.
	sendPatience = 5 * time.Second
)

// A Counted is what is counted of a notice.
type Counted struct {
	Change Change
	Role   string // empty when the notice is about none
}

// An event is a notice that is to be sent.
type event struct {
	kind     string
	metadata []string
}

// Tell logs a notice, counts it, and has an event sent of it.
func (t *Teller) Tell(n Notice) {
	if t == nil {
		return
	}
	said := n.fields()
	line := make([]any, 0, len(said))
	for _, word := range said {
		line = append(line, word)
	}
	t.host.Log.Log(n.Change.level(), words[n.Change], line...)

	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[Counted{n.Change, n.Role}]++
	switch {
	case t.send == nil, t.host.Alive.Err() != nil:
		return
	case len(t.waiting) >= maxWaiting:
		t.unsent++
		return
	}
	t.waiting = append(t.waiting, event{EventPrefix + string(n.Change), n.metadata(said)})
	if !t.sending {
		t.sending = true
		t.host.Work.Go(t.sendAll)
	}
}

// TellBefore tells a notice of what is about to be stored: a crash in between has the next process
// find out the same and tell it again. While storage fails, this process does not, until
// [Teller.Stored].
func (t *Teller) TellBefore(n Notice) {
	if t != nil && t.isNew(n) {
		t.Tell(n)
	}
}

// isNew reports whether a notice was not told yet, or what it says was stored since.
func (t *Teller) isNew(n Notice) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[n] {
		return false
	}
	if len(t.pending) >= maxPending {
		clear(t.pending)
	}
	t.pending[n] = true
	return true
}

// Stored has a notice be told again when it says something new: what it said was stored.
func (t *Teller) Stored(n Notice) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pending, n)
}

// fields are names and values in turn, of what a notice says.
func (n Notice) fields() []string {
	entity, _ := strings.CutPrefix(n.Requester, "entity:")
	if entity == n.Requester {
		entity = ""
	}
	all := []string{
		"change", string(n.Change), "role", n.Role, "order_id", n.OrderID,
		"ca_order_id", n.Number, "serial", n.Serial, "state", n.State,
		"requester_entity", entity, "budget", n.Budget, "limit", n.Limit, "amount", n.Amount,
		"refills_at", n.RefillsAt, "reason", n.Reason, "path", n.Path,
	}
	if n.Successor {
		all = append(all, "successor", "wanted")
	}
	said := make([]string, 0, len(all))
	for pair := range slices.Chunk(all, 2) {
		if pair[1] != "" {
			said = append(said, pair...)
		}
	}
	return said
}

// metadata is what an event says: the fields of the log line, and what Vault knows events by. Who
// subscribes needs the capability to do so at the path.
func (n Notice) metadata(said []string) []string {
	return append(said,
		logical.EventMetadataDataPath, n.Path,
		logical.EventMetadataOperation, string(n.Change),
		logical.EventMetadataModified, "true",
	)
}

// sendAll sends the events that wait, until none does.
func (t *Teller) sendAll() {
	for e, more := t.next(nil); more; e, more = t.next(t.sendOne(e)) {
	}
}

// next takes the event that waits longest. failed is what became of the one before.
func (t *Teller) next(failed error) (event, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed != nil {
		t.unsent++
	}
	if len(t.waiting) == 0 || t.host.Alive.Err() != nil {
		t.waiting, t.sending = nil, false
		return event{}, false
	}
	e := t.waiting[0]
	t.waiting = t.waiting[1:]
	return e, true
}

// sendOne sends an event. Nobody relies on events, so what fails is only counted: a server without
// subscriptions refuses every one.
func (t *Teller) sendOne(e event) error {
	ctx, stop := t.host.Detached(context.Background())
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	err := t.send(ctx, e.kind, e.metadata...)
	if err != nil && t.host.Alive.Err() == nil {
		t.host.Log.Debug("an event could not be sent", "event", e.kind, "error", err)
	}
	return err
}

// Counts returns how many notices this process has told, and how many events were not sent.
func (t *Teller) Counts() (told map[Counted]int, unsent int) {
	if t == nil {
		return nil, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts), t.unsent
}

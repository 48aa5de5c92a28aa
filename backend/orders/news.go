// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
)

// newsOf returns what a person has to know of where an order stands; empty for most. That it was
// revoked is told where it is known by whom: see [driver.endRevoked].
func newsOf(o *orderEntry) notices.Change {
	switch {
	case o.Held:
		return notices.Held
	case o.State == StateUnresolved:
		return notices.InDoubt
	case o.State == StateRejected:
		return notices.Rejected
	case o.State == StateFailed:
		return notices.Failed
	case o.State == StateExpired:
		return notices.Expired
	case o.State == StateUnclaimed:
		return notices.Unclaimed
	case o.State == StateReplaced:
		return notices.Replaced
	}
	return ""
}

// tellNews tells what a person has to know of an order, when that is another thing than was known
// before. It is called before the order is stored: a crash in between has the next process find out
// the same and tell it again, which is better than that nobody ever hears of it (ADR 0046).
func tellNews(journal *Journal, o *orderEntry) {
	news := newsOf(o)
	if news != "" && news != o.news {
		journal.Notices.Tell(noticeOf(o, news))
	}
	o.news = news
}

// noticeOf is a notice about an order.
func noticeOf(o *orderEntry, news notices.Change) notices.Notice {
	state := o.State
	if o.Held {
		state = StateHeld
	}
	return notices.Notice{
		Change: news, Role: o.Role, OrderID: o.ID, Number: sanitize.Short(o.CAOrderID),
		Serial: strings.ReplaceAll(o.Serial, "-", ":"), State: string(state),
		Requester: o.Requester, Path: "orders/" + o.Role + "/" + o.ID,
	}
}

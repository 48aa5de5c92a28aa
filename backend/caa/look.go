// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa

import (
	"context"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
)

// A Lookup returns the CAA records at exactly one name, after aliases; none when there is no such
// name.
type Lookup func(ctx context.Context, name string) ([]dcv.CAARecord, error)

// A Finding is what the DNS says of one name.
type Finding struct {
	Verdict Verdict
	// At is the name whose records decide, or could not be read; empty when there are none.
	At string
	// Reason is for people; empty when nothing stands in the way.
	Reason string
}

// A Looker looks names up, each of those above them once. It is for one goroutine.
type Looker struct {
	Look Lookup
	seen map[string]answer
}

type answer struct {
	records []dcv.CAARecord
	err     error
}

// Find says whether CERTInext's CA may issue for a name, a host or a wildcard. The records of the
// name itself decide or, when it has none, those of the nearest name above it (RFC 8659, section
// 3). What cannot be read is not known.
func (l *Looker) Find(ctx context.Context, name string) Finding {
	host, isWildcard := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(name, ".")), "*.")
	for at := host; at != ""; at = above(at) {
		got := l.at(ctx, at)
		switch {
		case got.err != nil:
			return Finding{Verdict: Unknown, At: at, Reason: got.err.Error()}
		case len(got.records) > 0:
			verdict, reason := Judge(got.records, isWildcard)
			return Finding{Verdict: verdict, At: at, Reason: reason}
		}
	}
	return Finding{Verdict: Allowed}
}

func (l *Looker) at(ctx context.Context, name string) answer {
	if got, known := l.seen[name]; known {
		return got
	}
	if l.seen == nil {
		l.seen = make(map[string]answer)
	}
	var got answer
	if got.err = ctx.Err(); got.err == nil {
		got.records, got.err = l.Look(ctx, name)
	}
	l.seen[name] = got
	return got
}

func above(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

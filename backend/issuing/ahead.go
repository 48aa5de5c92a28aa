// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// An Ahead says how long before its renewal is due a certificate's successor is made (ADR 0040): a
// share of the certificate's life such as 10%, or a duration such as 240h. It is empty for roles
// whose certificates are renewed when they are asked for.
type Ahead string

// The bounds of an [Ahead]. A successor that is made earlier than a third of a life before it is
// asked for would be due itself before it is handed over.
const (
	mostAheadShare = 33 // percent
	leastAhead     = time.Hour
	mostAhead      = 90 * 24 * time.Hour
	aheadPart      = 3 // of the life, whatever the duration
)

// IsOn reports whether successors are made ahead.
func (a Ahead) IsOn() bool { return a != "" && a != "0" && a != "0s" && a != "off" }

// Of returns how long before its renewal is due the successor of a certificate of this life is
// made; zero when none is.
func (a Ahead) Of(life time.Duration) time.Duration {
	share, length, err := a.parse()
	if err != nil || life <= 0 {
		return 0
	}
	if share > 0 {
		length = life / 100 * time.Duration(share)
	}
	return min(length, life/aheadPart)
}

// parse returns the share, in percent, or the duration.
func (a Ahead) parse() (share int, length time.Duration, err error) {
	if !a.IsOn() {
		return 0, 0, nil
	}
	if text, isShare := strings.CutSuffix(string(a), "%"); isShare {
		share, err = strconv.Atoi(strings.TrimSpace(text))
		if err == nil && (share < 1 || share > mostAheadShare) {
			err = fmt.Errorf("%d%% is out of bounds", share)
		}
		return share, 0, err
	}
	if text, isDays := strings.CutSuffix(string(a), "d"); isDays {
		days, err := strconv.ParseUint(text, 10, 16)
		return 0, time.Duration(days) * 24 * time.Hour, err
	}
	length, err = time.ParseDuration(string(a))
	return 0, length, err
}

// validateAhead looks at the fields of renewals that are made ahead.
func (r *Role) validateAhead() error {
	share, length, err := r.RenewAhead.parse()
	inBounds := share > 0 || (length >= leastAhead && length <= mostAhead)
	switch {
	case r.RenewAheadFor < 0:
		return fault.BadField("renew_ahead_for", "must not be negative: 0 stands for as long as "+
			"the certificate lives")
	case !r.RenewAhead.IsOn():
		return nil
	case err != nil, !inBounds:
		return fault.BadField("renew_ahead", "%q is neither a share of a certificate's life from "+
			"1%% to %d%% nor a duration from 1h to %dh: write 10%%, 240h, or nothing to turn it "+
			"off",
			sanitize.Short(string(r.RenewAhead)), mostAheadShare, int(mostAhead.Hours()))
	case r.Shape().Personal():
		return fault.BadField("renew_ahead", "is for certificates of host names: a %s certificate "+
			"is ordered when it is asked for", r.Variant)
	case r.AutoRenew:
		return fault.BadField("renew_ahead", "does not go with auto_renew: CERTInext would renew "+
			"the same certificate by itself, and both would be bought. Set auto_renew=false")
	}
	return nil
}

// aheadWarnings are the [Role.Warnings] about renew_ahead.
func (r *Role) aheadWarnings() []string {
	switch {
	case !r.RenewAhead.IsOn() && r.RenewAheadFor > 0:
		return []string{"renew_ahead_for has no effect: renew_ahead is off"}
	case !r.RenewAhead.IsOn():
		return nil
	case r.Renewal == RenewalReissue:
		return []string{"renew_ahead is on: a reissue, or the new order that takes its place, " +
			"is made before it is asked for, also for a client that never comes back: at most one"}
	}
	return []string{"renew_ahead is on: an order is placed, and paid for, before it is asked " +
		"for, also for a client that never comes back: at most one"}
}

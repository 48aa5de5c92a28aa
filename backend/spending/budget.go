// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/ryanuber/go-glob"
)

// A Per says who has a budget of its own.
type Per string

// Whose budgets there are. An empty one is [PerMount].
const (
	PerMount     Per = "mount"     // all roles that the budget covers share it
	PerRole      Per = "role"      // each role has as much
	PerRequester Per = "requester" // each requester has as much: an entity, or else a token
)

// A Budget limits what is ordered under some roles. The zero value of a limit is none.
type Budget struct {
	Name string
	// Roles are the names of the roles that the budget covers; a * stands for any characters. It
	// covers every role of the mount when there are none.
	Roles  []string
	Per    Per
	Period Period

	MaxOrders     int    // that are placed in a period
	MaxOpenOrders int    // that CERTInext has yet to issue, whatever the period
	MaxSpend      string // that orders of a period cost, in the currency of the prices, as 25.00

	id    string    // of this budget: one that is made again under the same name has another one
	since time.Time // when it was written first
}

// NewBudget returns a budget with the default of every field.
func NewBudget(name string) *Budget {
	return &Budget{Name: name, Per: PerMount, Period: Month}
}

// most is the largest number that a limit of orders in a period may be.
const most = 1_000_000

// rolePattern matches what names roles.
var rolePattern = regexp.MustCompile(`^[\w.*-]{1,255}$`)

// maxPatterns bounds the patterns of one budget: each order is compared with all of them.
const maxPatterns = 100

// validate returns a [*fault.FieldError] about the first field that is wrong.
func (b *Budget) validate() error {
	switch {
	case !slices.Contains([]Per{PerMount, PerRole, PerRequester}, b.Per):
		return fault.BadField("per", "%q is not mount, role or requester",
			phrase.Shown(string(b.Per)))
	case !b.Period.isKnown():
		return fault.BadField("period", "%q is not %s", phrase.Shown(string(b.Period)),
			phrase.Or(Day, Month, Year))
	case len(b.Roles) > maxPatterns:
		return fault.BadField("roles", "has %d names, and may have %d: a * in a name stands for "+
			"any characters", len(b.Roles), maxPatterns)
	}
	for _, role := range b.Roles {
		if !rolePattern.MatchString(role) {
			return fault.BadField("roles", "%q is not the name of a role, in which a * may stand "+
				"for any characters", phrase.Shown(role))
		}
	}
	for _, limit := range []struct {
		field string
		value int
		most  int
	}{{"max_orders", b.MaxOrders, most}, {"max_open_orders", b.MaxOpenOrders, maxOpen}} {
		if limit.value < 0 || limit.value > limit.most {
			return fault.BadField(limit.field, "%d is not between 0 (no limit) and %d",
				limit.value, limit.most)
		}
	}
	if err := b.validateSpend(); err != nil {
		return err
	}
	if b.MaxOrders == 0 && b.MaxOpenOrders == 0 && b.MaxSpend == "" {
		return fault.BadField("max_orders", "is required, or max_open_orders or max_spend: "+
			"a budget without a limit limits nothing. To stop all ordering, write "+
			"ordering=paused to <mount>/config")
	}
	return nil
}

func (b *Budget) validateSpend() error {
	if b.MaxSpend == "" {
		return nil
	}
	limit, err := money.Parse(b.MaxSpend)
	switch {
	case err != nil:
		return fault.BadField("max_spend", "%q %v", phrase.Shown(b.MaxSpend), err)
	case limit == 0, limit == money.Most:
		return fault.BadField("max_spend", "%s is not between 0.0001 and %s; no limit when empty",
			b.MaxSpend, money.Most-1)
	}
	return nil
}

// spend returns the limit in money; it reports false when there is none.
func (b *Budget) spend() (limit money.Amount, limited bool) {
	limit, err := money.Parse(b.MaxSpend)
	return limit, err == nil
}

// Covers reports whether what is ordered under a role counts.
func (b *Budget) Covers(role string) bool {
	return len(b.Roles) == 0 || slices.ContainsFunc(b.Roles, func(pattern string) bool {
		return glob.Glob(pattern, role)
	})
}

// Forgets says what a budget that is written over this one does not count although this one did, or
// would have; nothing for a nil budget.
func (b *Budget) Forgets(after *Budget) []string {
	var out []string
	switch {
	case b == nil:
		return nil
	case b.Per != after.Per:
		out = append(out, fmt.Sprintf("per: what was counted for each %s counts no more, open "+
			"orders included: the budget begins anew for each %s", b.Per, after.Per))
	case b.Period != after.Period:
		out = append(out, fmt.Sprintf("period: what was counted for the %s counts no more: the "+
			"budget begins anew with this %s", b.Period, after.Period))
	}
	if b.MaxSpend == "" && after.MaxSpend != "" {
		out = append(out, "max_spend: of what was ordered before, only the orders count whose "+
			"price was known then, by product_prices or another budget in money")
	}
	return out
}

// subject returns who has the budget that an order counts to: empty for the mount, else the role's
// name, or the requester as it is stored with orders.
func (b *Budget) subject(p Purchase) string {
	switch b.Per {
	case PerRole:
		return p.Role
	case PerRequester:
		return p.Requester
	}
	return ""
}

// counterPrefix is where counters are stored, each below the id of its budget.
const counterPrefix = "spending/"

// key returns the storage key of a subject's counter. A requester's name need not be fit for one.
func (b *Budget) key(subject string) string {
	sum := sha256.Sum256([]byte(string(b.Per) + "\x00" + subject))
	return counterPrefix + b.id + "/" + hex.EncodeToString(sum[:16])
}

// whose describes the subject of a counter in an error. Requesters are not named: who reads the
// error is one.
func (b *Budget) whose(subject string) string {
	switch b.Per {
	case PerRole:
		return " of role " + sanitize.Short(subject)
	case PerRequester:
		return " of this requester"
	}
	return ""
}

// clean brings what was written into the form in which it is stored.
func (b *Budget) clean() {
	b.MaxSpend = strings.TrimSpace(b.MaxSpend)
	for i, role := range b.Roles {
		b.Roles[i] = strings.TrimSpace(role)
	}
	slices.Sort(b.Roles)
	b.Roles = slices.Compact(b.Roles)
}

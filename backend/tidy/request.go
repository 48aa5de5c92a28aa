// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

const day = 24 * time.Hour

// Defaults and bounds. Those of the safety buffer and the interval are Vault PKI's.
const (
	defaultSafetyBuffer   = 72 * time.Hour
	defaultRefusedBuffer  = 30 * day
	defaultPersonalBuffer = 30 * day
	defaultInterval       = 12 * time.Hour
	shortestInterval      = time.Minute

	// spendHistory is for how long the records of orders that may cost money are kept unless
	// somebody says otherwise: 13 months, so that a year can be compared with the one before.
	spendHistory = 400 * day
	// shortestOrderBuffer is for how long any record of an order stays: budgets count it for good
	// by then, and an approver's no stands for as long.
	shortestOrderBuffer = day
	longestBuffer       = 20 * 366 * day
	longestPause        = time.Hour
)

// A Request says what is tidied. The JSON is its stored form.
type Request struct {
	// CertStore has certificates go that were not revoked and have expired SafetyBuffer ago, and
	// RevokedCerts those that were revoked, and the records of their revocations.
	CertStore    bool          `json:"cert_store,omitempty"`
	RevokedCerts bool          `json:"revoked_certs,omitempty"`
	SafetyBuffer time.Duration `json:"safety_buffer"` // nanoseconds, as the others

	// Orders has the records of orders go that have ended OrderBuffer ago, and RefusedOrders those
	// of orders that CERTInext never took, which have ended RefusedBuffer ago. Those whose request
	// a client has named stay unless NamedOrders is set: the same name would buy again.
	Orders        bool          `json:"orders,omitempty"`
	OrderBuffer   time.Duration `json:"order_buffer"`
	RefusedOrders bool          `json:"refused_orders,omitempty"`
	RefusedBuffer time.Duration `json:"refused_buffer"`
	NamedOrders   bool          `json:"named_orders,omitempty"`
	// LoseSpending lets OrderBuffer be shorter than what the report of what was spent needs.
	LoseSpending bool `json:"lose_spending,omitempty"`

	ReuseKeys      bool          `json:"reuse_keys,omitempty"`
	PersonalData   bool          `json:"personal_data,omitempty"`
	PersonalBuffer time.Duration `json:"personal_buffer"`

	Pause  time.Duration `json:"pause,omitempty"` // between two entries
	DryRun bool          `json:"-"`               // nothing is stored or erased
}

// NewRequest returns a request that tidies nothing, with the default of every other field.
func NewRequest() *Request {
	return &Request{
		SafetyBuffer: defaultSafetyBuffer, OrderBuffer: spendHistory,
		RefusedBuffer: defaultRefusedBuffer, PersonalBuffer: defaultPersonalBuffer,
	}
}

// wantsNothing reports whether the request tidies nothing.
func (r *Request) wantsNothing() bool {
	return !r.CertStore && !r.RevokedCerts && !r.Orders && !r.RefusedOrders && !r.ReuseKeys &&
		!r.PersonalData
}

// Validate returns a [*fault.FieldError] for the first field that is wrong.
func (r *Request) Validate() error {
	for _, b := range []struct {
		field    string
		is       time.Duration
		shortest time.Duration
		longest  time.Duration
	}{
		{"safety_buffer", r.SafetyBuffer, time.Second, longestBuffer},
		{"order_safety_buffer", r.OrderBuffer, shortestOrderBuffer, longestBuffer},
		{"refused_order_safety_buffer", r.RefusedBuffer, shortestOrderBuffer, longestBuffer},
		{"personal_data_safety_buffer", r.PersonalBuffer, shortestOrderBuffer, longestBuffer},
		{"pause_duration", r.Pause, 0, longestPause},
	} {
		if b.is < b.shortest || b.is > b.longest {
			return fault.BadField(b.field, "must be between %s and %s",
				phrase.Duration(b.shortest), phrase.Duration(b.longest))
		}
	}
	if r.Orders && r.OrderBuffer < spendHistory && !r.LoseSpending {
		return fault.BadField("order_safety_buffer", "is shorter than %s (9600h): "+
			"<mount>/reports/spend would lose orders of the past year. "+
			"lose_spending_history=true says that it may",
			phrase.Duration(spendHistory))
	}
	return nil
}

// A Config says when the background pass tidies by itself.
type Config struct {
	Version  int           `json:"version"`
	Enabled  bool          `json:"enabled"`
	Interval time.Duration `json:"interval"` // nanoseconds
	Request
}

// NewConfig returns a config that is not enabled, with the default of every field.
func NewConfig() *Config {
	return &Config{Version: 1, Interval: defaultInterval, Request: *NewRequest()}
}

// Validate returns a [*fault.FieldError] for the first field that is wrong.
func (c *Config) Validate() error {
	switch {
	case c.Interval < shortestInterval || c.Interval > longestBuffer:
		return fault.BadField("interval_duration", "must be between %s and %s",
			phrase.Duration(shortestInterval), phrase.Duration(longestBuffer))
	case c.Enabled && c.wantsNothing():
		return fault.BadField("enabled", "needs something to tidy: set one of %s", targets)
	}
	return c.Request.Validate()
}

// targets are the fields that say what is tidied.
const targets = "tidy_cert_store, tidy_revoked_certs, tidy_orders, tidy_refused_orders, " +
	"tidy_reuse_keys, tidy_personal_data"

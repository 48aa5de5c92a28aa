// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A History lists what clients, Vault, the environment and CERTInext do, in the order in which it
// begins. Its seed completes it: the seed decides which operation continues when several could.
type History struct {
	Seed    uint64
	Manners Manners
	// Orderly lets operations continue in the order of their arrival, regardless of the seed.
	// Shrinking tries this.
	Orderly bool
	Actions []Action
}

// Manners are how CERTInext behaves in a history.
type Manners struct {
	Dialect     certinexttest.Dialect
	IssueDelay  time.Duration
	PEMLag      time.Duration
	ReportDelay time.Duration
	ReportOrder certinexttest.ReportOrder
	ReportPage  int // the most rows on a page of the report; 0 for as many as there are
	TokenTTL    time.Duration
	SingleToken bool
	Approval    bool // every order waits for an approver

	// What nobody knows of CERTInext, and it does in this history.
	NumericIDs  bool // numbers of orders are JSON numbers in version 2
	Capitals    bool // statuses are in capital letters
	Timestamps  certinexttest.TimestampStyle
	ReportDays  certinexttest.ReportDays // what from and to of the report select
	Idempotency certinexttest.Switch
	NewKeysOnly bool   // no key is certified for two orders
	EarlyIssued bool   // an order that lacks only its CSR is "issued"
	OrderSuffix string // of the numbers of orders
	Priced      bool   // orders cost money, and the ledger shows it
}

// A Request is a certificate that a requester wants. Requests with the same fields are the same
// request, however often it is made.
type Request struct {
	Who  string
	Role string
	Name string // the first label of the common name
	ID   string // request_id
	Key  int    // number of the key of the requester's own CSR; 0 lets Vault generate one
}

// An Action is one thing that a party does, or that happens.
type Action struct {
	Do string
	Request
	How   string        // a variant of Do
	At    string        // for faults: prefix of the operations that they strike
	Bad   string        // for faults: what goes wrong
	For   time.Duration // how long, or by how much
	Skip  int           // how many operations a fault skips
	Times int           // how often it strikes
	Hang  int           // the caller hangs up after this many steps
	Loss  string        // what becomes of the answer: unheard, unstored, unleasable
	// Then is the number of steps before the next action begins; 0 waits until no call is in
	// progress.
	Then int
}

// String returns an action as Go, without its zero fields.
func (a Action) String() string { return literal(reflect.ValueOf(a)) }

// String returns manners as Go.
func (m Manners) String() string { return "Manners" + literal(reflect.ValueOf(m)) }

func literal(v reflect.Value) string {
	var fields []string
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.IsZero() {
			continue
		}
		switch x := f.Interface().(type) {
		case time.Duration:
			fields = append(fields, name+": "+duration(x))
		case string:
			fields = append(fields, fmt.Sprintf("%s: %q", name, x))
		case certinexttest.Dialect:
			fields = append(fields,
				fmt.Sprintf("%s: certinexttest.%s", name,
					[...]string{"Live", "Documented", "V1"}[x]))
		case Request:
			fields = append(fields, "Request: Request"+literal(f))
		default:
			fields = append(fields, fmt.Sprintf("%s: %v", name, x))
		}
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

func duration(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{
		{time.Hour, "time.Hour"},
		{time.Minute, "time.Minute"},
		{time.Second, "time.Second"},
		{time.Millisecond, "time.Millisecond"},
	} {
		if d%unit.d == 0 {
			return fmt.Sprintf("%d * %s", d/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d", d)
}

// GoString returns a history as it is written in the table of cases_test.go.
func (h History) GoString() string {
	var out strings.Builder
	fmt.Fprintf(&out, "History{\n\tSeed: %d, Manners: %s, Orderly: %v,\n\tActions: []Action{\n",
		h.Seed, h.Manners, h.Orderly)
	for _, a := range h.Actions {
		fmt.Fprintf(&out, "\t\t%s,\n", a)
	}
	out.WriteString("\t},\n}")
	return out.String()
}

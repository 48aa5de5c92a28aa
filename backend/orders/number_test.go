// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"errors"
	"net/http"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestWhoseNumber(t *testing.T) {
	o := &orderEntry{CAOrderID: "1", Placement: placement{IdempotencyKey: "own"}}
	draft := &orderEntry{CAOrderID: "1", NotDraft: true}
	row := func(tags ...string) *certinext.ReportRow {
		return &certinext.ReportRow{OrderID: "1", Tags: tags}
	}
	unwired := &certinext.Error{Own: true, Status: http.StatusNotImplemented}
	gateway := &certinext.Error{Status: http.StatusNotImplemented}
	for name, c := range map[string]struct {
		o    *orderEntry
		seen recordsOf
		want verdict
	}{
		"nothing is shown":               {o, recordsOf{}, numberUnknown},
		"a row that nobody has marked":   {o, recordsOf{row: row("team:web")}, numberUnknown},
		"a row with another's marker":    {o, recordsOf{row: row(markerOf("other"))}, numberOther},
		"the order is shown under it":    {o, recordsOf{found: remoteID{orderID: "1"}}, numberOwn},
		"it is shown under another":      {o, recordsOf{found: remoteID{orderID: "2"}}, numberOther},
		"it is shown as a draft":         {draft, recordsOf{found: remoteID{requestID: "3"}}, numberOther},
		"there are no records":           {o, recordsOf{err: unwired}, numberNoRecords},
		"a gateway says so":              {o, recordsOf{err: gateway}, numberUnreadable},
		"the records cannot be read now": {o, recordsOf{err: errors.New("away")}, numberUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, c.o.whoseNumber(c.seen))
		})
	}
}

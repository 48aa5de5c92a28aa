// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestWhatThePassDoesAboutSynchronizations(t *testing.T) {
	const acct, other = "https://us-api.certinext.io|1", "https://us-api.certinext.io|2"
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	ended := func(state string, began, finished time.Duration) Status {
		return Status{
			State: state, Account: acct, Automatic: true, Attempts: 1,
			StartedAt: ago(began), FinishedAt: ago(finished),
		}
	}
	byHand := ended(Failed, 2*time.Minute, time.Minute)
	byHand.Automatic = false
	moved := ended(Done, time.Minute, time.Minute)
	moved.Account = other
	often := ended(Failed, 10*time.Hour, 29*time.Minute)
	often.Attempts = 1000
	asked := Status{State: Running, Account: acct}
	for name, c := range map[string]struct {
		st       Status
		interval time.Duration
		held     bool
		want     step
	}{
		"off":                         {Status{State: Never}, 0, false, stepNone},
		"the first":                   {Status{State: Never}, time.Hour, false, stepBegin},
		"held":                        {Status{State: Never}, time.Hour, true, stepNone},
		"not old enough":              {ended(Done, 59*time.Minute, 0), time.Hour, false, stepNone},
		"old enough, by its begin":    {ended(Done, time.Hour, 0), time.Hour, false, stepBegin},
		"begun in the future":         {ended(Done, -time.Hour, 0), time.Hour, false, stepBegin},
		"of another account":          {moved, time.Hour, false, stepBegin},
		"cut short":                   {ended(Running, time.Minute, 0), 0, false, stepResume},
		"cut short, and held":         {ended(Running, time.Minute, 0), time.Hour, true, stepNone},
		"asked for, cut short, held":  {asked, time.Hour, true, stepResume},
		"failed a moment ago":         {ended(Failed, time.Minute, 59*time.Second), time.Hour, false, stepNone},
		"failed a while ago":          {ended(Failed, time.Minute, 60*time.Second), time.Hour, false, stepResume},
		"failed again and again":      {often, time.Hour, false, stepNone},
		"failed, and is switched off": {ended(Failed, time.Hour, time.Hour), 0, false, stepNone},
		"asked for, and failed":       {byHand, time.Hour, false, stepNone},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, nextStep(&c.st, acct, c.interval, c.held, now))
		})
	}
}

// pageOf is a page with the orders first to last of a report.
func pageOf(total, pages, first, last int) certinext.ReportPage {
	p := certinext.ReportPage{Total: total, Pages: pages}
	for i := first; i <= last; i++ {
		p.Rows = append(p.Rows, certinext.ReportRow{
			OrderID: fmt.Sprint(1000 + i), RequestID: fmt.Sprint(2000 + i),
		})
	}
	return p
}

func TestAWalkIsWholeOnceItHasSeenWhatIsAnnounced(t *testing.T) {
	w := newWalk(1)
	require.Len(t, w.add(pageOf(4, 2, 1, 2)), 2)
	// A new order has moved the second row to the second page.
	require.Len(t, w.add(pageOf(5, 3, 2, 3)), 1)
	require.Len(t, w.add(pageOf(5, 3, 4, 4)), 1)
	require.Equal(t, walkOn, w.state)
	require.Equal(t, 1, w.page, "the order that came is on a page that was read before it")
	require.Len(t, w.add(pageOf(5, 3, 0, 1)), 1)
	require.Equal(t, walkWhole, w.state)
}

func TestAWalkBeginsAnewWhenAnOrderHasLeftTheReport(t *testing.T) {
	w := newWalk(1)
	w.add(pageOf(4, 2, 1, 2))
	require.Len(t, w.add(pageOf(3, 2, 4, 4)), 1)
	require.Equal(t, []any{walkOn, 1, 1}, []any{w.state, w.page, w.orders})
	w.add(pageOf(3, 2, 2, 3))
	require.Equal(t, walkWhole, w.state)
}

func TestAWalkThatBeginsLaterGoesThroughAllPagesInTheEnd(t *testing.T) {
	w := newWalk(2)
	w.add(pageOf(3, 2, 3, 3))
	require.Equal(t, []any{walkOn, 1}, []any{w.state, w.page})
	w.add(pageOf(3, 2, 1, 2))
	require.Equal(t, walkWhole, w.state)
}

// A draft keeps its request's number when it becomes an order.
func TestAPromotedDraftIsOneOrder(t *testing.T) {
	w := newWalk(1)
	w.add(certinext.ReportPage{Total: 2, Pages: 2, Rows: []certinext.ReportRow{{RequestID: "2001"}}})
	w.add(pageOf(2, 2, 1, 1))
	require.Equal(t, 1, w.orders)
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestPeriodsBeginAndEndInUTC(t *testing.T) {
	west := time.FixedZone("west", -8*3600)
	at := time.Date(2026, time.December, 31, 20, 30, 0, 5, west) // 2027 in UTC
	for p, want := range map[Period][2]string{
		Day:   {"2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"},
		Month: {"2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"},
		Year:  {"2027-01-01T04:30:00Z", "2028-01-01T04:30:00Z"},
	} {
		begins, ends := p.span(at)
		require.Equal(t, want[0], begins.Format(time.RFC3339), p)
		require.Equal(t, want[1], ends.Format(time.RFC3339), p)
	}
	leap, ends := Month.span(time.Date(2028, time.February, 29, 23, 59, 59, 0, time.UTC))
	require.Equal(t, "2028-02-01 2028-03-01",
		leap.Format(time.DateOnly)+" "+ends.Format(time.DateOnly))
}

// A subscription year begins with the first order, and the next one with the first order after it.
func TestAYearBeginsWithItsFirstOrder(t *testing.T) {
	b, c := &Budget{Name: "web", Period: Year, MaxOrders: 1}, new(counter)
	require.NoError(t, order(b, c, november, price("25")))
	year := 365 * 24 * time.Hour
	err := order(b, c, november.Add(year-time.Second), price("25"))
	require.ErrorContains(t, err, "in the 365 days from 2026-11-29. It refills at 2027-11-29T12:00")
	later := november.Add(year + 100*24*time.Hour)
	require.NoError(t, order(b, c, later, price("25")))
	require.Error(t, order(b, c, later.Add(year-time.Second), price("25")))
	require.NoError(t, order(b, c, later.Add(year), price("25")))
}

// Whatever a clock does, no period is filled twice.
func TestAClockThatJumpsFillsNothingTwice(t *testing.T) {
	for _, p := range []Period{Day, Month, Year} {
		t.Run(string(p), func(t *testing.T) {
			b, c := &Budget{Name: "web", Period: p, MaxOrders: 1}, new(counter)
			require.NoError(t, order(b, c, november, price("25")))
			for _, back := range []time.Duration{time.Second, 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
				require.Error(t, order(b, c, november.Add(-back), price("25")), "set back %s", back)
			}
			for years := range maxTallies - 1 {
				ahead := november.AddDate(2*years+2, 0, 0)
				require.NoError(t, order(b, c, ahead, price("25")), "%s is another period", ahead)
				require.Error(t, order(b, c, ahead, price("25")))
				require.Error(t, order(b, c, november, price("25")), "set right")
				require.Error(t, order(b, c, november.AddDate(-1, 0, 0), price("25")), "set back")
			}
			require.Len(t, c.Tallies, maxTallies)
			require.Equal(t, 1, b.usage(c, november).Orders)
		})
	}
}

func TestTwoYearsDoNotOverlap(t *testing.T) {
	b, c := &Budget{Name: "web", Period: Year, MaxOrders: 1}, new(counter)
	require.NoError(t, order(b, c, november, price("25")))
	ahead := november.AddDate(1, 6, 0)
	require.NoError(t, order(b, c, ahead, price("25")))
	between := november.AddDate(1, 1, 0)
	require.NoError(t, order(b, c, between, price("25")), "set right, in a year of its own")
	require.Equal(t, ahead, b.usage(c, between).RefillsAt)
}

// A counter goes once nothing depends on it, and not while a clock may be wrong about that.
func TestACounterIsIdleOnceItsPeriodsAreLongOver(t *testing.T) {
	b, c := &Budget{Name: "web", Period: Day, MaxOrders: 1}, new(counter)
	require.True(t, c.isIdle(november))
	require.NoError(t, order(b, c, november, price("25")))
	require.False(t, c.isIdle(november.AddDate(1, 0, 0)), "its order is open")
	c.settle([]Fate{FateTaken}, nil)
	require.False(t, c.isIdle(november.AddDate(0, 0, 30)))
	require.True(t, c.isIdle(november.AddDate(0, 0, 33)))
}

// What another process has reserved may yet be stored by it: a while passes before it counts as
// lost.
func TestAReservationOfAnotherProcessIsNotLostAtOnce(t *testing.T) {
	now := november
	k := New(host.New(host.Options{Steady: func() time.Time { return now }}), nil)
	own, err := k.own()
	require.NoError(t, err)
	again, err := k.own()
	require.NoError(t, err)
	require.Same(t, own, again)
	other := reservation{Process: "another"}
	require.True(t, k.isLost(own)(reservation{Process: own.name}), "this process would know the order")
	require.False(t, k.isLost(own)(other))
	now = now.Add(takeOver - time.Second)
	require.False(t, k.isLost(own)(other))
	now = now.Add(time.Second)
	require.True(t, k.isLost(own)(other))

	k.Invalidate(counterPrefix + "web/1")
	renewed, err := k.own()
	require.NoError(t, err)
	require.NotEqual(t, own.name, renewed.name, "another node has written counters since")
	require.False(t, k.isLost(renewed)(reservation{Process: own.name}))
}

// What is known of counters goes with them.
func TestDeletedBudgetsLeaveNothingInMemory(t *testing.T) {
	ctx, s := t.Context(), new(logical.InmemStorage)
	k := New(host.New(host.Options{Steady: func() time.Time { return november }}), nil)
	for _, name := range []string{"a", "b"} {
		require.NoError(t, s.Put(ctx, &logical.StorageEntry{Key: counterPrefix + "web/" + name, Value: []byte("{}")}))
		require.False(t, k.idle.forLong(counterPrefix+"web/"+name, true, november))
	}
	require.False(t, k.idle.forLong(counterPrefix+"other/a", true, november))
	require.NoError(t, k.removeCounters(ctx, s, "web"))
	require.Len(t, k.idle.since, 1, "counters of a budget that is deleted")
}

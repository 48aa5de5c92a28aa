// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// entries is a source whose entries are rows themselves, below entry/.
type entries struct{}

func (entries) Keys(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, "entry/")
}

func (entries) Changed(
	context.Context, logical.Storage, func(string) (Row, bool),
) ([]string, error) {
	return nil, nil
}

func (entries) Row(ctx context.Context, s logical.Storage, key string) (*Row, error) {
	return store.Get[Row](ctx, s, "entry/"+key)
}

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// row returns the row of a certificate number n, which expires n days after noon.
func row(n int) Row {
	return Row{
		Serial: fmt.Sprintf("01-%02x-%02x-%02x", n>>16, n>>8&0xff, n&0xff), Role: "web",
		Requester: "entity:e", Owner: fmt.Sprintf("team-%d", n%7), Account: "a", Number: "7",
		OrderID:   fmt.Sprintf("6f1d3b2a-0000-4000-8000-%012x", n),
		Names:     []string{fmt.Sprintf("host-%d.example.com", n), "www.example.com"},
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(0, 0, n),
		PaidUntil: noon.AddDate(1, 0, 0), Price: "25.00 USD", Issuer: "A CA", KeyType: "ec-256", Origin: Ordered,
		Chain: fmt.Sprintf("chain-%d", n%3), Key: KeyID{byte(n), byte(n >> 8), byte(n >> 16)},
	}
}

// clock is noon and what has passed since a test under a simulated clock has begun.
func clock() time.Time {
	return noon.Add(time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
}

func newIndex(now func() time.Time) *Index {
	return New(host.New(host.Options{Now: now}), "cert", entries{})
}

// put stores a row's entry and tells the index.
func put(t *testing.T, x *Index, s logical.Storage, r Row) {
	t.Helper()
	require.NoError(t, store.Put(t.Context(), s, "entry/"+r.Serial, r))
	x.Put(r)
}

// serialsOf returns the serial numbers of all rows, page by page, as often as it takes.
func serialsOf(t *testing.T, x *Index, q Query, between func()) (all []string) {
	t.Helper()
	for {
		p, err := x.Page(q)
		require.NoError(t, err)
		for _, r := range p.Rows {
			all = append(all, r.Serial)
		}
		if p.Next == "" {
			return all
		}
		q.After = p.Next
		between()
	}
}

func TestARowIsReadAsItWasTold(t *testing.T) {
	x := newIndex(nil)
	cert, bare := row(1), Row{Serial: "0a"}
	cert.Revoked, cert.Held = noon, true
	order := Row{
		Serial: "0a-1b", Role: "web", OrderID: "named-by-its-requester", State: "pending",
		WaitsFor: "domain-owner", Number: "1000000001", MadeAt: noon, ChangedAt: noon,
		Names: []string{"a.example.com"}, Unsaved: true,
	}
	for key, r := range map[string]Row{
		cert.Serial: cert, "0a": bare, "web/named-by-its-requester": order,
	} {
		x.Put(r)
		require.Equal(t, map[string]Row{key: r}, x.Find([]string{key, "unknown"}))
	}
	require.Equal(t, 3, x.Len())
	x.Remove("web/named-by-its-requester")
	x.Remove("unknown")
	require.Equal(t, 2, x.Len())
	for _, id := range []string{
		"", "0a", "0A-1b", "0a1b", "01-02-03-04-05-06-07-08-09-0a-0b-0c-0d-0e-0f-10",
		"6f1d3b2a-0000-4000-8000-000000000001", "6F1d3b2a-0000-4000-8000-000000000001", "web/0a",
	} {
		require.Equal(t, id, unpackID(packID(id)))
	}
}

func TestNamesOfARowAreBounded(t *testing.T) {
	x, r := newIndex(nil), row(1)
	for i := range 1000 {
		r.Names = append(r.Names, fmt.Sprintf("%d.a-rather-long-name.example.com", i))
	}
	x.Put(r)
	names := x.Find([]string{r.Serial})[r.Serial].Names
	require.Equal(t, r.Names[:len(names)], names)
	require.LessOrEqual(t, len(strings.Join(names, "\n")), maxNames)
	require.Greater(t, len(names), 200)
}

func TestFiltersSelect(t *testing.T) {
	x := newIndex(nil)
	for n := range 10 {
		r := row(n + 1)
		switch n {
		case 3:
			r.Revoked = noon
		case 4:
			r.Names, r.KeyType = []string{"*.shop.example.com"}, "rsa-2048"
		case 5:
			r.Held, r.Role = true, "mail"
		case 6:
			r.NotAfter = noon
		}
		x.Put(r)
	}
	for name, c := range map[string]struct {
		q    Query
		want int
	}{
		"everything":                           {Query{}, 10},
		"a name":                               {Query{Name: "HOST-1.example.com"}, 1},
		"a name among others":                  {Query{Name: "www.example.com"}, 9},
		"a name that a wildcard covers":        {Query{Name: "a.shop.example.com"}, 1},
		"a wildcard":                           {Query{Name: "*.shop.example.com"}, 1},
		"part of a name is none":               {Query{Name: "host-1"}, 0},
		"a role":                               {Query{Role: "mail"}, 1},
		"an unknown role":                      {Query{Role: "mai"}, 0},
		"an owner":                             {Query{Owner: "team-3"}, 2},
		"a requester":                          {Query{Requester: "entity:e"}, 10},
		"an issuer":                            {Query{Issuer: "A CA"}, 10},
		"a type of key":                        {Query{KeyType: "rsa-2048"}, 1},
		"revoked ones":                         {Query{State: "revoked"}, 1},
		"expired ones":                         {Query{State: "expired"}, 1},
		"held ones":                            {Query{State: "held"}, 1},
		"valid ones":                           {Query{State: "valid"}, 7},
		"those that expire in five days":       {Query{ExpiresWithin: 5 * 24 * time.Hour}, 4},
		"part of a name":                       {Query{Text: "HOP.exam"}, 1},
		"part of an owner":                     {Query{Text: "team-3"}, 2},
		"part of a serial number, with colons": {Query{Text: "00:00:0A"}, 1},
		"part of an id":                        {Query{Text: "8000-000000000002"}, 1},
		"a filter and another":                 {Query{Text: "team-3", KeyType: "rsa-2048"}, 0},
		"a text that is in nothing":            {Query{Text: "zzz"}, 0},
		"digits that only ids have":            {Query{Text: "6f1d3b2a"}, 10},
		"those of nobody":                      {Query{Requester: "entity:other"}, 0},
		"what nobody waits for":                {Query{WaitsFor: "operator"}, 0},
		"those with a chain": {Query{Select: func(chain string, _ KeyID) bool {
			return chain == "chain-1"
		}}, 4},
		"one with a key": {Query{Select: func(_ string, key KeyID) bool {
			return key == KeyID{7}
		}}, 1},
		"the whole text of a word in another's case": {Query{Text: "a ca"}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			c.q.Now, c.q.Limit = noon, 100
			p, err := x.Page(c.q)
			require.NoError(t, err)
			require.Len(t, p.Rows, c.want)
			require.Equal(t, c.want, p.Matches)
			require.Empty(t, p.Next)
			require.False(t, p.Complete, "nothing has filled it")
		})
	}
	require.Equal(t, []int{1, 1, 6},
		x.ByExpiry(noon, []time.Duration{24 * time.Hour, 48 * time.Hour}))
}

func TestPagesAreStableWhileRowsComeAndGo(t *testing.T) {
	for _, by := range sorts {
		for _, descending := range []bool{false, true} {
			x := newIndex(nil)
			for n := range 60 {
				x.Put(row(n % 20 * 3)) // some replace others
			}
			q := Query{Now: noon, Sort: by, Descending: descending, Limit: 7}
			all := serialsOf(t, x, q, func() {})
			require.Len(t, all, 20)
			coming := 0
			again := serialsOf(t, x, q, func() {
				coming++
				x.Put(row(coming*3 + 1))
				x.Remove(row(3*(coming*5+1) + 1).Serial)
			})
			var old []string
			for _, serial := range again {
				if x.Find(all)[serial].Serial != "" {
					old = append(old, serial)
				}
			}
			require.Equal(t, all, old, "%s %v", by, descending)
		}
	}
}

func TestWrongPlacesAreRefused(t *testing.T) {
	x := newIndex(nil)
	for n := range 3 {
		x.Put(row(n))
	}
	p, err := x.Page(Query{Now: noon, Limit: 1})
	require.NoError(t, err)
	for text, q := range map[string]Query{
		"sort: \"price\" is none of not_after": {Sort: "price"},
		"after: is no value of next":           {After: "nonsense"},
		"after: is a value of next in a list":  {After: p.Next, Descending: true},
	} {
		_, err := x.Page(q)
		require.ErrorContains(t, err, text)
	}
	_, err = x.Page(Query{Now: noon, After: p.Next, Limit: 1})
	require.NoError(t, err)
}

// fill has an index filled from storage, as after a start.
func fill(t *testing.T, s logical.Storage) *Index {
	t.Helper()
	x := newIndex(clock)
	x.Await(t.Context(), s)
	synctest.Wait()
	return x
}

// pass saves and verifies, as a background pass does.
func pass(t *testing.T, x *Index, s logical.Storage) {
	t.Helper()
	x.Tend(t.Context(), s)
	time.Sleep(time.Minute)
}

func TestAnIndexIsSavedAndReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(logical.InmemStorage)
		x := newIndex(clock)
		pass(t, x, s)
		require.True(t, x.IsComplete())
		for n := range 600 {
			put(t, x, s, row(n))
		}
		pass(t, x, s)
		names, err := store.List(t.Context(), s, "index/cert/")
		require.NoError(t, err)
		require.Len(t, names, 3)
		time.Sleep(7 * 24 * time.Hour)

		counting := &reads{Storage: s}
		y := fill(t, counting)
		require.True(t, y.IsComplete())
		require.Equal(t, 600, y.Len())
		require.Equal(t, serialsOf(t, x, Query{Limit: 50}, func() {}),
			serialsOf(t, y, Query{Limit: 50}, func() {}))
		require.Equal(t, len(names), counting.n, "pages alone are read")
		require.Empty(t, y.pages.dirty)
		require.Equal(t, x.Find([]string{row(5).Serial}), y.Find([]string{row(5).Serial}))
	})
}

// reads counts readings of entries.
type reads struct {
	logical.Storage
	n int
}

func (s *reads) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.n++
	return s.Storage.Get(ctx, key)
}

func TestWhatThePagesLackIsReadFromTheEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(logical.InmemStorage)
		x := newIndex(clock)
		for n := range 300 {
			put(t, x, s, row(n))
		}
		pass(t, x, s)
		pass(t, x, s)
		// Another process adds, removes and changes, and dies before its pass.
		require.NoError(t, store.Put(t.Context(), s, "entry/"+row(900).Serial, row(900)))
		require.NoError(t, s.Delete(t.Context(), "entry/"+row(1).Serial))
		held := row(2)
		held.NotBefore = clock().Truncate(time.Second)
		require.NoError(t, store.Put(t.Context(), s, "entry/"+held.Serial, held))
		x.Put(held)
		pass(t, x, s)
		held.Held = true
		require.NoError(t, store.Put(t.Context(), s, "entry/"+held.Serial, held))

		y := fill(t, s)
		require.True(t, y.IsComplete())
		require.Equal(t, 300, y.Len())
		found := y.Find([]string{row(900).Serial, row(1).Serial, row(2).Serial})
		require.Len(t, found, 2)
		require.Equal(t, row(900), found[row(900).Serial])
		require.True(t, found[row(2).Serial].Held, "what is recent is read again")
	})
}

func TestARowThatIsOutOfDateDoesNotStaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(logical.InmemStorage)
		x := newIndex(clock)
		for n := range 25 {
			put(t, x, s, row(n))
		}
		pass(t, x, s)
		changed := row(20)
		changed.PaidUntil = noon
		require.NoError(t, store.Put(t.Context(), s, "entry/"+changed.Serial, changed))
		for range 3 {
			pass(t, x, s)
		}
		require.Equal(t, changed, x.Find([]string{changed.Serial})[changed.Serial])
	})
}

// A page of an earlier version knows no chains: whoever lists by them finds all certificates.
func TestRowsWithoutAChainAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(logical.InmemStorage), newIndex(clock)
		for n := range 3 {
			put(t, x, s, row(n+1))
		}
		pass(t, x, s)
		pass(t, x, s)
		page, err := store.Get[StoredPage](t.Context(), s, "index/cert/000000")
		require.NoError(t, err)
		for i := range page.Rows {
			page.Rows[i].Chain, page.Rows[i].Key = 0, nil
		}
		require.NoError(t, store.Put(t.Context(), s, "index/cert/000000", page))
		again := fill(t, s)
		require.Equal(t, row(1), again.Find([]string{row(1).Serial})[row(1).Serial])
		require.Equal(t, []string{"chain-0", "chain-1", "chain-2"},
			slices.Sorted(maps.Keys(again.Chains())))
	})
}

func TestAPageThatCannotBeReadIsReplaced(t *testing.T) {
	for name, broken := range map[string]string{
		"no JSON":            `{"version":1,"rows":[{`,
		"a word that is not": `{"version":1,"rows":[{"s":"0a","w":[9,0,0,0,0,0,0,0,0],"t":[0,0,0,0,0,0]}]}`,
		"a negative word":    `{"version":1,"rows":[{"s":"0a","w":[-1,0,0,0,0,0,0,0,0],"t":[0,0,0,0,0,0]}]}`,
		"a row of nothing":   `{"version":1,"words":[""],"rows":[{"w":[0,0,0,0,0,0,0,0,0],"t":[0,0,0,0,0,0]}]}`,
		"a later version":    `{"version":99,"rows":[]}`,
		"nothing":            `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(logical.InmemStorage)
				x := newIndex(clock)
				for n := range 300 {
					put(t, x, s, row(n))
				}
				pass(t, x, s)
				pass(t, x, s)
				require.NoError(t, s.Put(t.Context(),
					&logical.StorageEntry{Key: "index/cert/000000", Value: []byte(broken)}))
				y := fill(t, s)
				require.True(t, y.IsComplete())
				require.Equal(t, serialsOf(t, x, Query{Limit: 1000}, func() {}),
					serialsOf(t, y, Query{Limit: 1000}, func() {}))
				pass(t, y, s)
				counting := &reads{Storage: s}
				z := fill(t, counting)
				require.Equal(t, 300, z.Len())
				require.LessOrEqual(t, counting.n, 4, "its rows are in pages again")
				e, err := s.Get(t.Context(), "index/cert/000000")
				require.NoError(t, err)
				if name == "a later version" {
					require.Equal(t, broken, string(e.Value), "it keeps what it says")
				} else if e != nil {
					require.NotEqual(t, broken, string(e.Value), "it does not stay")
				}
			})
		})
	}
}

func TestOfTwoPagesWithARowTheLaterIsRight(t *testing.T) {
	for name, order := range map[string][2]string{
		"the first is later":  {"000001", "000000"},
		"the second is later": {"000000", "000001"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(logical.InmemStorage)
				earlier, later := row(1), row(1)
				later.Owner = "another team"
				for i, r := range []Row{earlier, later} {
					page := stored([]Row{r, row(2 + i)}, noon.Add(time.Duration(i)*time.Hour))
					require.NoError(t, store.Put(t.Context(), s, "index/cert/"+order[i], page))
				}
				for _, r := range []Row{later, row(2), row(3)} {
					require.NoError(t, store.Put(t.Context(), s, "entry/"+r.Serial, r))
				}
				counting := &reads{Storage: s}
				for range 2 {
					x := fill(t, counting)
					require.Equal(t, 3, x.Len())
					require.Equal(t, later, x.Find([]string{later.Serial})[later.Serial])
					pass(t, x, &cut{Storage: s, left: 5})
				}
				require.LessOrEqual(t, counting.n, 4, "no entry was read for it")
			})
		})
	}
}

// cut is storage whose writes fail after a number of them.
type cut struct {
	logical.Storage
	left int
}

func (s *cut) Put(ctx context.Context, e *logical.StorageEntry) error {
	if s.left--; s.left < 0 {
		return context.DeadlineExceeded
	}
	return s.Storage.Put(ctx, e)
}

func TestACrashWhilePagesAreSavedLosesNothing(t *testing.T) {
	for left := range 5 {
		synctest.Test(t, func(t *testing.T) {
			s := new(logical.InmemStorage)
			x := newIndex(clock)
			for n := range 900 {
				put(t, x, s, row(n))
			}
			pass(t, x, s)
			pass(t, x, s)
			for n := 0; n < 900; n += 3 { // rows move to other pages
				x.Remove(row(n).Serial)
				put(t, x, s, row(n))
			}
			revoked := row(4)
			revoked.Revoked = clock().Truncate(time.Second)
			revoked.NotBefore = revoked.Revoked
			put(t, x, s, revoked)
			pass(t, x, &cut{Storage: s, left: left})
			y := fill(t, s)
			require.True(t, y.IsComplete())
			require.Equal(t, 900, y.Len())
			pass(t, y, s)
			z := fill(t, s)
			require.Equal(t, serialsOf(t, x, Query{Limit: 1000}, func() {}),
				serialsOf(t, z, Query{Limit: 1000}, func() {}))
		})
	}
}

func TestADoubtedEntryIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(logical.InmemStorage)
		x := fill(t, s)
		require.True(t, x.IsComplete())
		require.NoError(t, store.Put(t.Context(), s, "entry/"+row(1).Serial, row(1)))
		x.Doubt(row(1).Serial)
		require.False(t, x.IsComplete())
		x.Await(t.Context(), s)
		require.True(t, x.IsComplete())
		require.Equal(t, 1, x.Len())
		require.NoError(t, s.Delete(t.Context(), "entry/"+row(1).Serial))
		x.Doubt(row(1).Serial)
		x.Await(t.Context(), s)
		require.Zero(t, x.Len())
		for n := range maxDoubted + 1 {
			x.Doubt(row(n).Serial)
		}
		require.NoError(t, store.Put(t.Context(), s, "entry/"+row(2).Serial, row(2)))
		x.Await(t.Context(), s)
		require.True(t, x.IsComplete(), "it is filled anew")
		require.Equal(t, 1, x.Len())
	})
}

// slow is a source whose entries are changed, and told, while they are read.
type slow struct {
	entries
	change func(key string)
}

func (c slow) Row(ctx context.Context, s logical.Storage, key string) (*Row, error) {
	r, err := c.entries.Row(ctx, s, key)
	c.change(key)
	return r, err
}

func TestWhatIsToldWhileAnEntryIsReadCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(logical.InmemStorage)
		x := newIndex(clock)
		require.NoError(t, store.Put(t.Context(), s, "entry/"+row(1).Serial, row(1)))
		require.NoError(t, store.Put(t.Context(), s, "entry/"+row(2).Serial, row(2)))
		held := row(1)
		held.Held = true
		x.source = slow{change: func(key string) {
			if key == held.Serial {
				put(t, x, s, held)
			} else {
				x.Remove(key)
			}
		}}
		x.Await(t.Context(), s)
		require.Equal(t, map[string]Row{held.Serial: held},
			x.Find([]string{held.Serial, row(2).Serial}))
	})
}

func TestPagesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(logical.InmemStorage)
		x := newIndex(clock)
		for n := range 300 {
			r := row(n)
			for i := range 400 {
				r.Names = append(r.Names, fmt.Sprintf("<%d>&\"a-hostile-name\".example.com", i))
			}
			put(t, x, s, r)
		}
		for range 10 {
			pass(t, x, s)
		}
		names, err := store.List(t.Context(), s, "index/cert/")
		require.NoError(t, err)
		require.Greater(t, len(names), 10)
		for _, name := range names {
			e, err := s.Get(t.Context(), "index/cert/"+name)
			require.NoError(t, err)
			require.Less(t, len(e.Value), 512<<10)
		}
		require.Equal(t, 300, fill(t, s).Len())
	})
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	r := row(1)
	r.Revoked, r.Held, r.State, r.WaitsFor = noon, true, "pending", "operator"
	r.MadeAt, r.ChangedAt = noon, noon
	storetest.Compare(t, "v1", map[string]any{
		"page": stored([]Row{r, row(2)}, noon), "changed": &Changed{Version: 1},
	})
}

// filled returns an index of n certificates, as many as a large mount has.
func filled(n int) *Index {
	x := newIndex(nil)
	for i := range n {
		r := row(i)
		r.Role, r.Requester = fmt.Sprintf("role-%d", i%50), fmt.Sprintf("entity:%d", i%1000)
		r.Serial = fmt.Sprintf("1a-2b-3c-4d-5e-6f-70-81-92-a3-b4-c5-d6-%02x-%02x-%02x",
			i>>16, i>>8&0xff, i&0xff)
		x.Put(r)
	}
	return x
}

// BenchmarkPageOfAHundredThousand is what a list of a hundred rows among 100,000 costs.
func BenchmarkPageOfAHundredThousand(b *testing.B) {
	x := filled(100_000)
	for name, q := range map[string]Query{
		"all":     {},
		"by name": {Sort: ByName},
		"text":    {Text: "host-99"},
		"chain": {Select: func(chain string, key KeyID) bool {
			return chain == "chain-2" && key != KeyID{1}
		}},
		"name":          {Name: "host-4711.example.com"},
		"role":          {Role: "role-7"},
		"expires in 30": {ExpiresWithin: 30 * 24 * time.Hour},
	} {
		b.Run(name, func(b *testing.B) {
			q.Now, q.Limit = noon, 100
			for b.Loop() {
				if _, err := x.Page(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPut is what the index adds to a certificate that is stored.
func BenchmarkPut(b *testing.B) {
	x, r := filled(100_000), row(1)
	for b.Loop() {
		r.Held = !r.Held
		x.Put(r)
	}
}

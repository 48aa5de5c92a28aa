// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

var readAt = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// A fakeReport is a report that changes between two answers.
type fakeReport struct {
	rows []certinext.ReportRow // as they are listed
	size int
	mute bool // announces no totals
}

func numbered(from, to int) (rows []certinext.ReportRow) {
	for n := from; n <= to; n++ {
		rows = append(rows, certinext.ReportRow{
			OrderID: strconv.Itoa(n), RequestID: "r" + strconv.Itoa(n), Domain: "other.example.net",
			OrderedAt: readAt.Add(-1000 * time.Hour),
		})
	}
	return rows
}

// reversed lists the newest first.
func reversed(rows []certinext.ReportRow) []certinext.ReportRow {
	slices.Reverse(rows)
	return rows
}

// page answers as CERTInext does: a page beyond the end is the last one again.
func (f *fakeReport) page(n int) certinext.ReportPage {
	pages := (len(f.rows) + f.size - 1) / f.size
	n = max(min(n, pages), 1)
	start := min((n-1)*f.size, len(f.rows))
	p := certinext.ReportPage{
		Rows:  slices.Clone(f.rows[start:min(start+f.size, len(f.rows))]),
		Total: len(f.rows), Pages: pages,
	}
	if f.mute {
		p.Total, p.Pages = -1, -1
	}
	return p
}

func (f *fakeReport) insert(at int, row certinext.ReportRow) {
	f.rows = slices.Insert(f.rows, at, row)
}

func keepsAll(certinext.ReportRow) bool { return true }

// readOne has the reading read its next page, and returns which one that was.
func readOne(g *reading, f *fakeReport, taken map[string]time.Time) int {
	n := g.next()
	g.add(n, f.page(n), readAt, keepsAll, taken)
	return n
}

// readAllOf reads until the reading has ended; before each page, change may change the report.
func readAllOf(
	t *testing.T, g *reading, f *fakeReport, taken map[string]time.Time, change func(call int),
) {
	t.Helper()
	for call := 1; g.state == readingOn; call++ {
		require.Less(t, call, 1000, "the reading never ends")
		if change != nil {
			change(call)
		}
		n := readOne(g, f, taken)
		require.Positive(t, n)
		require.LessOrEqual(t, n, 1000)
	}
}

// Whatever happens between two answers: a reading that calls itself complete has seen every order
// that the report holds at its end.
func TestAReadingIsCompleteOnlyWhenItHasSeenAllOrders(t *testing.T) {
	added := func(n int) certinext.ReportRow { return numbered(n, n)[0] }
	for name, c := range map[string]struct {
		rows   []certinext.ReportRow
		mute   bool
		change func(f *fakeReport, call int)
		want   readingState
		calls  int // at most
	}{
		"an empty report":        {want: readingComplete, calls: 1},
		"a page":                 {rows: numbered(1, 10), want: readingComplete, calls: 1},
		"many pages":             {rows: numbered(1, 95), want: readingComplete, calls: 10},
		"many pages, no numbers": {rows: numbered(1, 95), mute: true, want: readingOver, calls: 12},
		"growing at its beginning": {
			rows: reversed(numbered(1, 95)), want: readingComplete, calls: 13,
			change: func(f *fakeReport, call int) {
				if call < 8 {
					f.insert(0, added(100+call))
				}
			},
		},
		"growing at its end": {
			rows: numbered(1, 95), want: readingComplete, calls: 13,
			change: func(f *fakeReport, call int) {
				if call < 8 {
					f.insert(len(f.rows), added(100+call))
				}
			},
		},
		"growing in its middle": {
			rows: numbered(1, 95), want: readingComplete, calls: 25,
			change: func(f *fakeReport, call int) {
				if call < 8 {
					f.insert(20, added(100+call))
				}
			},
		},
		"an order that leaves it": {
			rows: numbered(1, 95), want: readingMoved, calls: 5,
			change: func(f *fakeReport, call int) {
				if call == 5 {
					f.rows = slices.Delete(f.rows, 3, 4)
				}
			},
		},
		"an order that moves behind the reading and hides another one": {
			rows: numbered(1, 95), want: readingComplete, calls: 30,
			change: func(f *fakeReport, call int) {
				if call == 5 { // pages 1, 10, 2 and 3 were read
					moved := f.rows[3]
					f.rows = slices.Delete(f.rows, 3, 4)
					f.insert(len(f.rows), moved)
				}
			},
		},
		"a draft that is promoted, and moves": {
			rows: slices.Concat(
				[]certinext.ReportRow{{RequestID: "r0", Domain: "other.example.net"}},
				numbered(1, 94),
			),
			want: readingComplete, calls: 30,
			change: func(f *fakeReport, call int) {
				if call == 5 {
					f.rows = slices.Delete(f.rows, 0, 1)
					f.insert(len(f.rows), certinext.ReportRow{OrderID: "0", RequestID: "r0"})
				}
			},
		},
		"a reissue, which moves": {
			rows: numbered(1, 95), want: readingComplete, calls: 30,
			change: func(f *fakeReport, call int) {
				if call == 5 {
					f.rows = slices.Delete(f.rows, 0, 1)
					f.insert(len(f.rows), certinext.ReportRow{OrderID: "1", RequestID: "r777"})
				}
			},
		},
		"a report that leaves one out": {
			rows: append(numbered(1, 95), numbered(7, 7)...), want: readingOver, calls: 20,
		},
		"a stale answer after a promotion": {
			rows: append(numbered(1, 95), numbered(7, 7)...), want: readingOver, calls: 50,
			change: func(f *fakeReport, _ int) { // as a draft, order 3 is another row
				f.rows[len(f.rows)-1] = certinext.ReportRow{RequestID: "r3"}
			},
		},
		"orders that share a request number": {
			rows: func() []certinext.ReportRow {
				rows := numbered(1, 95)
				for i := range rows {
					rows[i].RequestID = "0"
				}
				return rows
			}(),
			want: readingComplete, calls: 10,
		},
		"a row without any number": {
			rows: append(numbered(1, 95), certinext.ReportRow{}), want: readingOver, calls: 20,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, g := &fakeReport{rows: c.rows, size: 10, mute: c.mute}, newReading(readAt)
			readAllOf(t, g, f, nil, func(call int) {
				if c.change != nil {
					c.change(f, call)
				}
			})
			require.Equal(t, c.want, g.state)
			require.LessOrEqual(t, g.calls, c.calls)
			require.Nil(t, g.seen, "what was seen is not kept")
			if g.state == readingComplete {
				for _, row := range f.rows {
					require.NotNil(t, g.rowOf(row.OrderID), "order %s was not seen", row.OrderID)
				}
			}
		})
	}
}

// While others order all the time, a reading costs little more than the pages there are.
func TestAReadingCatchesUpWithAGrowingReport(t *testing.T) {
	for name, c := range map[string]struct {
		list func([]certinext.ReportRow) []certinext.ReportRow
		at   func(*fakeReport) int
	}{
		"newest first": {reversed, func(*fakeReport) int { return 0 }},
		"oldest first": {
			func(rows []certinext.ReportRow) []certinext.ReportRow { return rows },
			func(f *fakeReport) int { return len(f.rows) },
		},
	} {
		for _, every := range []int{1, 5, 20} { // pages
			t.Run(fmt.Sprintf("%s, every %d pages", name, every), func(t *testing.T) {
				f, g := &fakeReport{rows: c.list(numbered(1, 3000)), size: 10}, newReading(readAt)
				for call := 1; g.state == readingOn; call++ {
					require.Less(t, call, 1000)
					if call%every == 0 {
						f.insert(c.at(f), numbered(10_000+call, 10_000+call)[0])
					}
					readOne(g, f, nil)
				}
				require.Equal(t, readingComplete, g.state)
				require.LessOrEqual(t, g.calls, len(f.rows)/10+60)
			})
		}
	}
}

// A report is never taken for complete that changes in any way but by growing.
func TestAReadingAndARandomReport(t *testing.T) {
	for seed := range 2000 {
		d := rand.New(rand.NewPCG(uint64(seed), 1))
		f := &fakeReport{rows: numbered(1, 20+d.IntN(80)), size: 1 + d.IntN(20)}
		g, next, taken := newReading(readAt), 1000, map[string]time.Time{}
		for range d.IntN(4) { // the mount's own, which may tell any order
			minutes := time.Duration(d.IntN(100)) * time.Minute
			taken[strconv.Itoa(1+d.IntN(len(f.rows)))] = readAt.Add(minutes)
		}
		readAllOf(t, g, f, taken, func(call int) {
			if call > 40 || d.IntN(3) > 0 {
				return
			}
			next++
			at := d.IntN(len(f.rows) + 1)
			if d.IntN(4) == 0 { // another order changes, and moves
				i := d.IntN(len(f.rows))
				row := f.rows[i]
				f.rows = slices.Delete(f.rows, i, i+1)
				f.insert(min(at, len(f.rows)), row)
				return
			}
			f.insert(at, numbered(next, next)[0])
		})
		if g.state != readingComplete {
			continue
		}
		for _, row := range f.rows {
			require.NotNil(t, g.rowOf(row.OrderID), "seed %d: order %s was not seen", seed, row.OrderID)
		}
	}
}

// The mount's own orders tell which end of the report holds the newest, and where a look ends.
func TestALookEndsBelowAnOlderOrderOfTheMounts(t *testing.T) {
	const total, size = 300, 10
	at := func(minute int) time.Time { return readAt.Add(time.Duration(minute) * time.Minute) }
	for name, c := range map[string]struct {
		own   map[int]int // the minutes at which orders were taken, by their number
		asked int         // the minute
		calls int         // after which a look ends; 0 when it reads all
	}{
		"two older ones":                {map[int]int{295: 1, 270: 0}, 2, 5},
		"one":                           {map[int]int{295: 1}, 2, 0},
		"none that is older":            {map[int]int{295: 3, 270: 2}, 1, 0},
		"one older, one later":          {map[int]int{298: 3, 270: 1}, 2, 5},
		"two that contradict a third":   {map[int]int{298: 1, 297: 3, 296: 0}, 2, 0},
		"the order that was asked then": {map[int]int{295: 2, 270: 2}, 2, 0},
	} {
		for direction, list := range map[string]func([]certinext.ReportRow) []certinext.ReportRow{
			"newest first": reversed,
			"oldest first": func(rows []certinext.ReportRow) []certinext.ReportRow { return rows },
		} {
			t.Run(fmt.Sprintf("%s, %s", name, direction), func(t *testing.T) {
				taken := map[string]time.Time{}
				for number, minute := range c.own {
					taken[strconv.Itoa(number)] = at(minute)
				}
				f, g := &fakeReport{rows: list(numbered(1, total)), size: size}, newReading(readAt)
				for call := 1; g.state == readingOn; call++ {
					readOne(g, f, taken)
					if g.isBelow(at(c.asked)) {
						require.NotZero(t, c.calls, "a look ended after %d pages", call)
						// From the wrong end, its way leads past the other pages.
						require.True(t, call == c.calls || (direction == "oldest first" && call > c.calls))
						require.NotNil(t, g.rowOf(strconv.Itoa(total)), "the newest order was not looked at")
						return
					}
				}
				require.Zero(t, c.calls, "the look did not end early")
			})
		}
	}
}

func TestWhatTheReadingAnswers(t *testing.T) {
	at := func(minute int) time.Time { return readAt.Add(time.Duration(minute) * time.Minute) }
	nothing := func(*reading) bool { return false }
	shown := func(*reading) bool { return true }
	ended := func(begun, end int) *reading {
		g := newReading(at(begun))
		g.state, g.ended = readingComplete, at(end)
		return g
	}
	told := func(g *reading) *reading { g.told["k"] = true; return g }
	whole := func(g *reading) *reading { g.whole = true; return g }
	for name, c := range map[string]struct {
		g    *reading
		q    question
		want answerability
	}{
		"none yet":                             {nil, question{found: nothing}, answerAnew},
		"one that goes on":                     {newReading(at(0)), question{found: nothing}, answerLater},
		"one that goes on, and shows it":       {newReading(at(0)), question{found: shown, begun: at(5)}, answerHere},
		"one that goes on, with an old row":    {newReading(at(0)), question{found: shown, begun: at(5), fresh: true}, answerLater},
		"one that has ended":                   {ended(1, 2), question{found: nothing, begun: at(1)}, answerHere},
		"one that began too early":             {ended(0, 2), question{found: nothing, begun: at(1)}, answerAnew},
		"one that began too early, and shows":  {ended(0, 2), question{found: shown, begun: at(1)}, answerHere},
		"one that ended too early":             {ended(0, 2), question{found: nothing, ended: at(3)}, answerAnew},
		"one that ended too early, and shows":  {ended(0, 2), question{found: shown, ended: at(3)}, answerAnew},
		"one that has answered":                {told(ended(1, 2)), question{key: "k", found: nothing}, answerAnew},
		"a short look that has answered":       {told(newReading(at(0))), question{key: "k", found: nothing}, answerAnew},
		"a long one, read on for others":       {told(whole(newReading(at(0)))), question{key: "k", found: nothing, patient: true}, answerHere},
		"a long one, and no stale row":         {told(whole(newReading(at(0)))), question{key: "k", found: shown, begun: at(5), fresh: true}, answerLater},
		"one that has answered somebody else":  {told(ended(1, 2)), question{key: "j", found: nothing}, answerHere},
		"one that goes on, begun at that time": {newReading(at(1)), question{found: nothing, begun: at(1)}, answerLater},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, c.g.answer(c.q, lastReading{}))
		})
	}
}

func TestALongReportIsNotReadAllTheTime(t *testing.T) {
	end := readAt.Add(90 * time.Second)
	last := lastReading{begun: readAt, ended: end, pages: 300}
	for name, c := range map[string]struct {
		last  lastReading
		q     question
		pause time.Duration
	}{
		"none before":                   {lastReading{}, question{}, 0},
		"a short one":                   {lastReading{readAt, end, shortReport}, question{}, 0},
		"an order that it served":       {last, question{begun: readAt}, time.Hour},
		"an order that came after":      {last, question{begun: readAt.Add(time.Second)}, 5 * time.Minute},
		"a person who waits for answer": {last, question{begun: readAt, urgent: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.False(t, c.last.pauses(c.q, end.Add(c.pause)))
			if c.pause > 0 {
				require.True(t, c.last.pauses(c.q, end.Add(c.pause-1)))
			}
		})
	}
}

// What a reading keeps of the rows of others does not grow with what the rows say.
func TestTheRowsOfOthersAreNotKept(t *testing.T) {
	f, g := &fakeReport{rows: numbered(1, 5000), size: 100}, newReading(readAt)
	for g.state == readingOn {
		n := g.next()
		g.add(n, f.page(n), readAt, func(r certinext.ReportRow) bool { return r.OrderID == "77" }, nil)
	}
	require.Equal(t, readingComplete, g.state)
	require.Len(t, g.byNumber, 1)
	require.Empty(t, g.byMarker)
	require.Nil(t, g.seen)
	require.Len(t, g.unmarked, 1)
}

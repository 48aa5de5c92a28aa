// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "time"

// v1DateLayouts are the forms in which the report takes a date, and how long a
// time each stands for (documented). Without a zone it is UTC.
var v1DateLayouts = []struct {
	layout string
	length time.Duration
}{
	{time.DateOnly, 24 * time.Hour},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02T15:04:05", time.Second},
	{time.RFC3339, time.Second},
}

// v1DateCodes are the codes of what can be wrong with a span of dates.
type v1DateCodes struct {
	name                                                 string
	badFrom, badTill, reversed, missingFrom, missingTill string
	past                                                 bool // cannot lie ahead
}

var (
	v1OrderDates = v1DateCodes{
		"Order", "EMS-1108", "EMS-1109", "EMS-1110", "EMS-1120", "EMS-1121", true,
	}
	v1ExpiryDates = v1DateCodes{
		"Certificate Expiry", "EMS-1111", "EMS-1112", "EMS-1113", "EMS-1122", "EMS-1123", false,
	}
)

// span reads a span of dates, both ends included. As published, each end
// needs the other and no order lies ahead; whether the service minds is not
// known.
func (s version1) span(
	c *call, from, till string, codes v1DateCodes,
) (func(time.Time) bool, *problem) {
	if from == "" && till == "" {
		return func(time.Time) bool { return true }, nil
	}
	begin, _, okFrom := v1ReportDate(from)
	start, end, okTill := v1ReportDate(till)
	published := s.Dialect == Documented
	if problem := firstUnmet(
		demand{
			from != "" || !published, codes.missingFrom, codes.name + " from date cannot be empty.",
		},
		demand{
			till != "" || !published, codes.missingTill, codes.name + " till date cannot be empty.",
		},
		demand{from == "" || okFrom, codes.badFrom, "Invalid " + codes.name + " from Date."},
		demand{till == "" || okTill, codes.badTill, "Invalid " + codes.name + " till Date."},
		demand{
			from == "" || till == "" || !begin.After(end), codes.reversed,
			codes.name + " from Date cannot be greater than till Date.",
		},
		demand{
			!published || !codes.past || (!begin.After(c.now) && !start.After(c.now)), "EMS-1118",
			"Dates cannot be greater than Current Date.",
		},
	); problem != nil {
		return nil, problem
	}
	return func(t time.Time) bool {
		return !t.IsZero() && (from == "" || !t.Before(begin)) && (till == "" || !t.After(end))
	}, nil
}

// v1ReportDate is the first and the last moment that text stands for.
func v1ReportDate(text string) (first, last time.Time, ok bool) {
	for _, form := range v1DateLayouts {
		if t, err := time.Parse(form.layout, text); err == nil {
			return t, t.Add(form.length - time.Nanosecond), true
		}
	}
	return time.Time{}, time.Time{}, false
}

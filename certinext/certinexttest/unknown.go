// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/settings"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/spelling"
)

// Unknowns are questions about version 2 of the service that no source answers, each with the
// answer that this server gives. The zero value answers as the dialect was observed or published. A
// client that does well under all answers does well whatever the service turns out to do.
type Unknowns struct {
	// NumericIDs writes order, request, group and organization numbers as JSON numbers, where they
	// are digits. As texts they were seen.
	NumericIDs bool
	// Timestamps is how times are written in answers. Both ways were seen in one dialect.
	Timestamps TimestampStyle
	// CapitalStatuses writes statuses and reasons in capital letters. Small ones were seen.
	CapitalStatuses bool
	// ReportDays is what from and to of the orders report select.
	ReportDays ReportDays
	// Notifications is the type of emailNotifications that a create call takes.
	Notifications NotificationsType
	// NoFileValidation refuses to validate a domain by a file (http-url). The published collection
	// has it; that it works was never seen.
	NoFileValidation bool
	// FirstChallengeOnly does not look at the domain that a challenge is asked for, and answers for
	// the first name of the order that is not validated.
	FirstChallengeOnly bool
	// ReissueRevokes says which reissues revoke what the order had before.
	ReissueRevokes ReissueRevocation
	// NewestRevokedOnly has the revocation of an order leave the certificates alone that it had
	// before its last reissue. Revocation is by order, and what it does to those was never seen.
	NewestRevokedOnly bool
	// FiveReasons refuses for private PKI and signatures, too, the reasons of version 2 that are
	// refused for public SSL. What is published lists all; none was seen tried.
	FiveReasons bool
}

// A TimestampStyle is how times are written in answers.
type TimestampStyle int

const (
	// TimestampsByDialect is as observed: some with a zone, some without.
	TimestampsByDialect TimestampStyle = iota
	// TimestampsRFC3339 are like 2006-01-02T15:04:05Z.
	TimestampsRFC3339
	// TimestampsWithoutZone are like 2006-01-02 15:04:05, in UTC.
	TimestampsWithoutZone
)

var timestampStyles = []string{
	TimestampsByDialect: "by-dialect", TimestampsRFC3339: "rfc3339",
	TimestampsWithoutZone: "without-zone",
}

// MarshalText names the style.
func (s TimestampStyle) MarshalText() ([]byte, error) { return nameOf(timestampStyles, s) }

// UnmarshalText reads by-dialect, rfc3339 or without-zone.
func (s *TimestampStyle) UnmarshalText(b []byte) error { return byName(timestampStyles, b, s) }

// ReportDays is what from and to of the orders report select.
type ReportDays int

const (
	// DaysInclusive are days of UTC, the first and the last included.
	DaysInclusive ReportDays = iota
	// DaysToExclusive are days of UTC, the last one not included.
	DaysToExclusive
	// DaysIndian are days of India, where the service runs, the first and the last included.
	DaysIndian
	// DaysIgnored select nothing: every order is in the report.
	DaysIgnored
)

var reportDays = []string{
	DaysInclusive: "inclusive", DaysToExclusive: "to-exclusive", DaysIndian: "indian",
	DaysIgnored: "ignored",
}

// MarshalText names the meaning.
func (d ReportDays) MarshalText() ([]byte, error) { return nameOf(reportDays, d) }

// UnmarshalText reads inclusive, to-exclusive, indian or ignored.
func (d *ReportDays) UnmarshalText(b []byte) error { return byName(reportDays, b, d) }

// selects tells whether an order of a time is between two days, of which either may be empty.
func (d ReportDays) selects(at time.Time, from, to string) bool {
	if d == DaysIgnored {
		return true
	}
	if d == DaysIndian {
		at = at.In(indianTime)
	}
	day := at.Format(time.DateOnly)
	until := day <= to
	if d == DaysToExclusive {
		until = day < to
	}
	return (from == "" || day >= from) && (to == "" || until)
}

// A NotificationsType is the type of emailNotifications that a create call takes.
type NotificationsType int

const (
	// NotificationsEither takes a text or a list of texts: sources show both.
	NotificationsEither NotificationsType = iota
	// NotificationsText takes a text.
	NotificationsText
	// NotificationsList takes a list of texts.
	NotificationsList
)

var notificationsTypes = []string{
	NotificationsEither: "either", NotificationsText: "text", NotificationsList: "list",
}

// MarshalText names the type.
func (n NotificationsType) MarshalText() ([]byte, error) { return nameOf(notificationsTypes, n) }

// UnmarshalText reads either, text or list.
func (n *NotificationsType) UnmarshalText(b []byte) error {
	return byName(notificationsTypes, b, n)
}

// refuses tells whether the value of emailNotifications is of the other type. null is of neither.
func (n NotificationsType) refuses(value json.RawMessage) bool {
	if len(value) == 0 {
		return false
	}
	isList := value[0] == '['
	return (n == NotificationsText && isList) || (n == NotificationsList && !isList)
}

// checkUnknowns refuses what the answer to an unknown question refuses.
func (s *Server) checkUnknowns(c *call) *problem {
	if !c.route.creates || c.route.v1() || s.Unknowns.Notifications == NotificationsEither {
		return nil
	}
	var body struct {
		EmailNotifications json.RawMessage `json:"emailNotifications"`
	}
	if json.Unmarshal(c.body, &body) != nil { // decode says what is wrong with the body
		return nil
	}
	if s.Unknowns.Notifications.refuses(body.EmailNotifications) {
		want := "a string"
		if s.Unknowns.Notifications == NotificationsList {
			want = "an array of strings"
		}
		return invalidField("emailNotifications", "must be "+want)
	}
	return nil
}

// respelt writes an answer of version 2 as the unknown spellings have it.
func (s *Server) respelt(c *call, rep reply) reply {
	if c.route.v1() || c.route.op == OpToken || rep.contentType != typeJSON {
		return rep
	}
	rep.body = spelling.Way{
		Numbers: s.Unknowns.NumericIDs, Capitals: s.Unknowns.CapitalStatuses,
		Times: spelling.Times(s.Unknowns.Timestamps),
	}.Respell(rep.body)
	return rep
}

func (s *Server) unknownSettings() settings.List {
	u := &s.Unknowns
	return append(u.revocationSettings(), settings.List{
		{
			Name: "numericIds", Field: &u.NumericIDs, Source: sourceUnknown,
			Help: "write order, request, group and organization numbers as JSON numbers",
		},
		{
			Name: "timestamps", Field: &u.Timestamps, Names: timestampStyles, Source: sourceUnknown,
			Help: "`by-dialect`, rfc3339 or without-zone: how times are written in answers",
		},
		{
			Name: "capitalStatuses", Field: &u.CapitalStatuses, Source: sourceUnknown,
			Help: "write statuses and reasons in capital letters",
		},
		{
			Name: "reportDays", Field: &u.ReportDays, Names: reportDays, Source: sourceUnknown,
			Help: "`inclusive`, to-exclusive, indian (days of Indian time) or ignored: what from " +
				"and to of the orders report select",
		},
		{
			Name: "notifications", Field: &u.Notifications, Names: notificationsTypes,
			Source: sourceUnknown,
			Help:   "`either`, text or list: the type of emailNotifications in an order",
		},
		{
			Name: "noFileValidation", Field: &u.NoFileValidation, Source: sourceUnknown,
			Help: "refuse to validate domains by a file (http-url)",
		},
		{
			Name: "firstChallengeOnly", Field: &u.FirstChallengeOnly, Source: sourceUnknown,
			Help: "answer the challenge of an order's first open name, whichever was asked for",
		},
	}...)
}

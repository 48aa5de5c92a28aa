// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/standing"
)

var ca = []family{
	{
		"certinext_configured", "1 when config holds a CERTInext account.", nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.CA.Configured) }),
	},
	{
		"certinext_held", "1 while nothing may be changed at CERTInext (CERTINEXT_HOLD).",
		nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.CA.Held) }),
	},
	{
		"certinext_ordering_paused", "1 while an operator has paused ordering.", nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.CA.OrderingPaused) }),
	},
	{
		"certinext_rate_limit_requests_per_second",
		"Requests to CERTInext that the mount makes at most; 0 for no limit.", nil, gauge,
		single(func(s *standing.Status) float64 { return s.CA.RatePerSecond }),
	},
	{
		"certinext_requests_total", "Requests to CERTInext since the last start, by outcome.",
		[]string{"operation", "outcome"},
		counter,
		func(s *standing.Status, tell func(float64, ...string)) {
			for _, o := range s.CA.Operations {
				for outcome, n := range o.Outcomes {
					tell(float64(n), o.Name, outcome)
				}
			}
		},
	},
	{
		"certinext_last_answer_timestamp_seconds",
		"When CERTInext last gave an answer that can be used; 0 when not since the last start.",
		nil, gauge, single(func(s *standing.Status) float64 { return seconds(s.CA.LastGood) }),
	},
	{
		"certinext_breaker_open",
		"1 while work leaves CERTInext alone, since it does not answer, " +
			"or limits the rate.",
		[]string{"work"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			tell(number(s.CA.Background.IsPaused(s.At)), "background")
			tell(number(s.CA.Revoking.IsPaused(s.At)), "revocations")
		},
	},
	{
		"certinext_clock_ahead_seconds",
		"By how much CERTInext's clock is ahead of this server's; absent while unknown.",
		nil, gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			if s.CA.ClockKnown {
				tell(s.CA.Ahead.Seconds())
			}
		},
	},
	{
		"certinext_clock_in_doubt", "1 while the clocks differ by more than an hour.", nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.CA.ClockInDoubt) }),
	},
}

var work = []family{
	{
		"certinext_passes_total", "Background passes since the last start, by their outcome.",
		[]string{"outcome"},
		counter,
		func(s *standing.Status, tell func(float64, ...string)) {
			tell(float64(s.Pass.Ended-s.Pass.Failed), "ok")
			tell(float64(s.Pass.Failed), "failed")
		},
	},
	{
		"certinext_last_pass_timestamp_seconds",
		"When the latest background pass that has ended began; 0 when none has.", nil, gauge,
		single(func(s *standing.Status) float64 { return seconds(s.Pass.Began) }),
	},
	{
		"certinext_last_pass_duration_seconds", "How long the latest background pass took.",
		nil, gauge, single(func(s *standing.Status) float64 { return s.Pass.Took.Seconds() }),
	},
	{
		"certinext_sync_finished_timestamp_seconds",
		"When the latest synchronization finished; 0 when none has.", nil, gauge,
		single(func(s *standing.Status) float64 { return seconds(s.Sync.FinishedAt) }),
	},
	{
		"certinext_sync_failed", "1 when the latest synchronization has failed.", nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.Sync.State == "failed") }),
	},
	{
		"certinext_tidy_running", "1 while the mount is being tidied.", nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.Tidy.Running) }),
	},
	{
		"certinext_tidy_failed", "1 when the latest tidying has ended with an error.", nil, gauge,
		single(func(s *standing.Status) float64 { return number(s.Tidy.Failed) }),
	},
	{
		"certinext_tidy_finished_timestamp_seconds",
		"When the latest tidying finished; 0 when none has.", nil, gauge,
		single(func(s *standing.Status) float64 { return seconds(s.Tidy.FinishedAt) }),
	},
	{
		"certinext_tidy_erased", "What that tidying has erased, by the kind of entry.",
		[]string{"kind"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			for kind, n := range s.Tidy.Erased {
				tell(float64(n), kind)
			}
		},
	},
	{
		"certinext_tidy_kept", "What it has looked at and kept, by the kind of entry and why.",
		[]string{"kind", "reason"},
		gauge,
		func(s *standing.Status, tell func(float64, ...string)) {
			for kind, reasons := range s.Tidy.Kept {
				for reason, n := range reasons {
					tell(float64(n), kind, reason)
				}
			}
		},
	},
}

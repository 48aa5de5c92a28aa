// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
)

// status is what the mount says of how it stands, with numbers as JSON has them.
func (m *mount) status() map[string]any {
	m.t.Helper()
	text, err := json.Marshal(m.read("status").Data)
	require.NoError(m.t, err)
	var out map[string]any
	require.NoError(m.t, json.Unmarshal(text, &out))
	return out
}

// inside returns what is at a path of nested objects, as "orders.by_state"; nil when there is nothing.
func inside(object any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		inner, ok := object.(map[string]any)
		if !ok {
			return nil
		}
		object = inner[name]
	}
	return object
}

// exposition is the text of the mount's metrics.
func (m *mount) exposition() string {
	m.t.Helper()
	resp := m.read("metrics")
	require.Equal(m.t, "text/plain; version=0.0.4; charset=utf-8", resp.Data[logical.HTTPContentType])
	require.Equal(m.t, 200, resp.Data[logical.HTTPStatusCode])
	return string(resp.Data[logical.HTTPRawBody].([]byte))
}

// scrape is what the mount's metrics say, each value by how it is written: name{label="value",…}. A histogram is as many as it
// has counted.
func (m *mount) scrape() map[string]int {
	m.t.Helper()
	var parser expfmt.TextParser
	all, err := parser.TextToMetricFamilies(strings.NewReader(m.exposition()))
	require.NoError(m.t, err)
	out := make(map[string]int)
	for name, family := range all {
		for _, metric := range family.GetMetric() {
			out[name+labelsOf(metric)] = int(valueOf(metric))
		}
	}
	return out
}

func labelsOf(metric *dto.Metric) string {
	labels := make([]string, 0, len(metric.GetLabel()))
	for _, l := range metric.GetLabel() {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if len(labels) == 0 {
		return ""
	}
	return "{" + strings.Join(labels, ",") + "}"
}

func valueOf(metric *dto.Metric) float64 {
	switch {
	case metric.GetHistogram() != nil:
		return float64(metric.GetHistogram().GetSampleCount())
	case metric.GetCounter() != nil:
		return metric.GetCounter().GetValue()
	}
	return metric.GetGauge().GetValue()
}

func TestTheStatusOfAnEmptyMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bareMount(t, validated(certinexttest.Live))
		status := m.status()
		require.Equal(t, false, inside(status, "certinext.configured"))
		require.Equal(t, true, inside(status, "orders.complete"))
		require.Zero(t, inside(status, "orders.open"))
		require.Equal(t, "never", inside(status, "last_sync.state"))
		require.Empty(t, m.ca.Calls(), "a status asks nobody")
		got := m.scrape()
		require.Zero(t, got["certinext_configured"])
		require.Contains(t, got, "certinext_revocations{state=\"due\"}")
	})
}

func TestTheStatusSaysWhatIsOpenAndWhoHasToAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 48 * time.Hour
		m := newMount(t, ca)
		m.write("budgets/small", map[string]any{"max_orders": 5})
		first := m.write("orders/web", map[string]any{"common_name": "a.example.com"}).Data["order_id"].(string)
		time.Sleep(time.Hour)
		m.write("orders/web", map[string]any{"common_name": "b.example.com"})
		ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = 24 * time.Hour })
		doubtful := m.unresolved(certinexttest.FaultLostReply)
		m.pass()

		status := m.status()
		require.EqualValues(t, 3, inside(status, "orders.open"), status)
		require.EqualValues(t, 1, inside(status, "orders.in_doubt"))
		require.Equal(t, doubtful, inside(status, "orders.by_state.unresolved.oldest.order_id"))
		require.Equal(t, "operator", inside(status, "orders.by_state.unresolved.oldest.waits_for"))
		require.EqualValues(t, 1, inside(status, "orders.by_waits_for.operator.count"))
		require.Equal(t, first, inside(status, "orders.by_state.pending.oldest.order_id"), status["orders"])
		require.InDelta(t, 3600, inside(status, "orders.by_state.pending.oldest.age_seconds"), 60)
		require.EqualValues(t, 2, status["budgets"].([]any)[0].(map[string]any)["orders_left"])
		require.NotEmpty(t, inside(status, "certinext.last_good_at"))
		placing := inside(status, "certinext.operations.placing order")
		require.EqualValues(t, 1, inside(placing, "outcomes.failed"), placing)
		require.EqualValues(t, 2, inside(placing, "outcomes.ok"), placing)
		require.NotEmpty(t, inside(placing, "last_error"))
		require.EqualValues(t, 1, inside(status, "last_pass.passes"))
		require.Equal(t, []any{map[string]any{"change": "order-in-doubt", "role": "web", "count": 1.0}}, status["changes"])

		got := m.scrape()
		require.Equal(t, 1, got[`certinext_orders{role="web",state="unresolved",waits_for="operator"}`], "%v", got)
		require.Equal(t, 1, got[`certinext_changes_total{change="order-in-doubt",role="web"}`])
		require.Equal(t, 3, got[`certinext_request_duration_seconds{operation="placing order"}`])
		require.Equal(t, 2, got[`certinext_requests_total{operation="placing order",outcome="ok"}`])
		require.Equal(t, 2, got[`certinext_budget_orders_left{budget="small",role=""}`])
		require.Equal(t, 1, got[`certinext_passes_total{outcome="ok"}`])
		created, err := time.Parse(time.RFC3339, inside(status, "orders.by_state.pending.oldest.created_at").(string))
		require.NoError(t, err)
		require.InDelta(t, created.Unix(), got[`certinext_orders_oldest_created_timestamp_seconds{state="pending"}`], 1)

		m.start() // another process knows as much of the orders, and nothing of the requests
		require.EqualValues(t, 3, inside(m.status(), "orders.open"))
		require.NotContains(t, m.scrape(), `certinext_requests_total{operation="placing order",outcome="ok"}`)
	})
}

// A handed-over certificate whose key is not erased yet is no open order.
func TestWhatWasHandedOverIsNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("issue/web", www)
		require.Zero(t, inside(m.status(), "orders.open"))
		m.ca.Configure(func(s *certinexttest.Server) { s.Misissue = certinexttest.MisissueTooLong })
		m.refused("issue/web", map[string]any{"common_name": "held.example.com"})
		require.EqualValues(t, 1, inside(m.status(), "orders.held"))
		require.EqualValues(t, 1, inside(m.status(), "orders.by_waits_for.operator.count"))
	})
}

func TestTheStatusOfTheQueueOfRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		var serials []string
		for n := range 3 {
			serials = append(serials, m.write("issue/web", host(n)).Data["serial_number"].(string))
		}
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		for _, serial := range serials {
			time.Sleep(time.Minute)
			m.write("revoke", map[string]any{"serial_number": serial})
		}
		m.pass()
		queue := m.status()["revocations"]
		require.EqualValues(t, 3, inside(queue, "due"), queue)
		require.EqualValues(t, 3, inside(queue, "failing"), queue)
		require.Equal(t, serials[0], inside(queue, "oldest_serial_number"))
		require.Equal(t, true, inside(queue, "complete"))
		require.Empty(t, inside(queue, "blocked"))
		require.Equal(t, 3, m.scrape()[`certinext_revocations{state="due"}`])

		m.must(call{op: logical.DeleteOperation, path: "config", data: map[string]any{"force": true}})
		queue = m.status()["revocations"]
		require.Equal(t, map[string]any{"no-config": 3.0}, inside(queue, "blocked"))
		require.Zero(t, inside(queue, "failing"), "it is not tried")

		other := m.account()
		other["base_url"] = "https://other.certinext.test"
		other["verify_connection"] = false
		m.write("config", other)
		m.passMinutes(90)
		queue = m.status()["revocations"]
		require.Equal(t, map[string]any{"other-account": 3.0}, inside(queue, "blocked"))
		require.Equal(t, 3, m.scrape()[`certinext_revocations_blocked{reason="other-account"}`])
	})
}

func TestTheStatusOfDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.DomainValidity = 40 * day
		m := newMount(t, ca)
		organization := map[string]any{"organization_number": certinexttest.DefaultOrganization}
		m.write("domains/example.com", organization)
		m.write("domains/other.example.net", organization)
		domains := m.status()["domains"]
		require.EqualValues(t, 2, inside(domains, "registered"), domains)
		require.EqualValues(t, 1, inside(domains, "unvalidated"), domains)
		require.Equal(t, "example.com", inside(domains, "next_name"))
		require.Equal(t, map[string]any{"7": 0.0, "14": 0.0, "30": 0.0, "60": 1.0, "90": 1.0}, inside(domains, "expiring"))
		time.Sleep(20 * day)
		require.EqualValues(t, 1, inside(m.status(), "domains.expiring.30"))
		require.Equal(t, 1, m.scrape()[`certinext_domains_expiring{within_days="30"}`])
		time.Sleep(30 * day)
		require.EqualValues(t, 2, inside(m.status(), "domains.unvalidated"))
	})
}

// While CERTInext does not answer, the status says so, and waits for nobody.
func TestTheStatusOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 48 * time.Hour
		m := newMount(t, ca)
		for n := range 6 {
			m.write("orders/web", host(n))
		}
		ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultServerError, Status: 503})
		m.passMinutes(30)
		status := m.status()
		require.Equal(t, true, inside(status, "certinext.breakers.background.in_doubt"), status["certinext"])
		require.NotEmpty(t, inside(status, "certinext.breakers.background.why"))
		failed, _ := inside(status, "certinext.operations.tracking order.outcomes.failed").(float64)
		require.Positive(t, failed, "%v", inside(status, "certinext.operations"))
	})
}

func TestTheStatusOfCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, monthly(certinexttest.Live))
		for n := range 3 {
			m.write("issue/web", host(n))
		}
		m.passMinutes(3)
		synctest.Wait()
		certificates := m.status()["certificates"]
		require.Equal(t, map[string]any{
			"live": 3.0, "complete": true, "expiring": map[string]any{"7": 0.0, "14": 0.0, "30": 3.0, "60": 3.0, "90": 3.0},
			"distrusted": 0.0, "partly_distrusted": 0.0, "refused_by": map[string]any{}, "trust_unknown": 0.0,
		}, certificates)
		m.ca.Configure(func(s *certinexttest.Server) { s.CertificateLifetime = 100 * day })
		m.write("issue/web", host(4))
		require.EqualValues(t, 4, inside(m.status(), "certificates.live"))
		require.Equal(t, 3, m.scrape()[`certinext_certificates_expiring{within_days="90"}`])
		time.Sleep(25 * day)
		require.EqualValues(t, 3, inside(m.status(), "certificates.expiring.7"))
		time.Sleep(10 * day)
		require.EqualValues(t, 1, inside(m.status(), "certificates.live"))
	})
}

// What was tidied last is told by status and metrics, while it runs, after it has failed and when it is done; a dry run is none.
func TestTheStatusTellsOfTheLatestTidying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, nil)
		issues(m)
		m.passes(4)
		require.Equal(t, "Inactive", inside(m.status(), "last_tidy.state"))
		require.Zero(t, m.scrape()["certinext_tidy_finished_timestamp_seconds"])
		m.write("tidy", everything(map[string]any{"dry_run": true}))
		time.Sleep(time.Minute)
		require.Equal(t, "Inactive", inside(m.status(), "last_tidy.state"), "a dry run erases nothing")

		m.later(400 * day)
		m.write("tidy", everything(nil))
		time.Sleep(time.Minute)
		require.Equal(t, "Error", inside(m.status(), "last_tidy.state"))
		require.Contains(t, inside(m.status(), "last_tidy.error"), "clock")
		require.Equal(t, 1, m.scrape()["certinext_tidy_failed"])

		m.ahead.Store(0)
		m.read("config/check")
		m.write("tidy", everything(map[string]any{"pause_duration": "5s"}))
		require.Equal(t, true, inside(m.status(), "last_tidy.running"))
		require.Equal(t, 1, m.scrape()["certinext_tidy_running"])
		time.Sleep(time.Minute)
		status, got := m.status(), m.scrape()
		require.Equal(t, "Finished", inside(status, "last_tidy.state"))
		require.Equal(t, false, inside(status, "last_tidy.running"))
		require.EqualValues(t, 1, inside(status, "last_tidy.kept.certificates.not_expired"))
		require.Equal(t, 1, got[`certinext_tidy_kept{kind="certificates",reason="not_expired"}`])
		require.Zero(t, got["certinext_tidy_failed"])
		require.NotZero(t, got["certinext_tidy_finished_timestamp_seconds"])

		m.start()
		require.Equal(t, "Finished", inside(m.status(), "last_tidy.state"), "it is known after a restart")
		time.Sleep(400 * day)
		m.pass()
		m.write("tidy", everything(nil))
		time.Sleep(time.Minute)
		require.Equal(t, 1, m.scrape()[`certinext_tidy_erased{kind="certificates"}`])
	})
}

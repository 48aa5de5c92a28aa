// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// reported returns the report's row of one of CERTInext's orders.
func (m *mount) reported(caOrderID any) map[string]any {
	m.t.Helper()
	for _, row := range m.read("reports/orders").Data["orders"].([]map[string]any) {
		if row["ca_order_id"] == caOrderID {
			return row
		}
	}
	require.FailNow(m.t, "the report does not show the order", "%v", caOrderID)
	return nil
}

func TestReportedOrdersSayWhichAreOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		other := newMount(t, ca) // another mount, and another Vault for all that is known
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Data
		theirs := other.write("issue/web", map[string]any{"common_name": "theirs.example.com"}).Data
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		open := m.write("orders/web", map[string]any{"common_name": "open.example.com"}).Data
		cancelled := m.write("orders/web", map[string]any{"common_name": "cancelled.example.com"}).Data
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + cancelled["order_id"].(string)})

		cert := m.read("cert/" + issued["serial_number"].(string)).Data
		row := m.reported(cert["ca_order_id"])
		require.Equal(t, cert["order_id"], row["order_id"])
		require.Equal(t, "web", row["role"])
		require.Equal(t, "issued", row["status"])
		require.Equal(t, issued["serial_number"], row["serial_number"])
		require.Equal(t, "www.example.com", row["domain"])
		require.Equal(t, certinexttest.DefaultGroup, row["group_number"])
		require.Equal(t, time.Unix(issued["expiration"].(int64), 0).UTC().Format(time.RFC3339), row["expires_at"])
		require.Equal(t, time.Now().UTC().Format(time.RFC3339)[:10], row["ordered_at"].(string)[:10])
		require.NotEmpty(t, row["issuer"])
		require.Contains(t, fmt.Sprint(row["tags"]), "vault-order:")

		row = m.reported(open["ca_order_id"])
		require.Equal(t, open["order_id"], row["order_id"])
		require.Equal(t, "web", row["role"])
		require.Equal(t, "pending-approval", row["status"])
		require.Empty(t, row["serial_number"])

		row = m.reported(cancelled["ca_order_id"])
		require.Equal(t, "cancelled", row["status"])
		require.NotContains(t, row, "order_id", "what is over without a certificate is not looked for")

		theirCert := other.read("cert/" + theirs["serial_number"].(string)).Data
		row = m.reported(theirCert["ca_order_id"])
		require.NotContains(t, row, "order_id")
		require.NotContains(t, row, "role")

		// The same by another process, and when the order's key is gone.
		m.start()
		require.Equal(t, open["order_id"], m.reported(open["ca_order_id"])["order_id"])
		time.Sleep(time.Hour)
		m.pass()
		require.Equal(t, cert["order_id"], m.reported(cert["ca_order_id"])["order_id"])
		m.write("revoke", map[string]any{"serial_number": issued["serial_number"]})
		row = m.reported(cert["ca_order_id"])
		require.Equal(t, "revoked", row["status"])
		require.Equal(t, cert["order_id"], row["order_id"])
	})
}

// A serial number in hexadecimal may consist of digits only, and then looks like one in decimal.
func TestAReportedOrderIsOursByASerialNumberOfDigitsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		issued := m.write("issue/web", www).Data
		cert := m.read("cert/" + issued["serial_number"].(string)).Data
		time.Sleep(time.Hour)
		m.pass() // the order is over: only its certificate tells whose it is

		dashed := strings.ReplaceAll(issued["serial_number"].(string), ":", "-")
		text := string(m.storage.dump(t)["cert/"+dashed])
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{
			Key: "cert/17-67-16-30-45", Value: []byte(strings.ReplaceAll(text, dashed, "17-67-16-30-45")),
		}))
		require.NoError(t, m.storage.Delete(t.Context(), "cert/"+dashed))
		decimal := m.chainOK(&logical.Response{Data: issued}).SerialNumber.String()
		m.startWith(&http.Client{Transport: rewrite{ca.Client().Transport, func(_ *http.Request, status int, body []byte) (int, []byte) {
			return status, bytes.ReplaceAll(body, []byte(decimal), []byte("1767163045"))
		}}})
		row := m.reported(cert["ca_order_id"])
		require.Equal(t, cert["order_id"], row["order_id"])
		require.Equal(t, "17:67:16:30:45", row["serial_number"])
	})
}

// TestACopiedTagDoesNotMakeAnOrderOurs: whoever may order at CERTInext may write any tag.
func TestACopiedTagDoesNotMakeAnOrderOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		own := m.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data
		tag := ca.Orders()[0].Tags[0]
		forger := forgingMount(t, ca, func(body []byte) []byte { return replaceTag(t, body, tag) })
		forged := forger.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data
		require.NotEqual(t, own["ca_order_id"], forged["ca_order_id"])
		require.Equal(t, tag, ca.Orders()[1].Tags[0], "the forgery has the tag")
		require.Equal(t, own["order_id"], m.reported(own["ca_order_id"])["order_id"])
		require.NotContains(t, m.reported(forged["ca_order_id"]), "order_id")
	})
}

func TestAReportedOrderTellsABoundedNumberOfTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		var tags []string
		for i := range 60 {
			tags = append(tags, fmt.Sprintf("cost-centre:%d", i))
		}
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"tags": tags}})
		m.write("issue/web", www)
		row := m.reported(m.ca.Orders()[0].ID)
		require.Len(t, row["tags"], 50)
		require.Equal(t, "web", row["role"])
	})
}

// forgingMount is newMount whose creates are changed on their way to ca.
func forgingMount(t *testing.T, ca *certinexttest.Server, change func([]byte) []byte) *mount {
	t.Helper()
	m := newMount(t, ca)
	m.startWith(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/ssl-certificates") {
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			body = change(body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return ca.Client().Transport.RoundTrip(r)
	})})
	return m
}

func replaceTag(t *testing.T, body []byte, tag string) []byte {
	t.Helper()
	var order map[string]any
	require.NoError(t, json.Unmarshal(body, &order))
	order["tags"] = []string{tag}
	out, err := json.Marshal(order)
	require.NoError(t, err)
	return out
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestReportedOrdersAreFilteredAndPaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		const orders = 250
		for i := range orders {
			m.must(call{
				op: logical.UpdateOperation, path: "orders/web", accessor: fmt.Sprint("accessor-", i/50),
				data: map[string]any{"common_name": fmt.Sprintf("host-%d.example.com", i%50)},
			})
		}
		ca.ResetCalls()
		first := m.query("reports/orders", map[string]any{"limit": "10"})
		require.Len(t, first["orders"], 10)
		require.Equal(t, 1, asked(ca, certinexttest.OpOrdersReport), "no more of the report is read than is told")
		require.Len(t, m.read("reports/orders").Data["orders"], 100, "an answer is bounded")

		all, pages := m.walk("reports/orders", map[string]any{"limit": 120}, "orders", "ca_order_id")
		require.Equal(t, 3, pages)
		require.Len(t, all, orders)
		// An order that comes between two pages neither hides nor repeats another.
		m.write("orders/web", map[string]any{"common_name": "late.example.com"})
		second := m.query("reports/orders", map[string]any{"limit": 10, "after": first["next"]})
		require.Equal(t, all[10:20], column(t, second, "orders", "ca_order_id"))

		of := m.query("reports/orders", map[string]any{"domain": "HOST-7.example.com"})
		require.Len(t, of["orders"], orders/50)
		require.Empty(t, of["next"])
		require.Empty(t, m.query("reports/orders", map[string]any{"domain": "host-7.example"})["orders"])
		require.Empty(t, m.query("reports/orders", map[string]any{"status": "issued"})["orders"])
		require.Len(t, m.query("reports/orders", map[string]any{"status": "pending-approval", "limit": 7})["orders"], 7)
		today, yesterday := time.Now().UTC().Format(time.DateOnly), time.Now().UTC().Add(-24*time.Hour).Format(time.DateOnly)
		require.Len(t, m.query("reports/orders", map[string]any{"from": today, "to": today, "limit": 1000})["orders"], orders+1)
		require.Empty(t, m.query("reports/orders", map[string]any{"to": yesterday})["orders"])

		for want, query := range map[string]map[string]any{
			"from:":                {"from": "01.02.2026"},
			"to: is before from":   {"from": today, "to": yesterday},
			"status:":              {"status": "done"},
			"limit:":               {"limit": -1},
			"after:":               {"after": "1/2"},
			"Invalid Group Number": {"group_number": "1"},
		} {
			require.Contains(t, m.unreadable("reports/orders", query), want)
		}
	})
}

func TestAReportThatIsTooLongSaysHowToShortenIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		for i := range 201 {
			m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("host-%d.example.com", i)})
		}
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: 20 * time.Second})
		require.Len(t, m.read("reports/orders").Data["orders"], 100, "the first page is not far")
		start := time.Now()
		require.Contains(t, m.unreadable("reports/orders", map[string]any{"domain": "nowhere.example.com"}), "from and to make it shorter")
		require.Less(t, time.Since(start), 60*time.Second)
	})
}

func TestReportsOfTheDocumentedAPIAreRefusedInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Documented))
		require.Empty(t, m.read("reports/orders").Data["orders"], "version 1's report is read")
		withoutRecords(m.ca)
		require.Contains(t, m.unreadable("reports/orders", nil), "501")
	})
}

// TestLedgerShowsWhatComesTidied: no source tells the fields, so the answer is made up here, of what could hurt.
func TestLedgerShowsWhatComesTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		empty := m.read("reports/ledger").Data
		require.Empty(t, empty["movements"])
		require.Empty(t, empty["next"])

		deep := strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)
		rows := `[{"transactionID":7,"orderNumber":"1000000001","amountUSD":-12.50,"note":"a\u001b[31m\u202eb` + strings.Repeat("x", 1000) + `","deep":` + deep + `,
			"huge":` + strings.Repeat("9", 100) + `,"paid":true,"groupNumber":null},{"orderNumber":"1000000002"},{"orderNumber":"1000000003"}]`
		m.startWith(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, "/reports/ledger") {
				return ca.Client().Transport.RoundTrip(r)
			}
			body := `{"content":` + rows + `,"page":0,"size":50,"totalElements":3,"totalPages":1}`
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
				Body: io.NopCloser(strings.NewReader(body)),
			}, nil
		})})
		data := m.query("reports/ledger", map[string]any{"limit": 2})
		movements := data["movements"].([]map[string]any)
		require.Len(t, movements, 2)
		row := movements[0]
		require.Equal(t, json.Number("7"), row["transaction_id"])
		require.Equal(t, json.Number("-12.50"), row["amount_usd"])
		require.Equal(t, true, row["paid"])
		require.Nil(t, row["group_number"])
		require.NotContains(t, row["note"], "\x1b")
		require.NotContains(t, row["note"], "\u202e", "text that is turned around")
		require.Less(t, len(row["note"].(string)), 250)
		text, err := json.Marshal(row)
		require.NoError(t, err)
		require.Less(t, strings.Count(string(text), `"a":`), 6, "depth is bounded")
		last := m.query("reports/ledger", map[string]any{"limit": 2, "after": data["next"]})
		require.Equal(t, []string{"1000000003"}, column(t, last, "movements", "order_number"))
		require.Empty(t, last["next"])
	})
}

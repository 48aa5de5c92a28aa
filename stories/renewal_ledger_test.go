// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

func TestAnOperatorsWordOutlastsTheChargeThatItIsAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerSample, true)
		m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		m.issue("www.example.com")
		require.Equal(t, true, m.read("operator/renewal/web").Data["stopped"])
		m.write("operator/renewal/web", map[string]any{"allow": true})
		m.ca.Configure(func(s *certinexttest.Server) { s.Billing.ChargeReissues = false })
		time.Sleep(100 * day)
		m.pass()
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Len(t, m.ca.Orders(), 1, "%v %v", resp.Warnings, m.read("operator/renewal/web").Data)
		require.Equal(t, false, m.read("operator/renewal/web").Data["stopped"])
	})
}

func TestAChargeFromBeforeTheOperatorsWordStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerSample, true)
		m.issue("a.example.com")
		m.issue("b.example.com")
		m.ca.Configure(func(s *certinexttest.Server) { s.Billing.LedgerDelay = day })
		time.Sleep(60 * day)
		m.pass()
		m.issue("a.example.com")
		m.issue("b.example.com")
		time.Sleep(60 * day)
		m.pass()
		m.issue("a.example.com") // finds the late charge: new order
		require.Equal(t, true, m.read("operator/renewal/web").Data["stopped"])
		n := len(m.ca.Orders())
		m.write("operator/renewal/web", map[string]any{"allow": true})
		m.ca.Configure(func(s *certinexttest.Server) { s.Billing.ChargeReissues = false })
		time.Sleep(time.Hour)
		m.pass()
		m.issue("b.example.com")
		require.Len(t, m.ca.Orders(), n, "the operator has allowed it, and its charge is from before that")
	})
}

// ledgerBody is a page of the ledger with these rows.
func ledgerBody(rows string) string {
	return `{"content":[` + rows + `],"page":1,"size":50,"totalElements":` + fmt.Sprint(strings.Count(rows, "{")) + `,"totalPages":1}`
}

func TestWhatALedgerRowDoesNotSayIsNotTakenForFree(t *testing.T) {
	for name, c := range map[string]struct {
		row, verdict string
	}{
		"below zero":            {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":"-150.00"}`, "unknown"},
		"currency":              {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":"USD 150.00"}`, "unknown"},
		"symbol":                {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":"$150.00"}`, "unknown"},
		"exponent":              {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":1.5e2}`, "unknown"},
		"thousands":             {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":"1 500.00"}`, "unknown"},
		"other member":          {`{"date":"2000-04-15","orderId":"ORDER","netAmount":"150.00"}`, "unknown"},
		"number":                {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":150}`, "charged"},
		"object":                {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":{"value":"150.00"}}`, "unknown"},
		"capital members":       {`{"Date":"2000-04-15","OrderId":"ORDER","TotalAmount":"150.00"}`, "unknown"},
		"in words":              {`{"date":"2000-04-15","description":"Reissue of ORDER","totalAmount":"150.00"}`, "charged"},
		"number in amount only": {`{"date":"2000-04-15","orderId":"77","balance":"ORDER","totalAmount":"150.00"}`, "free"},
		"other's":               {`{"date":"2000-04-15","orderId":"77","totalAmount":"150.00"}`, "free"},
		"free row":              {`{"date":"2000-04-15","orderId":"ORDER","totalAmount":"0.00"}`, "free"},
		"no date":               {`{"orderId":"ORDER","totalAmount":"150.00"}`, "charged"},
		"indian date":           {`{"date":"15-04-2000","orderId":"ORDER","totalAmount":"150.00"}`, "charged"},
		"epoch":                 {`{"date":955756800,"orderId":"ORDER","totalAmount":"150.00"}`, "charged"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, nil)
				first := m.issue("www.example.com")
				time.Sleep(105 * day)
				m.pass()
				order := `{"date":"2000-01-01","orderId":"ORDER","totalAmount":"150.00"}`
				if name == "capital members" {
					order = `{"Date":"2000-01-01","OrderId":"ORDER","TotalAmount":"150.00"}`
				}
				if name == "no date" {
					order = `{"orderId":"ORDER","totalAmount":"150.00"}`
				}
				body := ledgerBody(strings.ReplaceAll(order+","+c.row, "ORDER", first["ca_order_id"].(string)))
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpLedger, Kind: certinexttest.FaultMiddleman, Status: 200, ContentType: "application/json", Body: body})
				resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
				require.Len(t, m.ca.Orders(), 1)
				require.Equal(t, c.verdict == "charged", m.read("operator/renewal/web").Data["stopped"])
				warning := strings.Join(resp.Warnings, "\n")
				switch c.verdict {
				case "charged":
					require.Contains(t, warning, "has charged 150")
				case "unknown":
					require.Contains(t, warning, "cannot be told whether CERTInext has charged")
				default:
					require.Empty(t, warning)
				}
			})
		})
	}
}

func TestALedgerThatMisbehavesKeepsNobodyWaiting(t *testing.T) {
	for name, f := range map[string]certinexttest.Fault{
		"429":       {Kind: certinexttest.FaultRateLimit, RetryAfter: time.Hour},
		"500":       {Kind: certinexttest.FaultServerError},
		"html":      {Kind: certinexttest.FaultHTML},
		"dropped":   {Kind: certinexttest.FaultDropped},
		"hangs":     {Kind: certinexttest.FaultLatency, Delay: time.Hour},
		"403":       {Kind: certinexttest.FaultMiddleman, Status: 403},
		"malformed": {Kind: certinexttest.FaultMalformedJSON},
		"huge":      {Kind: certinexttest.FaultOversized, Size: 100 << 20},
		"endless":   {Kind: certinexttest.FaultMiddleman, Status: 200, ContentType: "application/json", Body: `{"content":[{"a":1}],"page":1,"size":1,"totalElements":1000000,"totalPages":1000000}`},
		"no token":  {Kind: certinexttest.FaultTokenDeath},
		"null rows": {Kind: certinexttest.FaultMiddleman, Status: 200, ContentType: "application/json", Body: `{"content":[null,1,"x",[],{}],"page":1,"size":5,"totalElements":5,"totalPages":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, nil)
				m.paying(certinexttest.LedgerSample, true)
				m.issue("www.example.com")
				f.Operation = certinexttest.OpLedger
				m.ca.Inject(f)
				for i := range 2 {
					time.Sleep(60 * day)
					m.pass()
					began := time.Now()
					resp, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
					require.NoError(t, err)
					require.False(t, resp.IsError(), "%v", resp.Error())
					require.Less(t, time.Since(began), 15*time.Second)
					require.Contains(t, resp.Warnings[0], "cannot be told whether CERTInext has charged")
					began = time.Now()
					m.issue(fmt.Sprintf("other%d.example.com", i))
					require.Less(t, time.Since(began), 10*time.Second)
				}
				require.Len(t, m.ca.Orders(), 3)
			})
		})
	}
}

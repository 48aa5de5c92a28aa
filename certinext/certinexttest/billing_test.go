// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// priced is a live server whose DV product costs 150.00 for a year and 280.10 for two, and whose
// account holds what is given.
func priced(balance string) *certinexttest.Server {
	srv := verified(certinexttest.Live)
	srv.Now = newClock().now
	srv.Catalog = certinexttest.SandboxCatalog()
	srv.Catalog[0].Years = map[string]string{"1 Year": "150.00", "2 Years": "280.10", "3 Years": "on request"}
	if balance != "" {
		held := certinexttest.Money(balance)
		srv.Billing.AccountBalance = &held
	}
	return srv
}

// moved are the movements of srv as "kind amount", the oldest first.
func moved(srv *certinexttest.Server) []string {
	list := []string{}
	for _, e := range srv.Ledger() {
		list = append(list, e.Kind+" "+e.Amount.String())
	}
	return list
}

// balance is what the account holds as /groups says.
func (r *rig) balance() string {
	r.t.Helper()
	groups := r.get(api + "/groups").must(http.StatusOK)["groups"].([]any)
	return groups[0].(m)["accountBalance"].(string)
}

func (r *rig) statement(query string) []m {
	r.t.Helper()
	rows := []m{}
	for _, row := range r.get(api + "/reports/ledger" + query).must(http.StatusOK)["content"].([]any) {
		rows = append(rows, row.(m))
	}
	return rows
}

func years(n int) m { return m{"validityYears": n, "autoRenew": false} }

func TestAnOrderIsPaidForByItsTerm(t *testing.T) {
	r := newRig(t, priced("1000"))
	r.order(dvOrder("www.example.com"))
	r.order(merge(dvOrder("www.example.com"), m{"subscription": years(2)}))
	r.order(merge(dvOrder("www.example.com"), m{"subscription": years(3)}))
	r.buy(v1Order("www.example.com"))
	require.Equal(t, []string{"order -150.00", "order -280.10", "order 0.00", "order -150.00"}, moved(r.srv))
	require.Equal(t, "419.90", r.balance())
	require.Equal(t, "150.00", r.srv.Orders()[0].Paid.String())
	last := r.srv.Ledger()[1]
	require.Equal(t, certinexttest.LedgerEntry{
		Number: 2, At: r.srv.Now(), Kind: "order", Group: certinexttest.DefaultGroup, Purse: "account",
		OrderID: r.srv.Orders()[1].ID, RequestID: r.srv.Orders()[1].RequestID, Product: "SSL DV (2 years)",
		Amount: last.Amount, Balance: certinexttest.Money("569.90"),
	}, last)
}

func TestATermThatIsNotOnOfferIsRefused(t *testing.T) {
	srv := priced("")
	delete(srv.Catalog[0].Years, "3 Years")
	r := newRig(t, srv)
	problem := r.post(sslPath, merge(dvOrder("www.example.com"), m{"subscription": years(3)})).refused(400, "")
	require.Equal(t, []string{"subscription.validityYears"}, fields(problem))
	order := merge(v1Order("www.example.com"), m{"subscriptionDetails": m{"validity": "3"}})
	r.call("GenerateOrderSSL", m{"orderDetails": order}).fails("EMS-1216")
	require.Empty(t, srv.Orders())
}

func TestNothingIsBoughtForWantOfCredits(t *testing.T) {
	const words = "Insufficient Credits"
	for name, c := range map[string]struct {
		change func(*certinexttest.Billing)
		status int
		v2, v1 string
	}{
		"as observed, and as the list has it":   {func(*certinexttest.Billing) {}, 422, "EMS-1139", ""},
		"always with its code":                  {func(b *certinexttest.Billing) { b.InsufficientCode = certinexttest.On }, 422, "EMS-1139", "EMS-1139"},
		"never with its code":                   {func(b *certinexttest.Billing) { b.InsufficientCode = certinexttest.Off }, 422, "", ""},
		"with a status of its own in version 2": {func(b *certinexttest.Billing) { b.InsufficientStatus = 402 }, 402, "EMS-1139", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := priced("149.99")
			c.change(&srv.Billing)
			r := newRig(t, srv)
			key := newKey(t)
			order := merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")})
			require.Contains(t, r.post(sslPath, order).refused(c.status, c.v2)["detail"], words)
			require.Contains(t, r.call("GenerateOrderSSL", m{"orderDetails": v1Order("www.example.com")}).fails(c.v1), words)
			require.Empty(t, srv.Orders())
			require.Empty(t, srv.Ledger())
			require.Equal(t, "149.99", r.balance())

			require.NoError(t, srv.TopUp("", certinexttest.Money("0.01")))
			r.order(order)
			require.False(t, srv.Orders()[0].ReusedKey, "the refused order has left no trace")
			require.Equal(t, "0.00", r.balance())
		})
	}
}

func TestAGroupWithABalanceOfItsOwnDrawsOnThat(t *testing.T) {
	srv := priced("150")
	own := certinexttest.Money("200")
	srv.Groups = []certinexttest.Group{
		{Number: certinexttest.DefaultGroup, Name: "Default", Default: true},
		{Number: "3000000002", Name: "Own", Balance: &own},
		{Number: "3000000003", Name: "Other"},
	}
	r := newRig(t, srv)
	in := func(group string) m { return merge(dvOrder("www.example.com"), m{"groupNumber": group}) }
	r.order(in("3000000002"))
	r.post(sslPath, in("3000000002")).refused(422, "EMS-1139")
	r.order(in("3000000003"))
	r.post(sslPath, dvOrder("www.example.com")).refused(422, "EMS-1139")
	shown := [][2]string{}
	for _, g := range r.get(api + "/groups").must(http.StatusOK)["groups"].([]any) {
		require.Equal(t, "0.00", g.(m)["accountBalance"])
		shown = append(shown, [2]string{g.(m)["finance"].(string), g.(m)["groupBalance"].(string)})
	}
	require.Equal(t, [][2]string{{"1", ""}, {"2", "50.00"}, {"1", ""}}, shown)

	require.NoError(t, srv.TopUp("3000000002", certinexttest.Money("100")))
	require.NoError(t, srv.TopUp("3000000003", certinexttest.Money("150")))
	r.order(in("3000000002"))
	r.order(dvOrder("www.example.com"))
	require.ErrorContains(t, srv.TopUp("1", own), "no such group")
	require.ErrorContains(t, srv.TopUp("", certinexttest.Amount{}), "is none")
	require.Len(t, r.statement("?groupNumber=3000000002"), 3)
	require.Len(t, r.statement(""), 6)
}

func TestADraftIsPaidForWhenItIsPlaced(t *testing.T) {
	r := newRig(t, priced("150"))
	drafted := r.post(sslPath, merge(dvOrder("www.example.com"), m{"saveAsDraft": true})).must(201)["requestId"]
	second := r.post(sslPath, merge(dvOrder("www.example.com"), m{"saveAsDraft": true})).must(201)["requestId"]
	third := r.post(sslPath, merge(dvOrder("www.example.com"), m{"saveAsDraft": true})).must(201)["requestId"]
	require.Empty(t, r.srv.Ledger(), "a draft is pending for payment")
	require.NoError(t, r.srv.Promote(drafted.(string)))
	require.Equal(t, "0.00", r.balance())
	require.ErrorContains(t, r.srv.Promote(second.(string)), "costs 150.00")
	promote := merge(dvOrder("www.example.com"), m{"requestId": third})
	r.post(sslPath, promote).refused(422, "EMS-1139")
	require.NoError(t, r.srv.TopUp("", certinexttest.Money("300")))
	require.NoError(t, r.srv.Promote(second.(string)))
	r.order(promote)
	require.Equal(t, []string{"order -150.00", "top-up 300.00", "order -150.00", "order -150.00"}, moved(r.srv))
}

func TestAReissueIsFreeUnlessToldOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		charged bool
		want    []string
	}{"free": {false, []string{"order -150.00", "reissue 0.00"}}, "charged": {true, []string{"order -150.00", "reissue -150.00"}}} {
		t.Run(name, func(t *testing.T) {
			srv := priced("300")
			srv.Billing.ChargeReissues = c.charged
			r := newRig(t, srv)
			id, _ := r.issued("www.example.com")
			rekey := func() m {
				return m{"mode": "rekey", "reason": "rotation", "csr": csr(t, newKey(t), "www.example.com")}
			}
			r.post(sslPath+"/"+id+"/reissue", rekey()).must(http.StatusCreated)
			require.Equal(t, c.want, moved(srv))
			require.Equal(t, srv.Orders()[0].RequestID, srv.Ledger()[1].RequestID)
			if !c.charged {
				require.Len(t, r.statement(""), 1, "what costs nothing is no row")
				srv.Configure(func(s *certinexttest.Server) { s.Billing.FreeRows = true })
				require.Equal(t, "0.00", r.statement("")[0]["totalAmount"])
				return
			}
			before := srv.Orders()[0]
			r.post(sslPath+"/"+id+"/reissue", rekey()).refused(422, "EMS-1139")
			require.Equal(t, before, srv.Orders()[0], "a reissue that is not paid for changes nothing")
		})
	}
}

func TestMoneyComesBackByTheRule(t *testing.T) {
	days := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	grace := func(b *certinexttest.Billing) {
		b.Refunds, b.RefundGrace = certinexttest.RefundInGrace, days(5)
	}
	for name, c := range map[string]struct {
		change  func(*certinexttest.Billing)
		waits   time.Duration
		issued  bool
		refunds []string
	}{
		"before it is issued":                    {nil, days(9), false, []string{"refund 150.00"}},
		"not after it was issued":                {nil, 0, true, nil},
		"less a fee":                             {func(b *certinexttest.Billing) { b.RefundFee = certinexttest.Money("9.50") }, 0, false, []string{"refund 140.50"}},
		"not where the fee is more":              {func(b *certinexttest.Billing) { b.RefundFee = certinexttest.Money("151") }, 0, false, nil},
		"never":                                  {func(b *certinexttest.Billing) { b.Refunds = certinexttest.RefundNothing }, 0, false, nil},
		"in the grace, after it was issued":      {grace, days(5), true, []string{"refund 150.00"}},
		"not beyond the grace":                   {grace, days(6), true, nil},
		"not beyond the grace, were it unissued": {grace, days(6), false, nil},
	} {
		for _, way := range []string{"version 2", "version 1", "the approver"} {
			t.Run(name+", "+way, func(t *testing.T) {
				srv, clock := priced("1000"), newClock()
				srv.Now = clock.now
				if c.change != nil {
					c.change(&srv.Billing)
				}
				r := newRig(t, srv)
				body := dvOrder("www.example.com")
				if c.issued {
					body["csr"] = csr(t, newKey(t), "www.example.com")
				}
				id := r.order(body)
				clock.advance(c.waits)
				r.login()
				switch {
				case c.issued && way == "version 1":
					r.call("RevokeOrder", m{"revocationDetails": merge(ref(id), m{"revokeReasonId": "4", "revokeRemarks": "x"})}).ok()
				case c.issued:
					r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}).must(204)
				case way == "version 2":
					r.post(sslPath+"/"+id+"/cancel", m{"reason": "x"}).must(204)
				case way == "version 1":
					r.call("RejectOrder", m{"orderDetails": m{"orderNumber": id, "rejectRemarks": "x"}}).ok()
				default:
					require.NoError(t, srv.Reject(id, "no"))
				}
				require.Equal(t, append([]string{"order -150.00"}, c.refunds...), moved(srv))
			})
		}
	}
}

// samples are what the statement says of an order, its refund and a top-up.
func samples(id string) []m {
	return []m{
		{
			"invoiceNumber": "", "date": "2026-05-12", "dueDate": "", "creditNoteNumber": "CN-2026-003",
			"orderId": "", "product": "Account credit top-up", "totalAmount": "12.50", "currencyId": "2",
			"status": "POSTED", "invoiceDetailsId": "5802",
		},
		{
			"invoiceNumber": "", "date": "2026-05-12", "dueDate": "", "creditNoteNumber": "CN-2026-002",
			"orderId": id, "product": "SSL DV (1 year)", "totalAmount": "150.00", "currencyId": "2",
			"status": "POSTED", "invoiceDetailsId": "5801",
		},
		{
			"invoiceNumber": "INV-2026-001", "date": "2026-05-12", "dueDate": "2026-06-11", "creditNoteNumber": "",
			"orderId": id, "product": "SSL DV (1 year)", "totalAmount": "150.00", "currencyId": "2",
			"status": "PAID", "invoiceDetailsId": "5800",
		},
	}
}

func TestTheStatementHasTheShapeOfTheSample(t *testing.T) {
	r := newRig(t, priced("1000"))
	id := r.order(dvOrder("www.example.com"))
	r.post(sslPath+"/"+id+"/cancel", m{"reason": "x"}).must(204)
	require.NoError(t, r.srv.TopUp("", certinexttest.Money("12.5")))
	want := samples(id)
	require.Equal(t, want, r.statement(""))
	list := func() []any {
		return r.call("GetLedgerStatementDetails", m{"statementDetails": m{}}).block("statementDetails")["statementArray"].([]any)
	}
	for i, row := range list() {
		spelled := merge(want[i], m{"orderId": nil, "orderNumber": want[i]["orderId"]})
		require.Equal(t, spelled, row)
	}

	r.srv.Configure(func(s *certinexttest.Server) { s.Billing.Ledger = certinexttest.LedgerProse })
	require.Equal(t, m{
		"transactionDate": "2026-05-12T13:00:00Z", "description": "SSL DV (1 year)", "debitAmount": "150.00",
		"creditAmount": "", "balance": "850.00", "currency": "USD", "orderId": id,
		"requestId": r.srv.Orders()[0].RequestID,
	}, r.statement("")[2])
	require.Equal(t, "12.50", list()[0].(m)["creditAmount"])

	r.srv.Configure(func(s *certinexttest.Server) { s.Billing.Ledger = certinexttest.LedgerEmpty })
	require.Empty(t, r.statement(""))
	require.Empty(t, list())
	require.Len(t, r.srv.Ledger(), 3, "the books have it all the same")
}

func TestTheStatementIsPaged(t *testing.T) {
	for name, c := range map[string]struct {
		dialect certinexttest.Dialect
		from    certinexttest.Switch
		first   int
		beyond  []string // what the page after the last one has
	}{
		"live, as the newer collection has it":       {certinexttest.Live, certinexttest.ByDialect, 1, []string{"1"}},
		"documented, as the older one has it":        {certinexttest.Documented, certinexttest.ByDialect, 0, []string{}},
		"live, as the older one has it":              {certinexttest.Live, certinexttest.Off, 0, []string{}},
		"documented, as the newer collection has it": {certinexttest.Documented, certinexttest.On, 1, []string{"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &certinexttest.Server{Dialect: c.dialect}
			srv.Billing.LedgerFromOne = c.from
			r := newRig(t, srv)
			for i := range 5 {
				require.NoError(t, srv.TopUp("", certinexttest.Money(fmt.Sprint(i+1))))
			}
			page := func(n int) []string {
				v := r.get(fmt.Sprintf("%s/reports/ledger?page=%d&size=2", api, n)).must(200)
				require.EqualValues(t, 5, v["totalElements"])
				require.EqualValues(t, 3, v["totalPages"])
				amounts := []string{}
				for _, row := range v["content"].([]any) {
					amounts = append(amounts, strings.TrimSuffix(row.(m)["totalAmount"].(string), ".00"))
				}
				return amounts
			}
			require.Equal(t, []string{"5", "4"}, page(c.first))
			require.Equal(t, []string{"3", "2"}, page(c.first+1))
			require.Equal(t, []string{"1"}, page(c.first+2))
			require.Equal(t, c.beyond, page(c.first+3))
			require.Equal(t, []string{"5", "4"}, page(-7))
			r.get(api+"/reports/ledger?page=x").refused(400, "")
			r.get(api+"/reports/ledger?from=2026-01-01").refused(400, "")
			srv.Configure(func(s *certinexttest.Server) { s.ReportOrder = certinexttest.ReportOldestFirst })
			require.Equal(t, []string{"1", "2"}, page(c.first))
		})
	}
}

func TestARowOfTheStatementMayBeLate(t *testing.T) {
	srv, clock := priced(""), newClock()
	srv.Now, srv.Billing.LedgerDelay = clock.now, time.Hour
	r := newRig(t, srv)
	r.order(dvOrder("www.example.com"))
	clock.advance(59 * time.Minute)
	require.Empty(t, r.statement(""))
	clock.advance(time.Minute)
	r.login()
	require.Len(t, r.statement(""), 1)
}

func TestPricesAreInTheAccountsCurrency(t *testing.T) {
	srv := priced("")
	srv.Billing.Currency = "INR"
	r := newRig(t, srv)
	r.order(dvOrder("www.example.com"))
	v := r.get(api + "/catalog/products").must(200)["products"].([]any)[2].(m)
	require.Equal(t, "INR", v["currencyType"])
	require.Equal(t, "150.00", v["products"].([]any)[0].(m)["subscriptionPrice"].(m)["1 Year"].(m)["cost"])
	require.Equal(t, "0", r.statement("")[0]["currencyId"])
}

// A product that the catalog lists and an order refuses, as product 149 of a sandbox.
func TestAListedProductMayBeRefused(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.Catalog = certinexttest.SandboxCatalog()
	for i := range srv.Catalog {
		srv.Catalog[i].Refused = srv.Catalog[i].Code == "149" || srv.Catalog[i].Code == "842"
	}
	r := newRig(t, srv)
	require.Contains(t, toJSON(r.get(api+"/catalog/products").must(200)), `"productCode":"149"`)
	require.Contains(t, toJSON(r.call("GetProductDetails", m{"productDetails": m{}}).ok()), `"productCode":"149"`)
	r.post(privatePath, privateOrder("a.local"), "X-Product-Code", "149").refused(422, "EMS-915")
	r.post(privatePath, privateOrder("a.local")).refused(422, "EMS-915")
	r.post(sslPath, dvOrder("www.example.com"), "X-Product-Code", "842").refused(422, "EMS-915")
	r.post(sslPath, dvOrder("www.example.com")).refused(422, "EMS-915")
	r.call("GenerateOrderSSL", m{"orderDetails": v1Order("www.example.com")}).fails("EMS-1162")
	require.Empty(t, srv.Orders())
	r.order(dvOrder("*.example.com"))
}

func TestAdminReadsTheLedgerAndTopsUp(t *testing.T) {
	srv := priced("0")
	r, admin := adminRig(t, srv)
	r.post(sslPath, dvOrder("www.example.com")).refused(422, "EMS-1139")
	admin.post("/ledger/top-up", m{"group": certinexttest.DefaultGroup, "amount": "150.00"}).must(204)
	id := r.order(dvOrder("www.example.com"))
	var entries []m
	require.NoError(t, json.Unmarshal(admin.get("/ledger").body, &entries))
	require.Len(t, entries, 2)
	require.Equal(t, "top-up", entries[0]["kind"])
	require.Equal(t, m{
		"number": 2.0, "at": "2026-05-12T13:00:00Z", "kind": "order", "group": certinexttest.DefaultGroup, "purse": "account",
		"orderId": id, "requestId": r.srv.Orders()[0].RequestID, "product": "SSL DV (1 year)", "amount": "-150.00", "balance": "0.00",
	}, entries[1])
	for _, body := range []m{
		{"amount": "0"}, {"amount": "-1"}, {"amount": "a lot"}, {"amount": 5}, {"amount": "1", "group": "1"}, {"sum": "1"}, {},
	} {
		require.Equal(t, 400, admin.post("/ledger/top-up", body).status, body)
	}
	require.Len(t, srv.Ledger(), 2)
}

// Orders of every family are asked for mandatory custom fields, and show them in the report.
func TestCustomFieldsOfEveryFamily(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.Catalog = certinexttest.SandboxCatalog()
	for i := range srv.Catalog {
		srv.Catalog[i].CustomFields = []certinexttest.CustomField{{ID: "456", Name: "Cost centre", Mandatory: true}}
	}
	r := newRig(t, srv)
	filled := m{"customFields": []m{{"fieldId": "456", "value": "4711"}}}
	for path, body := range map[string]m{
		sslPath: dvOrder("www.example.com"), privatePath: privateOrder("a.local"), signaturePath: signerOrder(certinexttest.Live, "natural-person"),
	} {
		product := map[string]string{sslPath: "842", privatePath: "149", signaturePath: "819"}[path]
		r.post(path, body, "X-Product-Code", product).refused(422, "EMS-918")
		r.post(path, merge(body, filled), "X-Product-Code", product).must(201)
	}
	private := merge(v1Order("b.local"), m{
		"productCode": "149", "csr": csr(t, newKey(t), "b.local"), "organizationDetails": nil, "agreementDetails": nil,
		"certificateInformation": m{"domainName": "b.local"},
	})
	for verb, order := range map[string]m{
		"GenerateOrderSSL":        v1Order("www.example.com"),
		"GenerateOrderPrivatePKI": private,
		"GenerateOrderSignature":  v1Signer("natural-person"),
		"GenerateOrderSMIME":      v1Mail(),
	} {
		order["additionalInformation"] = m{"remarks": "r"}
		r.call(verb, m{"orderDetails": order}).fails("EMS-1212")
		order["additionalInformation"] = m{"remarks": "r", "customFields": []m{{"fieldID": "456", "fieldValue": "4711"}}}
		r.call(verb, m{"orderDetails": order}).ok()
	}
	require.Len(t, srv.Orders(), 7)
	rows, _ := r.report("")
	for _, row := range rows {
		require.Equal(t, []any{m{"fieldId": "456", "fieldName": "Cost centre", "fieldValue": "4711"}}, row["customFields"])
	}
	list := r.call("GetOrderReport", m{"searchCriteria": m{}}).block("orderDetails")["ordersArray"].([]any)
	require.Len(t, list, 7)
	for _, row := range list {
		require.Equal(t, []any{m{"fieldID": "456", "fieldName": "Cost centre", "fieldValue": "4711"}}, row.(m)["customFields"])
	}
}

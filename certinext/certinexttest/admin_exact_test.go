// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// TestBodiesOfTheAdministrationAreReadExactly: what would count for nothing, or for something else
// than was meant, is refused by its name.
func TestBodiesOfTheAdministrationAreReadExactly(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.HoldForApproval = true
	r, admin := adminRig(t, srv)
	id := r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	for body, refusal := range map[string]struct{ path, why string }{
		`{"Remark":"no"}`:              {"/orders/" + id + "/reject", "Remark is no member: did you mean remark?"},
		`{"remark":"a","remark":"b"}`:  {"/orders/" + id + "/reject", "remark is there twice"},
		`{"remark":null}`:              {"/orders/" + id + "/reject", "remark must be a text, not null"},
		`{"remark":5}`:                 {"/orders/" + id + "/reject", "remark must be a text"},
		`{"remark":"a"}]`:              {"/orders/" + id + "/reject", "has something that follows the value"},
		`null`:                         {"/orders/" + id + "/reject", "must be an object, not null"},
		``:                             {"/orders/" + id + "/reject", "is no JSON"},
		`{"count":1,"count":2}`:        {"/orders/" + id + "/documents", "count is there twice"},
		`{"Group":"","amount":"1.00"}`: {"/ledger/top-up", "Group is no member: did you mean group?"},
		`{"group":null,"amount":"1"}`:  {"/ledger/top-up", "group must be a text, not null"},
		`{"technicalContact":{"name":"a","name":"b"}}`: {"/orders/" + id + "/supply", "technicalContact.name is there twice"},
		`{"technicalContact":null}`:                    {"/orders/" + id + "/supply", "technicalContact must be an object, not null"},
		`{"issueDelay":"1s","issueDelay":"2s"}`:        {"/knobs", "issueDelay \"2s\": is there twice"},
		`{"IssueDelay":"1s"}`:                          {"/knobs", "is no setting; did you mean issueDelay?"},
		`{"catalog":[{"code":"1","Type":"13"}]}`:       {"/knobs", "[0].Type is no member: did you mean type?"},
		`{"catalog":[{"code":"1","type":null}]}`:       {"/knobs", "[0].type must be a text, not null"},
		`{"version":1,"version":1}`:                    {"/restore", "version is there twice"},
	} {
		a := admin.do("POST", refusal.path, body)
		require.Equal(t, 400, a.status, body)
		require.Contains(t, string(a.body), refusal.why, body)
	}
	require.Equal(t, "pending-approval", r.status(id), "nobody has rejected it")
}

// TestFaultsSayNothingInVain: a member that the kind has no use for, a wait of no time and a status
// that no order has are refused, and named.
func TestFaultsSayNothingInVain(t *testing.T) {
	srv := new(certinexttest.Server)
	admin := &rig{t: t, srv: srv, http: srv.Client(), base: host + "/_sandbox"}
	for body, why := range map[string]string{
		`{"kind":"lost-reply","kind":"html"}`:                "kind is there twice",
		`{"kind":"lost-reply","times":1,"times":2}`:          "times is there twice",
		`{"kind":"lost-reply","times":null}`:                 "times must be a whole number, not null",
		`{"kind":null}`:                                      "kind must be a text, not null",
		`{"Kind":"lost-reply"}`:                              "Kind is no member: did you mean kind?",
		`{"times":1}`:                                        `unknown fault kind ""`,
		`{"kind":"latency"}`:                                 `fault "latency" needs a delay`,
		`{"kind":"slow-reply","delay":"0s"}`:                 `fault "slow-reply" needs a delay`,
		`{"kind":"latency","delay":"soon"}`:                  "delay must be a duration, such as 1m30s",
		`{"kind":"lost-reply","delay":"1s"}`:                 "no use for delay, which is for latency, slow-reply: leave it out",
		`{"kind":"lost-reply","delay":"0s"}`:                 "no use for delay",
		`{"kind":"lost-reply","status":500}`:                 "no use for status",
		`{"kind":"meta-error","status":0}`:                   "no use for status",
		`{"kind":"html","size":1}`:                           "no use for size, which is for oversized",
		`{"kind":"html","retryAfter":"1s"}`:                  "no use for retryAfter, which is for rate-limit",
		`{"kind":"rate-limit","retryAfterDate":true}`:        "needs a retryAfter",
		`{"kind":"html","contentType":"text/plain"}`:         "no use for contentType, which is for middleman, middleman-after",
		`{"kind":"html","code":""}`:                          "no use for code, which is for refusal, refusal-after",
		`{"kind":"other-order","named":false}`:               "no use for named, which is for wrong-status",
		`{"kind":"dropped","orderStatus":"issued"}`:          "no use for orderStatus, which is for wrong-status, other-order",
		`{"kind":"wrong-status","orderStatus":"done"}`:       `orderStatus "done" is none of CERTInext's, which are pending-dcv`,
		`{"kind":"wrong-status","orderStatus":"Issued"}`:     `orderStatus "Issued" is none`,
		`{"kind":"wrong-status","orderStatus":"draft"}`:      `orderStatus "draft" is none`,
		`{"kind":"other-order","orderStatus":"PENDING_CSR"}`: `orderStatus "PENDING_CSR" is none`,
		`{"kind":"server-error","status":200}`:               "must be from 400 to 599",
	} {
		a := admin.do("POST", "/faults", body)
		require.Equal(t, 400, a.status, body)
		require.Contains(t, string(a.body), why, body)
	}
	require.JSONEq(t, "[]", string(admin.get("/faults").body))
	for _, kind := range certinexttest.FaultKinds() { // each kind has what it needs
		body := m{"kind": kind, "times": 1, "skip": 0, "probability": 0.5}
		switch kind {
		case "latency", "slow-reply":
			body["delay"] = "1s"
		case "refusal", "refusal-after":
			body["text"] = "no"
		}
		admin.post("/faults", body).must(204)
	}
}

// TestALieThatIsTheTruthIsNone: a fault that would leave an answer as it is waits for one that it
// does not.
func TestALieThatIsTheTruthIsNone(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	admin.do("POST", "/faults", `{"kind":"wrong-status","orderStatus":"issued","named":true,"times":1}`).must(204)
	require.Equal(t, "issued", r.status(id))
	seen := r.srv.Requests()
	require.Empty(t, seen[len(seen)-1].Faults, "nothing has struck")
	var left []m
	require.NoError(t, json.Unmarshal(admin.get("/faults").body, &left))
	require.Len(t, left, 1)
	require.EqualValues(t, 1, left[0]["times"])

	require.Equal(t, 404, r.get(sslPath+"/1").status, "a refusal says nothing of an order")
	r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}).must(204)
	require.Equal(t, "issued", r.status(id))
	seen = r.srv.Requests()
	require.Equal(t, []string{"wrong-status"}, seen[len(seen)-1].Faults)
	require.JSONEq(t, "[]", string(admin.get("/faults").body))
	require.Equal(t, "revoked", r.status(id), "once is once")
}

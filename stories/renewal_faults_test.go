// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestAWrongClockBuysNoRenewal(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for _, ahead := range []time.Duration{60 * day, 150 * day, 400 * day, -150 * day} {
			t.Run(fmt.Sprint(restart, ahead), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := renewing(t, nil)
					m.issue("www.example.com")
					time.Sleep(130 * day)
					m.pass()
					m.later(ahead)
					if restart {
						m.start()
					}
					resp, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
					require.NoError(t, err)
					require.Len(t, m.ca.Orders(), 1, "%v", resp.Warnings)
					if ahead == 400*day {
						require.ErrorContains(t, resp.Error(), "set the server's clock right")
						m.later(-ahead)
						resp = m.write("issue/web", map[string]any{"common_name": "www.example.com"})
					}
					m.isFor(resp.Data, "www.example.com")
				})
			})
		}
	}
}

func TestAFalseStatusBuysNoRenewal(t *testing.T) {
	for name, f := range map[string]certinexttest.Fault{
		"expired":   {Kind: certinexttest.FaultWrongStatus, OrderStatus: "expired", Times: 1},
		"named":     {Kind: certinexttest.FaultWrongStatus, OrderStatus: "expired", Named: true, Times: 1},
		"cancelled": {Kind: certinexttest.FaultWrongStatus, OrderStatus: "cancelled", Named: true, Times: 1},
		"revoked":   {Kind: certinexttest.FaultWrongStatus, OrderStatus: "revoked", Named: true, Times: 1},
		"rejected":  {Kind: certinexttest.FaultWrongStatus, OrderStatus: "rejected", Named: true, Times: 1},
		"other":     {Kind: certinexttest.FaultOtherOrder, Times: 1},
		"other exp": {Kind: certinexttest.FaultOtherOrder, OrderStatus: "expired", Times: 1},
		"gateway":   {Kind: certinexttest.FaultMiddleman, Status: 404, Body: `{"message":"not found"}`, Times: 1},
		"html":      {Kind: certinexttest.FaultHTML, Status: 404, Times: 1},
		"spring":    {Kind: certinexttest.FaultSpring, Status: 404, Times: 1},
		"403":       {Kind: certinexttest.FaultMiddleman, Status: 403, Times: 1},
		"truncated": {Kind: certinexttest.FaultTruncated, Times: 1},
		"malformed": {Kind: certinexttest.FaultMalformedJSON, Times: 1},
		"empty":     {Kind: certinexttest.FaultMiddleman, Status: 200, ContentType: "application/json", Body: `{}`, Times: 1},
		"oversized": {Kind: certinexttest.FaultOversized, Times: 1},
		"token":     {Kind: certinexttest.FaultTokenDeath, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, nil)
				m.issue("www.example.com")
				m.issue("other.example.com")
				time.Sleep(100 * day)
				m.pass()
				f.Operation = certinexttest.OpTrack
				m.ca.Inject(f)
				_, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
				require.NoError(t, err)
				time.Sleep(10 * time.Minute)
				m.pass()
				m.write("issue/web", map[string]any{"common_name": "www.example.com"})
				require.Len(t, m.ca.Orders(), 2)
			})
		})
	}
}

func TestFalseAnswersToAReissueBuyNothing(t *testing.T) {
	for name, f := range map[string]certinexttest.Fault{
		"gateway 404":       {Kind: certinexttest.FaultMiddleman, Status: 404, Body: `{"message":"not found"}`},
		"gateway 422 after": {Kind: certinexttest.FaultMiddlemanAfter, Status: 422, Body: `{"message":"no"}`},
		"html":              {Kind: certinexttest.FaultHTML, Status: 404},
		"403 after":         {Kind: certinexttest.FaultMiddlemanAfter, Status: 403},
		"200 empty after":   {Kind: certinexttest.FaultMiddlemanAfter, Status: 200, ContentType: "application/json", Body: `{}`},
		"truncated":         {Kind: certinexttest.FaultTruncated},
		"malformed":         {Kind: certinexttest.FaultMalformedJSON},
		"slow":              {Kind: certinexttest.FaultSlowReply, Delay: 2 * time.Minute},
		"token":             {Kind: certinexttest.FaultTokenDeath},
		"429":               {Kind: certinexttest.FaultRateLimit, RetryAfter: time.Hour},
		"refusal 401":       {Kind: certinexttest.FaultRefusal, Status: 401, Code: "EMS-905"},
		"refusal 403":       {Kind: certinexttest.FaultRefusal, Status: 403, Code: "EMS-905"},
		"refusal 409":       {Kind: certinexttest.FaultRefusal, Status: 409, Text: "busy"},
		"credits words":     {Kind: certinexttest.FaultRefusal, Status: 422, Text: "Insufficient Credits"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, nil)
				m.issue("www.example.com")
				time.Sleep(100 * day)
				m.pass()
				f.Operation, f.Times = certinexttest.OpReissue, 1
				m.ca.Inject(f)
				resp, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
				for tries := 0; (err != nil || resp.IsError()) && tries < 400; tries++ {
					time.Sleep(10 * time.Minute)
					m.pass()
					resp, err = m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
				}
				require.NoError(t, err)
				m.isFor(resp.Data, "www.example.com")
				require.Len(t, m.ca.Orders(), 1)
				require.LessOrEqual(t, len(m.ca.Orders()[0].Serials), 2)
			})
		})
	}
}

// Each write of a renewal fails once, with or without effect, and the process dies of it or not. Then the client comes back, with the same key or another.
func TestARenewalOfWhichEachWriteFailsOnceBuysNothing(t *testing.T) {
	atSize(t)
	for _, op := range []string{"issue", "renew", "sign", "sign-other", "named"} {
		for _, stored := range []bool{false, true} {
			for _, dies := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s stored=%t dies=%t", op, stored, dies), func(t *testing.T) {
					for n := 0; n < 60; n++ {
						hit := false
						synctest.Test(t, func(t *testing.T) { hit = writeFails(t, op, n, stored, dies) })
						if !hit {
							require.Greater(t, n, 3, "the writes were not failed")
							break
						}
					}
				})
			}
		}
	}
}

// writeFails fails one write of a renewal. It reports false when the renewal has fewer.
func writeFails(t *testing.T, op string, n int, stored, dies bool) bool {
	m := renewing(t, nil)
	first := m.issue("www.example.com")
	time.Sleep(100 * day)
	m.pass()
	key := newKey(t, elliptic.P256())
	request := func() (*logical.Response, error) {
		switch op {
		case "issue":
			return m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
		case "named":
			return m.attempt("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "r"})
		case "renew":
			return m.attempt("renew/web/"+first["serial_number"].(string), nil)
		case "sign-other":
			key = newKey(t, elliptic.P256())
		}
		return m.attempt("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")})
	}
	count, hit, at := 0, false, ""
	m.storage.cutBy(func(k string) error {
		count++
		if count == n+1 {
			hit, at = true, k
		}
		if hit && (count == n+1 || dies) {
			if stored && count == n+1 {
				return errStored
			}
			return errors.New("storage is down")
		}
		return nil
	})
	resp, err := request()
	m.storage.cutBy(nil)
	if !hit {
		return false
	}
	if err == nil && !resp.IsError() {
		m.isFor(resp.Data, "www.example.com")
		require.Len(t, m.ca.Orders(), 1)
		dies = false
	}
	if dies {
		old := m.backend
		m.start()
		old.Cleanup(t.Context())
	}
	for tries := 0; (tries == 0 || err != nil || resp.IsError()) && tries < 300; tries++ {
		if err == nil && !resp.IsError() && tries == 0 && !dies {
			break
		}
		time.Sleep(time.Minute)
		m.pass()
		resp, err = request()
	}
	what := fmt.Sprintf("write %d, %s", n, at)
	require.NoError(t, err, what)
	require.False(t, resp.IsError(), "%s: %v", what, resp.Error())
	m.isFor(resp.Data, "www.example.com")
	require.Len(t, m.ca.Orders(), 1, "%s: %v", what, resp.Warnings)
	time.Sleep(time.Hour)
	m.pass()
	_, _ = m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
	require.Len(t, m.ca.Orders(), 1, "%s, afterwards", what)
	return true
}

func TestARestoredSnapshotRenewsWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.issue("www.example.com")
		time.Sleep(70 * day)
		m.pass()
		before := m.storage.dump(t)
		m.issue("www.example.com")
		time.Sleep(time.Hour)
		m.pass()
		for k := range m.storage.dump(t) {
			require.NoError(t, m.storage.Delete(t.Context(), k))
		}
		for k, v := range before {
			require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: k, Value: v}))
		}
		m.start()
		m.passes(3)
		m.isFor(m.issue("www.example.com"), "www.example.com")
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestRenewAfterIsTheSameInEveryAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		seen := map[any]bool{}
		for i := range 5 {
			a := m.issue(fmt.Sprintf("h%d.example.com", i))
			c := m.read("cert/" + a["serial_number"].(string)).Data
			require.IsType(t, int64(0), a["renew_after"])
			require.Equal(t, a["renew_after"], c["renew_after"])
			x := parseCertificate(t, a["certificate"].(string))
			at := time.Unix(a["renew_after"].(int64), 0)
			require.True(t, at.After(x.NotBefore) && at.Before(x.NotAfter))
			seen[a["renew_after"]] = true
		}
		require.Greater(t, len(seen), 3)
	})
}

// What CERTInext says twice is believed: the order was revoked in its portal.
func TestAnOrderThatCERTInextHasEndedIsSucceededByANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultWrongStatus, OrderStatus: "revoked", Named: true, Times: 2})
		require.Contains(t, m.refused("issue/web", map[string]any{"common_name": "www.example.com"}), "send the request again in 20 seconds")
		time.Sleep(20 * time.Second)
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Contains(t, resp.Warnings[0], "CERTInext calls the order revoked")
		require.Len(t, m.ca.Orders(), 2)
	})
}

// A role that does not reissue pays for no link that it has no use for.
func TestARenewalByANewOrderWritesWhatItDidBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"renewal": "order"})
		serial := m.issue("www.example.com")["serial_number"].(string)
		time.Sleep(10 * day)
		m.pass()
		m.storage.reset()
		m.write("renew/web/"+serial, nil)
		require.NotContains(t, m.storage.writes(), "cert/"+strings.ReplaceAll(serial, ":", "-"))
	})
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// domainsOf answers like the live list of n domains.
func domainsOf(n int) func(int, sent) (*http.Response, error) {
	return func(_ int, r sent) (*http.Response, error) {
		q, _ := url.ParseQuery(r.query)
		offset, _ := strconv.Atoi(q.Get("offset"))
		limit, _ := strconv.Atoi(q.Get("limit"))
		var rows []string
		for i := offset; i < min(offset+limit, n); i++ {
			rows = append(rows, fmt.Sprintf(`{"domainId":"id-%d","domainName":"d%d.example"}`, i, i))
		}
		return response(200, fmt.Sprintf(`{"content":[%s],"totalElements":%d}`, strings.Join(rows, ","), n)), nil
	}
}

func TestQuirk31Domains(t *testing.T) {
	t.Run("all pages, in the one order that pages reliably", func(t *testing.T) {
		for n, requests := range map[int]int{0: 1, 1: 1, 100: 1, 101: 2, 250: 3} {
			g, c := newRig(domainsOf(n))
			all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
			require.NoError(t, err)
			assert.Len(t, all, n)
			assert.Len(t, g.sentCalls(), requests)
			for _, r := range g.sentCalls() {
				assert.Contains(t, r.query, "sortBy=domainName&sortDir=asc")
				assert.Contains(t, r.query, "limit=100")
			}
		}
	})
	t.Run("a bare list", func(t *testing.T) {
		g, c := newRig(always(200, `[{"domainId":"1","domainName":"a.example"},{"domainId":"2","domainName":"b.example"}]`))
		all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err)
		assert.Len(t, all, 2)
		assert.Len(t, g.sentCalls(), 2, "it says nothing of further rows")
	})
	t.Run("one row twice, one name under two organizations", func(t *testing.T) {
		_, c := newRig(always(200, `{"content":[{"domainId":"1","domainName":"a.example","organizationId":"1"},
			{"domainId":"1","domainName":"a.example","organizationId":"1"},{"domainId":"2","domainName":"a.example","organizationId":"2"}],"totalElements":3}`))
		all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err)
		assert.Len(t, all, 2)
	})
	t.Run("rows that never come are an error", func(t *testing.T) {
		for _, second := range []string{`{"content":[],"totalElements":5}`, `{"content":[{"domainId":"1"}],"totalElements":5}`} {
			_, c := newRig(inTurn(always(200, `{"content":[{"domainId":"1"}],"totalElements":5}`), always(200, second)))
			all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
			require.ErrorContains(t, err, "ended before")
			assert.Len(t, all, 1)
		}
	})
	for name, tc := range map[string]struct {
		filter certinext.DomainFilter
		want   string
		rows   int
	}{
		"one status is sent":                  {certinext.DomainFilter{Status: "active"}, "domainStatus=ACTIVE", 2},
		"of two only the validation's":        {certinext.DomainFilter{Status: "ACTIVE", DCVStatus: "verified"}, "dcvStatus=VERIFIED", 1},
		"EXPIRED is compared here":            {certinext.DomainFilter{DCVStatus: "Expired"}, "", 1},
		"EXPIRED keeps the other one at home": {certinext.DomainFilter{Status: "ACTIVE", DCVStatus: "EXPIRED"}, "", 0},
		"an exact name is compared too":       {certinext.DomainFilter{Search: "A.example", Exact: true}, "exactMatch=true", 1},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(200, `{"content":[{"domainId":"1","domainName":"a.example","status":"ACTIVE","dcvStatus":"VERIFIED"},
				{"domainId":"2","domainName":"b.example","domainStatus":"ACTIVE","dcvStatus":"PENDING"},
				{"domainId":"3","domainName":"xa.example","status":"INACTIVE","dcvStatus":"EXPIRED"}],"totalElements":3}`))
			all, err := collect(c.Domains(t.Context(), tc.filter))
			require.NoError(t, err)
			assert.Len(t, all, tc.rows)
			query := g.sentCalls()[0].query
			assert.Contains(t, query, tc.want)
			assert.False(t, strings.Contains(query, "domainStatus") && strings.Contains(query, "dcvStatus"))
			assert.NotContains(t, query, "EXPIRED")
			assert.NotContains(t, query, "dcvMethod", "quirk 19: it is missing while pending")
		})
	}
	t.Run("quirk 32: a blanket 422 is shown as it is", func(t *testing.T) {
		_, c := newRig(always(422, `{"title":"Unprocessable Entity","detail":"Unable to process request"}`))
		_, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		assert.Equal(t, "listing domains: CERTInext answered 422: Unable to process request", err.Error())
	})
	t.Run("an id that cannot be one is left out", func(t *testing.T) {
		_, c := newRig(always(200, `[{"domainId":"../x","domainName":"a.example"}]`))
		all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err)
		assert.Empty(t, all[0].ID)
	})
	t.Run("a caller may stop", func(t *testing.T) {
		g, c := newRig(domainsOf(300))
		for _, err := range c.Domains(t.Context(), certinext.DomainFilter{}) {
			require.NoError(t, err)
			break
		}
		assert.Len(t, g.sentCalls(), 1)
	})
}

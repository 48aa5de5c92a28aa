// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/stretchr/testify/require"
)

// A rewrite changes the answers of the CA.
type rewrite struct {
	next   http.RoundTripper
	change func(r *http.Request, status int, body []byte) (int, []byte)
}

func (w rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.StatusCode, text = w.change(r, resp.StatusCode, text)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	resp.Header.Del("Content-Length")
	return resp, nil
}

func (z *zoned) rewriting(change func(r *http.Request, status int, body []byte) (int, []byte)) {
	z.startWith(&http.Client{Transport: rewrite{z.ca.Client().Transport, change}})
}

// clocked is newZoned on a CA whose clock is the mount's.
func clocked(t *testing.T, ca *certinexttest.Server, zones ...dcvtest.Zone) *zoned {
	clock := new(zoned)
	ca.Now = func() time.Time {
		if clock.mount == nil {
			return time.Now()
		}
		return clock.now()
	}
	z := newZoned(t, ca, zones...)
	clock.mount = z.mount
	return z
}

func TestARenewalGoesOnWhileTheRecordSpreads(t *testing.T) {
	z := clocked(t, &certinexttest.Server{DomainValidity: 100 * day}, dcvtest.Zone{Name: "example.com"})
	late := z.dns.Secondary()
	z.rewriting(func(r *http.Request, status int, body []byte) (int, []byte) {
		if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/dcv") && strings.Contains(r.URL.Path, "/domains/") && len(z.ca.Domains()) == 1 && z.ca.Domains()[0].Verified {
			return 200, []byte(`{"method":"dns-txt"}`)
		}
		return status, body
	})
	z.register("example.com", map[string]any{"keep_validated": true, "dcv_propagation_servers": z.dns.Addr + "," + late.Addr})
	first := z.onlyDomain().ValidTill
	require.False(t, first.IsZero())
	z.later(75 * day)
	for range 4 {
		z.pass()
		time.Sleep(3 * time.Second)
		z.later(6 * time.Hour)
	}
	data := z.read("domains/example.com").Data
	require.True(t, z.onlyDomain().ValidTill.After(first), "never renewed: %v; adds %d", data["last_error"], z.ca.Calls()[certinexttest.OpAddDomain])
}

func TestADomainIsKeptWhoseValidationIsShorterThanRenewBefore(t *testing.T) {
	z := clocked(t, &certinexttest.Server{DomainValidity: 100 * day}, dcvtest.Zone{Name: "example.com"})
	z.register("example.com", map[string]any{"keep_validated": true, "renew_before": "2880h"}) // 120 days
	for i := range 410 {
		z.later(6 * time.Hour)
		require.True(t, z.onlyDomain().ValidTill.After(z.now()), "run out after %d days; adds %d; %v", i/4, z.ca.Calls()[certinexttest.OpAddDomain], z.read("domains/example.com").Data["last_error"])
		z.pass()
	}
}

var validTill = regexp.MustCompile(`,?"validTill":"[^"]*"`)

func TestADomainIsKeptWhoseEndTheListDoesNotTell(t *testing.T) {
	z := clocked(t, &certinexttest.Server{DomainValidity: 100 * day}, dcvtest.Zone{Name: "example.com"})
	z.rewriting(func(r *http.Request, status int, body []byte) (int, []byte) {
		if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/domains") {
			body = validTill.ReplaceAll(body, nil)
		}
		return status, body
	})
	data := z.register("example.com", map[string]any{"keep_validated": true})
	require.Equal(t, true, data["validated"], data)
	first := z.onlyDomain().ValidTill
	for range 49 {
		z.later(2 * day)
		z.pass()
	}
	data = z.read("domains/example.com").Data
	require.True(t, z.onlyDomain().ValidTill.After(first), "98 of 100 days on, it was not renewed; last_error %q", data["last_error"])
}

func TestADeactivatedDomainIsLeftAlone(t *testing.T) {
	z := clocked(t, &certinexttest.Server{DomainValidity: 100 * day}, dcvtest.Zone{Name: "example.com"})
	var auth http.Header
	z.rewriting(func(r *http.Request, status int, body []byte) (int, []byte) {
		if strings.HasSuffix(r.URL.Path, "/domains") {
			auth = r.Header.Clone()
		}
		return status, body
	})
	z.register("example.com", map[string]any{"keep_validated": true})
	r, _ := http.NewRequest("POST", sandboxURL+"/api/certinext/v2/domains/"+z.onlyDomain().ID+"/deactivate", strings.NewReader("{}"))
	r.Header = auth
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "b1d7f3f2-1111-4222-8333-444444444444")
	resp, err := z.ca.Client().Do(r)
	require.NoError(t, err)
	require.Less(t, resp.StatusCode, 300, resp.Status)
	before := z.ca.Calls()[certinexttest.OpVerifyDomain]
	for range 8 {
		z.later(day)
		z.pass()
	}
	require.Contains(t, z.read("domains/example.com").Data["last_error"], "INACTIVE")
	require.Zero(t, z.ca.Calls()[certinexttest.OpVerifyDomain]-before, "validated again and again, in vain")
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A cloudflareAPI stands in for Cloudflare's API, with the zone example.test.
type cloudflareAPI struct {
	t         *testing.T
	token     string
	zoneToken string // where another one finds the zone
	blind     bool   // does not let records be listed

	mu      sync.Mutex
	next    int
	records []cloudflareRecord
}

type cloudflareRecord struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int    `json:"ttl"`
}

func cloudflareAt(t *testing.T) *cloudflareAPI {
	t.Helper()
	api := &cloudflareAPI{t: t, token: "token-of-the-api"}
	standIn(t, "api.cloudflare.com", api)
	return api
}

func (c *cloudflareAPI) put(name, value string) {
	c.next++
	c.records = append(c.records, cloudflareRecord{fmt.Sprint("R", c.next), "TXT", name, `"` + value + `"`, 60})
}

func (c *cloudflareAPI) values() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, r := range c.records {
		if r.Name == strings.TrimSuffix(ownName, ".") {
			out = append(out, strings.Trim(r.Content, `"`))
		}
	}
	return out
}

func (c *cloudflareAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const records = "/client/v4/zones/Z1/dns_records"
	token := c.token
	if r.URL.Path == "/client/v4/zones" && c.zoneToken != "" {
		token = c.zoneToken
	}
	id, one := strings.CutPrefix(r.URL.Path, records+"/")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		c.refuse(w, http.StatusForbidden, 10000, "Authentication error of "+r.Header.Get("Authorization"))
	case r.Method == http.MethodGet && r.URL.Path == "/client/v4/zones":
		c.listZones(w, r)
	case r.Method == http.MethodGet && r.URL.Path == records && c.blind:
		c.refuse(w, http.StatusForbidden, 9109, "Unauthorized to access requested resource")
	case r.Method == http.MethodGet && r.URL.Path == records:
		c.list(w, r)
	case r.Method == http.MethodPost && r.URL.Path == records:
		c.create(w, r)
	case r.Method == http.MethodDelete && one:
		c.remove(w, id)
	default:
		unexpected(c.t, w, r)
	}
}

func (c *cloudflareAPI) refuse(w http.ResponseWriter, status, code int, message string) {
	writeJSON(w, status, object{
		"success": false, "errors": []object{{"code": code, "message": message}}, "messages": []object{}, "result": nil,
	})
}

func (c *cloudflareAPI) listZones(w http.ResponseWriter, r *http.Request) {
	zones := []object{}
	if strings.TrimSuffix(r.URL.Query().Get("name"), ".") == "example.test" {
		zones = append(zones, object{"id": "Z1", "name": "example.test", "status": "active"})
	}
	writeJSON(w, 200, object{"success": true, "errors": []object{}, "messages": []object{}, "result": zones})
}

func (c *cloudflareAPI) list(w http.ResponseWriter, r *http.Request) {
	found, q := []cloudflareRecord{}, r.URL.Query()
	for _, record := range c.records {
		if (!q.Has("name") || q.Get("name") == record.Name) && (!q.Has("type") || q.Get("type") == record.Type) &&
			strings.Contains(record.Content, q.Get("content.contains")) {
			found = append(found, record)
		}
	}
	writeJSON(w, 200, object{
		"success": true, "errors": []object{}, "messages": []object{}, "result": found,
		"result_info": object{"page": 1, "per_page": 100, "count": len(found), "total_count": len(found), "total_pages": 1},
	})
}

func (c *cloudflareAPI) create(w http.ResponseWriter, r *http.Request) {
	var record cloudflareRecord
	assert.NoError(c.t, json.NewDecoder(r.Body).Decode(&record))
	assert.Equal(c.t, "TXT", record.Type)
	assert.Equal(c.t, 60, record.TTL)
	assert.True(c.t, strings.HasPrefix(record.Content, `"`) && strings.HasSuffix(record.Content, `"`), record.Content)
	record.Name += ".example.test" // is relative
	if slices.ContainsFunc(c.records, func(o cloudflareRecord) bool { return o.Name == record.Name && o.Content == record.Content }) {
		c.refuse(w, http.StatusBadRequest, 81058, "An identical record already exists.")
		return
	}
	c.next++
	record.ID = fmt.Sprint("R", c.next)
	c.records = append(c.records, record)
	writeJSON(w, 200, object{"success": true, "errors": []object{}, "messages": []object{}, "result": record})
}

func (c *cloudflareAPI) remove(w http.ResponseWriter, id string) {
	c.records = slices.DeleteFunc(c.records, func(r cloudflareRecord) bool { return r.ID == id })
	writeJSON(w, 200, object{"success": true, "errors": []object{}, "messages": []object{}, "result": object{"id": id}})
}

func cloudflareSolver(t *testing.T, values map[string]string) *dcv.Solver {
	t.Helper()
	return solverOf(t, "cloudflare", dcv.Settings{Values: changed(map[string]string{"api_token": "token-of-the-api"}, values)})
}

func TestCloudflarePublishesBesideOthers(t *testing.T) {
	api := cloudflareAt(t)
	api.put("_challenge.www.example.test", foreign)
	api.put("_challenge.example.test", ours.Value)
	publishesBesideOthers(t, cloudflareSolver(t, nil), api.values)
	require.Len(t, api.records, 2, "the same value at another name is left alone")
}

func TestCloudflareFindsAZoneWithATokenOfItsOwn(t *testing.T) {
	api := cloudflareAt(t)
	api.zoneToken = "token-of-the-zone"
	comesAndGoes(t, cloudflareSolver(t, map[string]string{"zone_token": "token-of-the-zone"}), api.values)
	failsWithout(t, cloudflareSolver(t, map[string]string{"zone_token": "wrong-token"}), ours, "HTTP 403", "wrong-token", "token-of-the-api")
}

func TestCloudflareTakesManyAtOnce(t *testing.T) {
	takesManyAtOnce(t, cloudflareSolver(t, nil), cloudflareAt(t).values)
}

func TestCloudflareRefuses(t *testing.T) {
	cloudflareAt(t)
	failsWithout(t, cloudflareSolver(t, map[string]string{"api_token": "wrong-token"}), ours, "HTTP 403: [{Code:10000 Message:Authentication error of Bearer (secret)", "wrong-token")
	away := dcv.Record{Name: "_challenge.example.org.", Zone: "example.org.", Value: "v"}
	failsWithout(t, cloudflareSolver(t, nil), away, "in the zone example.org: expected 1 zone, got 0 for example.org.", "token-of-the-api")
}

func TestCloudflareDoesNotTakeWhatItCannotSeeForAbsent(t *testing.T) {
	api := cloudflareAt(t)
	solver := cloudflareSolver(t, nil)
	require.NoError(t, solver.Publish(t.Context(), ours))
	api.blind = true
	require.ErrorContains(t, solver.Remove(t.Context(), ours), "HTTP 403: [{Code:9109")
	api.blind = false
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.Empty(t, api.values())
}

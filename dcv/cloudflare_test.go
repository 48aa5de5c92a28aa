// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
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
	twice     bool   // the token sees the zone in another account, too

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
	if r.URL.Query().Get("name") == "example.test" {
		zones = append(zones,
			object{"id": "Z0", "name": "example.test", "status": "active", "type": "internal"},
			object{"id": "Z1", "name": "example.test", "status": "active", "type": "full"})
		if c.twice {
			zones = append(zones, object{"id": "Z2", "name": "example.test", "status": "pending", "type": "full"})
		}
	}
	writeJSON(w, 200, object{"success": true, "errors": []object{}, "messages": []object{}, "result": zones})
}

// list has one record to a page. Whoever asks for more than one name and type gets records that
// say nothing which a client could understand.
func (c *cloudflareAPI) list(w http.ResponseWriter, r *http.Request) {
	found, q := []cloudflareRecord{{"R0", "SRV", "odd.example.test", "", 60}, {"R00", "TXT", "", "", 60}}, r.URL.Query()
	if q.Get("name") != "" && q.Get("type") == "TXT" {
		found = slices.DeleteFunc(slices.Clone(c.records), func(r cloudflareRecord) bool { return r.Name != q.Get("name") || r.Type != "TXT" })
	}
	page, _ := strconv.Atoi(q.Get("page"))
	total := len(found)
	found = found[min(page-1, total):min(page, total)]
	writeJSON(w, 200, object{
		"success": true, "errors": []object{}, "messages": []object{}, "result": found,
		"result_info": object{"page": page, "per_page": 1, "count": len(found), "total_count": total, "total_pages": total},
	})
}

func (c *cloudflareAPI) create(w http.ResponseWriter, r *http.Request) {
	var record cloudflareRecord
	assert.NoError(c.t, json.NewDecoder(r.Body).Decode(&record))
	assert.Equal(c.t, "TXT", record.Type)
	assert.Equal(c.t, 60, record.TTL)
	assert.True(c.t, strings.HasPrefix(record.Content, `"`) && strings.HasSuffix(record.Content, `"`), record.Content)
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
	before := len(c.records)
	if c.records = slices.DeleteFunc(c.records, func(r cloudflareRecord) bool { return r.ID == id }); len(c.records) == before {
		c.refuse(w, http.StatusNotFound, 81044, "Record does not exist.")
		return
	}
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
	api.records[1].Name, api.records[1].Content = api.records[0].Name, ours.Value // as people write it, without quotation marks
	require.NoError(t, cloudflareSolver(t, nil).Remove(t.Context(), ours))
	require.Equal(t, []string{foreign}, api.values())
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
	failsWithout(t, cloudflareSolver(t, map[string]string{"api_token": "wrong-token"}), ours, "HTTP 403: 10000 Authentication error of Bearer (secret)", "wrong-token")
	away := dcv.Record{Name: "_challenge.example.org.", Zone: "example.org.", Value: "v"}
	failsWithout(t, cloudflareSolver(t, nil), away, "in the zone example.org: the API token sees no public zone example.org", "token-of-the-api")
}

func TestCloudflareDoesNotTakeWhatItCannotSeeForAbsent(t *testing.T) {
	api := cloudflareAt(t)
	solver := cloudflareSolver(t, nil)
	require.NoError(t, solver.Publish(t.Context(), ours))
	api.blind = true
	require.ErrorContains(t, solver.Remove(t.Context(), ours), "HTTP 403: 9109 ")
	api.blind = false
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.Empty(t, api.values())
}

func TestCloudflareDoesNotGuessWhichZoneIsMeant(t *testing.T) {
	cloudflareAt(t).twice = true
	failsWithout(t, cloudflareSolver(t, nil), ours, "api_token: sees 2 zones example.test: take a token that is for the zone that the domain is delegated to")
}

func TestCloudflareAnswersThatAreNoneAreErrors(t *testing.T) {
	answer, status := "", 200
	standIn(t, "api.cloudflare.com", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, answer)
	}))
	for answer, status = range map[string]int{
		"": 200, "null": 200, "{}": 200, `{"success":true}`: 200, `{"success":true,"result":{}}`: 200, `{"success":true,"result":[null]}`: 200,
		"<html>": 502, `{"success":true,"result":[{"id":"Z1","name":"example.test"}]}`: 302,
	} {
		require.Error(t, cloudflareSolver(t, nil).Publish(t.Context(), ours), answer)
		require.Error(t, cloudflareSolver(t, nil).Remove(t.Context(), ours), answer)
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var azureApplication = map[string]string{
	"subscription_id": "11111111-0000-0000-0000-000000000000", "resource_group": "dns", "tenant_id": "22222222-0000-0000-0000-000000000000",
	"client_id": "33333333-0000-0000-0000-000000000000", "client_secret": "secret~of.the+application/1",
}

const (
	azureToken    = "token-that-entra-issued"
	azureAudience = "https://management.core.windows.net/"
)

// An azureAPI stands in for Azure Resource Manager, with the zone example.test.
type azureAPI struct {
	t *testing.T

	mu   sync.Mutex
	sets map[string]azureSet // by type and name
}

type azureSet struct {
	Name       string       `json:"name"`
	Type       string       `json:"type"`
	Etag       string       `json:"etag,omitempty"`
	Properties azureRecords `json:"properties"`
}

type azureRecords struct {
	TTL         int         `json:"TTL"`
	TxtRecords  []azureText `json:"TXTRecords,omitempty"`
	SOARecord   object      `json:"SOARecord,omitempty"`
	SRVRecords  []object    `json:"SRVRecords,omitempty"`
	Target      object      `json:"targetResource,omitempty"`
	CNAMERecord object      `json:"CNAMERecord,omitempty"`
}

type azureText struct {
	Value []string `json:"value"`
}

func azureAt(t *testing.T) *azureAPI {
	t.Helper()
	api := &azureAPI{t: t, sets: map[string]azureSet{}}
	api.put("SOA", "@", azureRecords{TTL: 3600, SOARecord: object{
		"host": "ns1.azure-dns.com.", "email": "hostmaster", "serialNumber": 1, "refreshTime": 1, "retryTime": 1, "expireTime": 1, "minimumTTL": 1,
	}})
	standIn(t, "management.azure.com", api)
	standIn(t, "login.microsoftonline.com", http.HandlerFunc(api.login))
	return api
}

func (a *azureAPI) put(kind, name string, records azureRecords) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sets[kind+"/"+name] = azureSet{Name: name, Type: "Microsoft.Network/dnszones/" + kind, Properties: records}
}

func (a *azureAPI) putTXT(values ...string) {
	records := azureRecords{TTL: 60}
	for _, v := range values {
		records.TxtRecords = append(records.TxtRecords, azureText{Value: []string{v}})
	}
	a.put("TXT", "_challenge.www", records)
}

func (a *azureAPI) values() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, r := range a.sets["TXT/_challenge.www"].Properties.TxtRecords {
		out = append(out, r.Value...)
	}
	return out
}

// login stands in for Microsoft Entra.
func (a *azureAPI) login(w http.ResponseWriter, r *http.Request) {
	tenant := "/" + azureApplication["tenant_id"]
	base := "https://login.microsoftonline.com" + tenant
	switch r.Method + " " + r.URL.Path {
	case "GET /common/discovery/instance":
		hosts := []string{"login.microsoftonline.com", "login.windows.net"}
		writeJSON(w, 200, object{
			"tenant_discovery_endpoint": base + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
			"metadata": []object{{"preferred_network": hosts[0], "preferred_cache": hosts[1], "aliases": hosts}},
		})
	case "GET " + tenant + "/v2.0/.well-known/openid-configuration":
		writeJSON(w, 200, object{
			"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0",
		})
	case "POST " + tenant + "/oauth2/v2.0/token":
		a.issueToken(w, r)
	default:
		unexpected(a.t, w, r)
	}
}

func (a *azureAPI) issueToken(w http.ResponseWriter, r *http.Request) {
	assert.Equal(a.t, "client_credentials", r.FormValue("grant_type"))
	assert.Contains(a.t, r.FormValue("scope"), azureAudience+"/.default")
	if r.FormValue("client_id") != azureApplication["client_id"] || r.FormValue("client_secret") != azureApplication["client_secret"] {
		writeJSON(w, http.StatusUnauthorized, object{
			"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided: " + r.FormValue("client_secret"), "error_codes": []int{7000215},
		})
		return
	}
	writeJSON(w, 200, object{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": azureToken})
}

func (a *azureAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	zones := "/subscriptions/" + azureApplication["subscription_id"] + "/resourceGroups/dns/providers/Microsoft.Network/dnsZones/"
	path, found := strings.CutPrefix(r.URL.Path, zones)
	zone, set, _ := strings.Cut(path, "/")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+azureToken:
		a.refuse(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "The access token is invalid.")
	case !found || r.URL.Query().Get("api-version") != "2018-05-01":
		unexpected(a.t, w, r)
	case zone != "example.test":
		a.refuse(w, http.StatusNotFound, "ParentResourceNotFound", "Can not perform requested operation on nested resource. Parent resource '"+zone+"' not found.")
	case r.Method == http.MethodGet && set == "recordsets":
		all := []azureSet{}
		for _, s := range a.sets {
			all = append(all, s)
		}
		writeJSON(w, 200, object{"value": all})
	case r.Method == http.MethodPut && strings.HasPrefix(set, "TXT/"):
		a.create(w, r, set)
	case r.Method == http.MethodDelete && strings.HasPrefix(set, "TXT/"):
		delete(a.sets, set)
		w.WriteHeader(http.StatusOK)
	default:
		unexpected(a.t, w, r)
	}
}

func (a *azureAPI) create(w http.ResponseWriter, r *http.Request, id string) {
	var set azureSet
	assert.NoError(a.t, json.NewDecoder(r.Body).Decode(&set))
	if _, there := a.sets[id]; there && r.Header.Get("If-None-Match") == "*" {
		a.refuse(w, http.StatusPreconditionFailed, "PreconditionFailed", "The condition '*' in the If-None-Match header was not satisfied. The current was '22fb3c8d'.")
		return
	}
	set.Name, set.Type, set.Etag = strings.TrimPrefix(id, "TXT/"), "Microsoft.Network/dnszones/TXT", "e1"
	a.sets[id] = set
	writeJSON(w, http.StatusCreated, set)
}

func (a *azureAPI) refuse(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, object{"error": object{"code": code, "message": message}})
}

func azureSolver(t *testing.T, changes map[string]string) *dcv.Solver {
	t.Helper()
	return solverOf(t, "azure", dcv.Settings{Values: changed(azureApplication, changes)})
}

func TestAzurePublishesWhereNobodyElseDoes(t *testing.T) {
	api := azureAt(t)
	solver := azureSolver(t, nil)
	require.NoError(t, solver.Remove(t.Context(), ours), "it is not there")
	require.NoError(t, solver.Publish(t.Context(), ours))
	require.NoError(t, solver.Publish(t.Context(), ours), "publishing twice is no harm")
	require.Equal(t, []string{ours.Value}, api.values())
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.NoError(t, solver.Remove(t.Context(), ours), "nor is removing twice")
	require.Empty(t, api.values())
}

func TestAzureLeavesTheValuesOfOthers(t *testing.T) {
	api := azureAt(t)
	solver := azureSolver(t, nil)
	api.putTXT(foreign)
	require.ErrorContains(t, solver.Publish(t.Context(), ours),
		"a TXT record set _challenge.www is in the zone example.test already, and Azure's provider holds one value for a name: ")
	require.NoError(t, solver.Remove(t.Context(), ours), "it is not there")
	require.Equal(t, []string{foreign}, api.values())

	api.putTXT(ours.Value, foreign)
	require.ErrorContains(t, solver.Remove(t.Context(), ours),
		"the TXT record set _challenge.www in the zone example.test has other values, too, and Azure's provider removes whole sets only, so nothing was removed")
	require.Equal(t, []string{ours.Value, foreign}, api.values())
}

func TestAzureDoesNotTakeWhatItCannotSeeForAbsent(t *testing.T) {
	api := azureAt(t)
	api.putTXT(ours.Value)
	api.put("SRV", "odd", azureRecords{TTL: 60, SRVRecords: []object{{"priority": 1, "weight": 1, "port": 1, "target": "x"}}})
	require.ErrorContains(t, azureSolver(t, nil).Remove(t.Context(), ours),
		"azure's provider does not understand every record of the zone example.test, so it cannot tell the values of _challenge.www")
}

func TestAzureSurvivesAnAliasThatItsClientDoesNot(t *testing.T) {
	api := azureAt(t)
	api.putTXT(ours.Value)
	api.put("CNAME", "alias", azureRecords{TTL: 60, Target: object{"id": "/subscriptions/s/trafficManagerProfiles/p"}})
	require.ErrorContains(t, azureSolver(t, nil).Remove(t.Context(), ours), "the client of azure failed: ")
	require.Equal(t, []string{ours.Value}, api.values())
}

func TestAzureRefuses(t *testing.T) {
	azureAt(t)
	failsWithout(t, azureSolver(t, map[string]string{"client_secret": "wrong/secret+1"}), ours,
		"AADSTS7000215: Invalid client secret provided: (secret)", "wrong/secret+1", azureApplication["client_secret"])
	away := dcv.Record{Name: "_challenge.example.org.", Zone: "example.org.", Value: "v"}
	failsWithout(t, azureSolver(t, nil), away, "Parent resource 'example.org' not found", azureApplication["client_secret"], azureToken)
}

func TestAzureActsUnderTheIdentityOfTheServer(t *testing.T) {
	api := azureAt(t)
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/msi/token" || r.Header.Get("X-Identity-Header") != "header of the app" || r.URL.Query().Get("resource") != azureAudience {
			unexpected(t, w, r)
			return
		}
		writeJSON(w, 200, object{
			"access_token": azureToken, "expires_on": strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10),
			"resource": azureAudience, "token_type": "Bearer",
		})
	}))
	t.Cleanup(identity.Close)
	t.Setenv("IDENTITY_ENDPOINT", identity.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header of the app")
	comesAndGoes(t, solverOf(t, "azure", dcv.Settings{Ambient: true, Values: map[string]string{
		"subscription_id": azureApplication["subscription_id"], "resource_group": "dns",
	}}), api.values)
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"encoding/json"
	"fmt"
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

	mu     sync.Mutex
	sets   map[string]azureSet // by type and name
	etags  int
	meddle func() // runs between what a client has read and what it writes, once
}

type azureSet struct {
	Name       string       `json:"name"`
	Type       string       `json:"type"`
	Etag       string       `json:"etag,omitempty"`
	Properties azureRecords `json:"properties"`
}

type azureRecords struct {
	TTL        int         `json:"TTL"`
	TxtRecords []azureText `json:"TXTRecords,omitempty"`
	Metadata   object      `json:"metadata,omitempty"`
	Target     object      `json:"targetResource,omitempty"`
}

type azureText struct {
	Value []string `json:"value"`
}

func azureAt(t *testing.T) *azureAPI {
	t.Helper()
	api := &azureAPI{t: t, sets: map[string]azureSet{}}
	standIn(t, "management.azure.com", api)
	standIn(t, "login.microsoftonline.com", http.HandlerFunc(api.login))
	return api
}

func (a *azureAPI) put(name string, records azureRecords) {
	a.etags++
	a.sets["TXT/"+name] = azureSet{Name: name, Type: "Microsoft.Network/dnszones/TXT", Etag: fmt.Sprint("e", a.etags), Properties: records}
}

func (a *azureAPI) putTXT(values ...string) {
	records := azureRecords{TTL: 60}
	for _, v := range values {
		records.TxtRecords = append(records.TxtRecords, azureText{Value: []string{v}})
	}
	a.put("_challenge.www", records)
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
	case r.Method == http.MethodGet && strings.HasPrefix(set, "TXT/"):
		if found, there := a.sets[set]; there {
			writeJSON(w, 200, found)
			return
		}
		a.refuse(w, http.StatusNotFound, "NotFound", "The resource record '"+set+"' does not exist in resource group 'dns'.")
	case r.Method == http.MethodPut && strings.HasPrefix(set, "TXT/"):
		a.write(w, r, set)
	case r.Method == http.MethodDelete && strings.HasPrefix(set, "TXT/"):
		a.remove(w, r, set)
	default:
		unexpected(a.t, w, r)
	}
}

func (a *azureAPI) write(w http.ResponseWriter, r *http.Request, id string) {
	var set azureSet
	assert.NoError(a.t, json.NewDecoder(r.Body).Decode(&set))
	if a.changed(w, r, id) {
		return
	}
	a.etags++
	set.Name, set.Type, set.Etag = strings.TrimPrefix(id, "TXT/"), "Microsoft.Network/dnszones/TXT", fmt.Sprint("e", a.etags)
	a.sets[id] = set
	writeJSON(w, http.StatusCreated, set)
}

func (a *azureAPI) remove(w http.ResponseWriter, r *http.Request, id string) {
	if !a.changed(w, r, id) {
		delete(a.sets, id)
		w.WriteHeader(http.StatusOK)
	}
}

// changed refuses a change whose condition does not hold any more. One without a condition would
// overwrite what others have written.
func (a *azureAPI) changed(w http.ResponseWriter, r *http.Request, id string) bool {
	if meddle := a.meddle; meddle != nil {
		a.meddle = nil
		meddle()
	}
	set, there := a.sets[id]
	none, match := r.Header.Get("If-None-Match"), r.Header.Get("If-Match")
	assert.NotEqual(a.t, none == "", match == "", "a change needs one condition")
	if (none == "*" && !there) || (match != "" && there && match == set.Etag) {
		return false
	}
	a.refuse(w, http.StatusPreconditionFailed, "PreconditionFailed", "The condition in the header was not satisfied. The current was '"+set.Etag+"'.")
	return true
}

func (a *azureAPI) refuse(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, object{"error": object{"code": code, "message": message}})
}

func azureSolver(t *testing.T, changes map[string]string) *dcv.Solver {
	t.Helper()
	return solverOf(t, "azure", dcv.Settings{Values: changed(azureApplication, changes)})
}

func TestAzurePublishesBesideOthers(t *testing.T) {
	api := azureAt(t)
	api.put("_challenge.www", azureRecords{TTL: 300, Metadata: object{"owner": "somebody"}, TxtRecords: []azureText{{Value: []string{foreign[:5], foreign[5:]}}}})
	publishesBesideOthers(t, azureSolver(t, nil), func() []string {
		var out []string
		for _, r := range api.sets["TXT/_challenge.www"].Properties.TxtRecords {
			out = append(out, strings.Join(r.Value, ""))
		}
		return out
	})
	set := api.sets["TXT/_challenge.www"].Properties
	require.Equal(t, 300, set.TTL, "of the set of somebody else")
	require.Equal(t, object{"owner": "somebody"}, set.Metadata)
	require.Equal(t, []string{foreign[:5], foreign[5:]}, set.TxtRecords[0].Value, "as it was spelt")
}

func TestAzureLeavesNoEmptySet(t *testing.T) {
	api := azureAt(t)
	comesAndGoes(t, azureSolver(t, nil), api.values)
	require.Empty(t, api.sets)
}

func TestAzureTakesManyAtOnce(t *testing.T) {
	takesManyAtOnce(t, azureSolver(t, nil), azureAt(t).values)
}

func TestAzureDoesNotUndoWhatOthersWriteMeanwhile(t *testing.T) {
	api := azureAt(t)
	solver := azureSolver(t, nil)
	api.meddle = func() { api.putTXT(foreign) }
	require.NoError(t, solver.Publish(t.Context(), ours))
	require.ElementsMatch(t, []string{foreign, ours.Value}, api.values())
	api.meddle = func() { api.putTXT(foreign, ours.Value, "another") }
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.ElementsMatch(t, []string{foreign, "another"}, api.values())
}

func TestAzureLeavesAnAliasAlone(t *testing.T) {
	api := azureAt(t)
	api.put("_challenge.www", azureRecords{TTL: 60, Target: object{"id": "/subscriptions/s/trafficManagerProfiles/p"}})
	failsWithout(t, azureSolver(t, nil), ours, "or as an alias of a resource")
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

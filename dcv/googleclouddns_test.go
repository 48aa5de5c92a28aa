// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	googleToken = "token-that-google-issued"
	googleMail  = "dns@p1.iam.gserviceaccount.com"
)

var googleRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// googleKey is the key of a service account, and what is secret of it.
func googleKey(t *testing.T) (text, secret string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(googleRSA())
	require.NoError(t, err)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return googleKeyWith(t, object{"private_key": key}), strings.Split(key, "\n")[1]
}

func googleKeyWith(t *testing.T, changes object) string {
	t.Helper()
	account := object{
		"type": "service_account", "project_id": "p1", "private_key_id": "k1", "client_email": googleMail,
		"auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://oauth2.googleapis.com/token",
	}
	for name, value := range changes {
		account[name] = value
		if value == nil {
			delete(account, name)
		}
	}
	text, err := json.Marshal(account)
	require.NoError(t, err)
	return string(text)
}

// A googleAPI stands in for Google Cloud DNS, with the zone example.test in the project p1.
type googleAPI struct {
	t      *testing.T
	closed bool // does not issue tokens

	mu     sync.Mutex
	zones  []googleZone
	sets   map[string]googleSet // by name and type
	meddle func()               // runs between what a client has read and what it writes, once
}

// A googleZone is a managed zone: its name, the name in the DNS, and who sees it.
type googleZone [3]string

type googleSet struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	TTL     int      `json:"ttl"`
	Rrdatas []string `json:"rrdatas"`
}

func googleAt(t *testing.T) *googleAPI {
	t.Helper()
	api := &googleAPI{t: t, sets: map[string]googleSet{}, zones: []googleZone{
		{"a-private-zone", "example.test.", "private"},
		{"example-zone", "example.test.", "public"},
		{"z-private-zone", "example.test.", "private"},
	}}
	standIn(t, "dns.googleapis.com", api)
	standIn(t, "oauth2.googleapis.com", http.HandlerFunc(api.issueToken))
	return api
}

func (g *googleAPI) values() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, v := range g.sets[ownName+"/TXT"].Rrdatas {
		out = append(out, strings.Trim(v, `"`))
	}
	return out
}

// issueToken verifies the assertion as Google does.
func (g *googleAPI) issueToken(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/token" {
		unexpected(g.t, w, r)
		return
	}
	assertion := r.FormValue("assertion")
	if err := verifyAssertion(assertion); err != nil || g.closed || r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		key, _ := x509.MarshalPKCS8PrivateKey(googleRSA())
		echo := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})) // nobody is as careless, but errors have to be
		writeJSON(w, http.StatusUnauthorized, object{"error": "invalid_grant", "error_description": "Invalid JWT Signature. " + echo})
		return
	}
	writeJSON(w, 200, object{"access_token": googleToken, "expires_in": 3599, "token_type": "Bearer"})
}

func verifyAssertion(assertion string) error {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return errors.New("is no JWT")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var said struct{ Iss, Aud, Scope string }
	if err := json.Unmarshal(claims, &said); err != nil {
		return err
	}
	if said.Iss != googleMail || said.Aud != "https://oauth2.googleapis.com/token" || said.Scope != "https://www.googleapis.com/auth/ndev.clouddns.readwrite" {
		return errors.New("is for something else: " + string(claims))
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPKCS1v15(&googleRSA().PublicKey, crypto.SHA256, sum[:], signature)
}

func (g *googleAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	const zones = "/dns/v1/projects/p1/managedZones"
	id, one := strings.CutPrefix(r.URL.Path, zones+"/example-zone/rrsets/")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+googleToken:
		g.refuse(w, http.StatusUnauthorized, "Request had invalid authentication credentials.")
	case !strings.HasPrefix(r.URL.Path, zones):
		g.refuse(w, http.StatusForbidden, "Forbidden")
	case r.Method == http.MethodGet && r.URL.Path == zones:
		g.listZones(w, r)
	case r.Method == http.MethodPost && r.URL.Path == zones+"/example-zone/changes":
		g.change(w, r)
	case r.Method == http.MethodGet && one:
		if set, there := g.sets[id]; there {
			writeJSON(w, 200, set)
			return
		}
		g.refuse(w, http.StatusNotFound, "The 'parameters.name' resource named '"+id+"' does not exist.")
	default: // reading all of a zone among them
		unexpected(g.t, w, r)
	}
}

// listZones has one zone to a page.
func (g *googleAPI) listZones(w http.ResponseWriter, r *http.Request) {
	zones := []object{}
	for _, z := range append(slices.Clone(g.zones), googleZone{"other-zone", "other.test.", "public"}) {
		if name := r.URL.Query().Get("dnsName"); name == "" || name == z[1] {
			zones = append(zones, object{"name": z[0], "dnsName": z[1], "visibility": z[2]})
		}
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
	answer := object{"managedZones": zones[min(page, len(zones)):min(page+1, len(zones))]}
	if page+1 < len(zones) {
		answer["nextPageToken"] = strconv.Itoa(page + 1)
	}
	writeJSON(w, 200, answer)
}

// change is one transaction: what is deleted has to be as it is told.
func (g *googleAPI) change(w http.ResponseWriter, r *http.Request) {
	if meddle := g.meddle; meddle != nil {
		g.meddle = nil
		meddle()
	}
	var change struct{ Deletions, Additions []googleSet }
	assert.NoError(g.t, json.NewDecoder(r.Body).Decode(&change))
	after := maps.Clone(g.sets)
	for _, set := range change.Deletions {
		id := set.Name + "/" + set.Type
		if !reflect.DeepEqual(after[id], set) {
			g.refuse(w, http.StatusPreconditionFailed, "Precondition not met for 'entity.change.deletions[0]'")
			return
		}
		delete(after, id)
	}
	for _, set := range change.Additions {
		id := set.Name + "/" + set.Type
		if _, there := after[id]; there {
			g.refuse(w, http.StatusConflict, "The resource 'entity.change.additions[0]' named '"+set.Name+" (TXT)' already exists")
			return
		}
		after[id] = set
	}
	g.sets = after
	writeJSON(w, 200, object{"id": "1", "status": "pending"})
}

func (g *googleAPI) refuse(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, object{"error": object{"code": status, "message": message}})
}

func googleSolver(t *testing.T, changes map[string]string) *dcv.Solver {
	t.Helper()
	text, _ := googleKey(t)
	return solverOf(t, "googleclouddns", dcv.Settings{Values: changed(map[string]string{"project": "p1", "service_account_json": text}, changes)})
}

func TestGoogleCloudDNSPublishesBesideOthers(t *testing.T) {
	api := googleAt(t)
	api.sets[ownName+"/TXT"] = googleSet{ownName, "TXT", 300, []string{`"` + foreign + `"`}}
	publishesBesideOthers(t, googleSolver(t, nil), api.values)
	require.Equal(t, 300, api.sets[ownName+"/TXT"].TTL, "of the set of somebody else")
}

func TestGoogleCloudDNSTakesAKeyThatNamesNoTokenURI(t *testing.T) {
	api := googleAt(t)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(googleRSA())}))
	text := googleKeyWith(t, object{"private_key": key, "token_uri": nil})
	comesAndGoes(t, googleSolver(t, map[string]string{"service_account_json": text}), api.values)
}

func TestGoogleCloudDNSTakesManyAtOnce(t *testing.T) {
	takesManyAtOnce(t, googleSolver(t, nil), googleAt(t).values)
}

func TestGoogleCloudDNSRefuses(t *testing.T) {
	api := googleAt(t)
	text, secret := googleKey(t)
	away := dcv.Record{Name: "_challenge.example.org.", Zone: "example.org.", Value: "v"}
	failsWithout(t, googleSolver(t, nil), away, "there is no zone example.org under these credentials", secret, googleToken)
	failsWithout(t, googleSolver(t, map[string]string{"project": "p2"}), ours, "403", secret, googleToken)

	api.closed = true
	failsWithout(t, googleSolver(t, nil), ours, "Invalid JWT Signature", secret, text)
}

func TestGoogleCloudDNSDoesNotUndoWhatOthersWriteMeanwhile(t *testing.T) {
	api := googleAt(t)
	solver := googleSolver(t, nil)
	put := func(values ...string) func() {
		return func() { api.sets[ownName+"/TXT"] = googleSet{ownName, "TXT", 300, values} }
	}
	api.meddle = put(`"of somebody" " else"`)
	require.NoError(t, solver.Publish(t.Context(), ours))
	require.Equal(t, []string{`"of somebody" " else"`, `"` + ours.Value + `"`}, api.sets[ownName+"/TXT"].Rrdatas)
	api.meddle = put(`"`+ours.Value+`"`, `"another"`)
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.Equal(t, []string{"another"}, api.values())
}

func TestGoogleCloudDNSDoesNotGuessWhichZoneIsMeant(t *testing.T) {
	api := googleAt(t)
	api.zones = append(api.zones, googleZone{"example-zone-2", "example.test.", "public"})
	failsWithout(t, googleSolver(t, nil), ours, "managed_zone: several public zones are named example.test (example-zone, example-zone-2): say in which of them the records belong")
	comesAndGoes(t, googleSolver(t, map[string]string{"managed_zone": "example-zone"}), api.values)
	api.zones = api.zones[:1]
	failsWithout(t, googleSolver(t, nil), ours, "managed_zone: the only zones that are named example.test are private (a-private-zone), which no CA sees: say in which zone the records belong")
}

func TestGoogleCloudDNSActsUnderTheIdentityOfTheServer(t *testing.T) {
	api := googleAt(t)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		switch {
		case r.Header.Get("Metadata-Flavor") != "Google":
			unexpected(t, w, r)
		case strings.TrimSuffix(r.URL.Path, "/") == "/computeMetadata/v1/instance/service-accounts/default/token":
			writeJSON(w, 200, object{"access_token": googleToken, "expires_in": 3599, "token_type": "Bearer"})
		case r.URL.Path == "/computeMetadata/v1/universe/universe-domain" || r.URL.Path == "/computeMetadata/v1/universe/universe_domain":
			http.NotFound(w, r) // the usual one
		default:
			unexpected(t, w, r)
		}
	}))
	t.Cleanup(metadata.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	comesAndGoes(t, solverOf(t, "googleclouddns", dcv.Settings{Ambient: true, Values: map[string]string{"project": "p1"}}), api.values)
}

func TestAKeyThatCouldLeadElsewhereIsRefused(t *testing.T) {
	text, secret := googleKey(t)
	var good object
	require.NoError(t, json.Unmarshal([]byte(text), &good))
	with := func(name string, value any) string {
		return googleKeyWith(t, object{"private_key": good["private_key"], name: value})
	}
	for name, c := range map[string]struct{ text, problem string }{
		"a path":                              {"/etc/passwd-of-" + secret, "is not the JSON text of a service account's key"},
		"JSON that is cut off":                {text[:len(text)-5], "is not the JSON text of a service account's key"},
		"a list":                              {`["` + secret + `"]`, "is not the JSON text of a service account's key"},
		"null":                                {"null", "is not the key of a service account: its type is not service_account"},
		"a type that reads files":             {with("type", "external_account"), "is not the key of a service account: its type is not service_account"},
		"no mail address":                     {with("client_email", nil), "has no client_email"},
		"no key":                              {with("private_key", nil), "has no private_key that is an RSA key in PEM"},
		"a key that is no PEM":                {with("private_key", secret), "has no private_key that is an RSA key in PEM"},
		"PEM that is no key":                  {with("private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "has no private_key that is an RSA key in PEM"},
		"a key of another kind":               {with("private_key", ecKey(t)), "has no private_key that is an RSA key in PEM"},
		"an assertion that is sent elsewhere": {with("token_uri", "https://oauth2.googleapis.com.example.org/token"), "has a token_uri other than https://oauth2.googleapis.com/token"},
		"an assertion that is sent in clear":  {with("token_uri", "http://oauth2.googleapis.com/token"), "has a token_uri other than https://oauth2.googleapis.com/token"},
		"requests that are sent elsewhere":    {with("universe_domain", "example.org"), "has a universe_domain other than googleapis.com"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dcv.Open("googleclouddns", dcv.Settings{Values: map[string]string{"project": "p1", "service_account_json": c.text}})
			var wrong *dcv.SettingError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, dcv.SettingError{Field: "service_account_json", Problem: c.problem}, *wrong)
		})
	}
}

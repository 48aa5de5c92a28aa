// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var awsKey = map[string]string{"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret/of+the/key", "session_token": "token-of-the-session=="}

// A route53API stands in for Route 53's API, with the zone example.test.
type route53API struct {
	t      *testing.T
	key    aws.Credentials
	byID   bool // does not let zones be looked up by name
	broken bool // refuses changes for another reason

	mu     sync.Mutex
	zones  []route53Zone
	sets   []route53Set // in the order of names and types
	meddle func()       // runs between what a client has read and what it writes, once
}

type route53Zone struct {
	id, name string
	private  bool
}

type route53Set struct {
	Name   string        `xml:"Name"`
	Type   string        `xml:"Type"`
	TTL    int           `xml:"TTL"`
	Values route53Values `xml:"ResourceRecords>ResourceRecord"`
	Policy string        `xml:"SetIdentifier,omitempty"`
}

// route53Values are the records of a set, each in an element of its own.
type route53Values []string

func (v route53Values) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	for _, value := range v {
		if err := e.EncodeElement(struct{ Value string }{value}, start); err != nil {
			return err
		}
	}
	return nil
}

func (v *route53Values) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var one struct{ Value string }
	err := d.DecodeElement(&one, &start)
	*v = append(*v, one.Value)
	return err
}

func route53At(t *testing.T) *route53API {
	t.Helper()
	api := &route53API{t: t, key: aws.Credentials{
		AccessKeyID: awsKey["access_key_id"], SecretAccessKey: awsKey["secret_access_key"], SessionToken: awsKey["session_token"],
	}}
	api.zones = []route53Zone{{"Z0PRIVATE", "example.test.", true}, {"Z1EXAMPLE", "example.test.", false}, {"Z2PRIVATE", "example.test.", true}, {"Z3OTHER", "other.test.", false}}
	api.put("example.test.", "SOA", "ns.example.test. hostmaster.example.test. 1 7200 900 1209600 86400")
	api.put("example.test.", "NS", "ns.example.test.")
	// Three sets that a general client may not understand: SRV without a service, MX without a preference, and another kind of record.
	api.put("_challenge.www.example.test.", "SVCB", "what is this")
	api.put("_challenge.vvv.example.test.", "MX", "mail.example.test.")
	api.put("zzz.example.test.", "SRV", "1 1 1 x.example.test.")
	standIn(t, "route53.amazonaws.com", api)
	return api
}

func (a *route53API) values() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	if i := a.index(ownName, "TXT"); i >= 0 {
		for _, v := range a.sets[i].Values {
			out = append(out, strings.Trim(v, `"`))
		}
	}
	return out
}

// put keeps the order of Route 53: that of the labels from the right, and then of the types.
func (a *route53API) put(name, kind string, values ...string) {
	a.add(route53Set{Name: name, Type: kind, TTL: 300, Values: values})
}

func (a *route53API) add(set route53Set) {
	a.sets = append(a.sets, set)
	slices.SortStableFunc(a.sets, func(x, y route53Set) int { return compareSets(x.Name, x.Type, y.Name, y.Type) })
}

func compareSets(name, kind, otherName, otherKind string) int {
	labels := func(name string) []string {
		l := strings.Split(strings.TrimSuffix(name, "."), ".")
		slices.Reverse(l)
		return l
	}
	return cmp.Or(slices.Compare(labels(name), labels(otherName)), strings.Compare(kind, otherKind))
}

func (a *route53API) index(name, kind string) int {
	return slices.IndexFunc(a.sets, func(s route53Set) bool { return s.Name == name && s.Type == kind })
}

func (a *route53API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	assert.NoError(a.t, err)
	const sets = "/2013-04-01/hostedzone/Z1EXAMPLE/rrset"
	switch {
	case !a.signed(r, body):
		// The text of the real error quotes the request as it should have been signed.
		a.refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. The Canonical String for this request should have been x-amz-security-token:"+r.Header.Get("X-Amz-Security-Token"))
	case r.Method == http.MethodGet && r.URL.Path == "/2013-04-01/hostedzonesbyname" && !a.byID:
		a.findZone(w, r)
	case r.Method == http.MethodGet && r.URL.Path == sets:
		a.list(w, r)
	case r.Method == http.MethodPost && strings.TrimSuffix(r.URL.Path, "/") == sets:
		a.change(w, body)
	default:
		unexpected(a.t, w, r)
	}
}

// signed says whether a request has the signature that the stand-in would give it.
func (a *route53API) signed(r *http.Request, body []byte) bool {
	given := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(given, "SignedHeaders=")
	names, _, _ := strings.Cut(rest, ",")
	again := httptest.NewRequest(r.Method, "https://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	again.ContentLength = 0 // but where it is signed
	for name := range strings.SplitSeq(names, ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > time.Minute {
		return false
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), a.key, again, hex.EncodeToString(sum[:]), "route53", "us-east-1", at); err != nil {
		return false
	}
	return again.Header.Get("Authorization") == given
}

func (a *route53API) refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r1</RequestId></ErrorResponse>`, code, message)
}

// findZone lists the zones from a name on, in the order of names and IDs, two to a page.
func (a *route53API) findZone(w http.ResponseWriter, r *http.Request) {
	q, rest := r.URL.Query(), ""
	from := slices.IndexFunc(a.zones, func(z route53Zone) bool { return z.name >= q.Get("dnsname") && z.id >= q.Get("hostedzoneid") })
	if from < 0 {
		from = len(a.zones)
	}
	size := 2
	if n, err := strconv.Atoi(q.Get("maxitems")); err == nil {
		size = min(n, size)
	}
	page := a.zones[from:min(from+size, len(a.zones))]
	if next := from + size; next < len(a.zones) {
		rest = fmt.Sprintf(`<IsTruncated>true</IsTruncated><NextDNSName>%s</NextDNSName><NextHostedZoneId>%s</NextHostedZoneId>`, a.zones[next].name, a.zones[next].id)
	} else {
		rest = `<IsTruncated>false</IsTruncated>`
	}
	var zones strings.Builder
	for _, z := range page {
		fmt.Fprintf(&zones, `<HostedZone><Id>/hostedzone/%s</Id><Name>%s</Name><CallerReference>c</CallerReference><Config><PrivateZone>%t</PrivateZone></Config><ResourceRecordSetCount>2</ResourceRecordSetCount></HostedZone>`, z.id, z.name, z.private)
	}
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones>%s</HostedZones><DNSName>%s</DNSName>%s<MaxItems>%d</MaxItems></ListHostedZonesByNameResponse>`,
		zones.String(), q.Get("dnsname"), rest, size)
}

// list has the sets from a name and type on. Names are shown with what is unusual in octal digits.
func (a *route53API) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var found []route53Set
	for _, s := range a.sets {
		if compareSets(s.Name, s.Type, q.Get("name"), q.Get("type")) >= 0 {
			s.Name = strings.ReplaceAll(s.Name, "+", `\053`)
			found = append(found, s)
		}
	}
	n, err := strconv.Atoi(q.Get("maxitems"))
	if err != nil {
		n = 100
	}
	text, err := xml.Marshal(struct {
		XMLName     xml.Name     `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
		Sets        []route53Set `xml:"ResourceRecordSets>ResourceRecordSet"`
		IsTruncated bool
		MaxItems    int
	}{Sets: found[:min(n, len(found))], IsTruncated: n < len(found), MaxItems: n})
	assert.NoError(a.t, err)
	_, _ = w.Write(text)
}

// change makes all changes of a batch, or none.
func (a *route53API) change(w http.ResponseWriter, body []byte) {
	if meddle := a.meddle; meddle != nil {
		a.meddle = nil
		meddle()
	}
	var batch struct {
		Changes []struct {
			Action string
			Set    route53Set `xml:"ResourceRecordSet"`
		} `xml:"ChangeBatch>Changes>Change"`
	}
	assert.NoError(a.t, xml.Unmarshal(body, &batch))
	before := slices.Clone(a.sets)
	for _, c := range batch.Changes {
		if problem := a.problem(c.Action, c.Set); problem != "" {
			a.sets = before
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>%s</Message></Messages><RequestId>r1</RequestId></InvalidChangeBatch>`, problem)
			return
		}
		if c.Action == "DELETE" {
			i := a.index(c.Set.Name, c.Set.Type)
			a.sets = slices.Delete(a.sets, i, i+1)
		} else {
			a.add(c.Set)
		}
	}
	_, _ = fmt.Fprint(w, `<?xml version="1.0"?><ChangeResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>`)
}

// problem is what is wrong with a change.
func (a *route53API) problem(action string, set route53Set) string {
	sorted := slices.Sorted(slices.Values(set.Values))
	i := a.index(set.Name, set.Type)
	switch {
	case a.broken:
		return "The request failed for another reason"
	case !strings.HasSuffix(set.Name, ".example.test."):
		return "RRSet with DNS name " + set.Name + " is not permitted in zone example.test."
	case len(slices.Compact(sorted)) < len(set.Values):
		return "Duplicate Resource Record: '" + set.Values[0] + "'"
	case slices.ContainsFunc(set.Values, func(v string) bool { return set.Type == "TXT" && !strings.HasPrefix(v, `"`) }):
		return "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks)'"
	case action == "DELETE" && (i < 0 || !slices.Equal(a.sets[i].Values, set.Values) || a.sets[i].TTL != set.TTL):
		return "Tried to delete resource record set [name='" + set.Name + "', type='TXT'] but the values provided do not match the current values"
	case action == "CREATE" && i >= 0:
		return "Tried to create resource record set [name='" + set.Name + "', type='TXT'] but it already exists"
	case action != "DELETE" && action != "CREATE": // an UPSERT would overwrite what others have written
		return "unexpected action " + action
	}
	return ""
}

func route53Solver(t *testing.T, changes map[string]string) *dcv.Solver {
	t.Helper()
	return solverOf(t, "route53", dcv.Settings{Values: changed(awsKey, changes)})
}

func TestRoute53PublishesBesideOthers(t *testing.T) {
	api := route53At(t)
	api.put(ownName, "TXT", `"`+foreign+`"`)
	publishesBesideOthers(t, route53Solver(t, nil), api.values)
	require.Equal(t, 300, api.sets[api.index(ownName, "TXT")].TTL, "of the set of somebody else")
}

func TestRoute53LeavesNoEmptySet(t *testing.T) {
	comesAndGoes(t, route53Solver(t, nil), route53At(t).values)
}

func TestRoute53UsesAZoneThatIsGivenByItsID(t *testing.T) {
	api := route53At(t)
	api.byID = true
	for _, id := range []string{"Z1EXAMPLE", "/hostedzone/Z1EXAMPLE", "hostedzone/Z1EXAMPLE"} {
		comesAndGoes(t, route53Solver(t, map[string]string{"hosted_zone_id": id}), api.values)
	}
}

func TestRoute53TakesManyAtOnce(t *testing.T) {
	takesManyAtOnce(t, route53Solver(t, nil), route53At(t).values)
}

func TestRoute53Refuses(t *testing.T) {
	api := route53At(t)
	secrets := []string{awsKey["secret_access_key"], awsKey["session_token"]}
	failsWithout(t, route53Solver(t, map[string]string{"secret_access_key": "wrong-secret"}), ours,
		"should have been x-amz-security-token:(secret)", append(secrets, "wrong-secret")...)
	away := dcv.Record{Name: "_challenge.example.org.", Zone: "example.org.", Value: "v"}
	failsWithout(t, route53Solver(t, nil), away, "there is no zone example.org under these credentials", secrets...)

	api.broken = true
	require.ErrorContains(t, route53Solver(t, nil).Publish(t.Context(), ours), "The request failed for another reason",
		"a refusal is only forgiven when the record is there")
}

func TestRoute53DoesNotGuessWhichZoneIsMeant(t *testing.T) {
	api := route53At(t)
	api.zones[2].private = false
	failsWithout(t, route53Solver(t, nil), ours, "hosted_zone_id: several public zones are named example.test (Z1EXAMPLE, Z2PRIVATE): say in which of them the records belong")
	api.zones[1].private, api.zones[2].private = true, true
	failsWithout(t, route53Solver(t, nil), ours, "hosted_zone_id: the only zones that are named example.test are private (Z0PRIVATE, Z1EXAMPLE, Z2PRIVATE), which no CA sees: say in which zone the records belong")
	comesAndGoes(t, route53Solver(t, map[string]string{"hosted_zone_id": "Z1EXAMPLE"}), api.values)
}

func TestRoute53DoesNotUndoWhatOthersWriteMeanwhile(t *testing.T) {
	api := route53At(t)
	solver := route53Solver(t, nil)
	put := func(values ...string) func() {
		return func() {
			if i := api.index(ownName, "TXT"); i >= 0 {
				api.sets = slices.Delete(api.sets, i, i+1)
			}
			api.put(ownName, "TXT", values...)
		}
	}
	api.meddle = put(`"of somebody" " else"`)
	require.NoError(t, solver.Publish(t.Context(), ours))
	require.Equal(t, route53Values{`"of somebody" " else"`, `"` + ours.Value + `"`}, api.sets[api.index(ownName, "TXT")].Values)
	api.meddle = put(`"`+ours.Value+`"`, `"another"`)
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.Equal(t, []string{"another"}, api.values())
}

func TestRoute53KnowsANameThatItSpellsInOctalDigits(t *testing.T) {
	api := route53At(t)
	odd := ours
	odd.Name = "_challenge.a+b.example.test."
	api.put(odd.Name, "TXT", `"`+foreign+`"`)
	require.NoError(t, route53Solver(t, nil).Publish(t.Context(), odd))
	require.Len(t, api.sets[api.index(odd.Name, "TXT")].Values, 2)
}

func TestRoute53LeavesARoutingPolicyAlone(t *testing.T) {
	api := route53At(t)
	api.add(route53Set{Name: ownName, Type: "TXT", TTL: 300, Values: []string{`"` + foreign + `"`}, Policy: "blue"})
	failsWithout(t, route53Solver(t, nil), ours, "the TXT records _challenge.www.example.test have a routing policy")
}

func TestRoute53ActsUnderTheIdentityOfTheServer(t *testing.T) {
	api := route53At(t)
	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/role" || r.Header.Get("Authorization") != "token of the container" {
			unexpected(t, w, r)
			return
		}
		writeJSON(w, 200, object{
			"AccessKeyId": api.key.AccessKeyID, "SecretAccessKey": api.key.SecretAccessKey, "Token": api.key.SessionToken,
			"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		})
	}))
	t.Cleanup(container.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.URL+"/role")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token of the container")
	comesAndGoes(t, solverOf(t, "route53", dcv.Settings{Ambient: true}), api.values)
}

func TestABrokenAWSConfigurationIsAnErrorUntilItIsMended(t *testing.T) {
	api := route53At(t)
	solver := solverOf(t, "route53", dcv.Settings{Ambient: true})
	t.Setenv("AWS_PROFILE", "of-nobody") // libdns's provider would end the process now
	failsWithout(t, solver, ours, "loading the AWS configuration of the server: failed to get shared config profile, of-nobody")
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_ACCESS_KEY_ID", api.key.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", api.key.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", api.key.SessionToken)
	comesAndGoes(t, solver, api.values)
}

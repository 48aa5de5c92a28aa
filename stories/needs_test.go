// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// fiveNames is a request with as many domains as a message asks about.
var fiveNames = map[string]any{"common_name": "a.example.com", "alt_names": "b.example.com,c.example.com,d.example.com,e.example.com"}

// uccRole writes a role for certificates of several names.
func (m *mount) uccRole() {
	m.t.Helper()
	m.write("roles/ucc", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "allow_any_name": true})
}

// slowChallenges has CERTInext take its time over every question of what to publish.
func slowChallenges(ca *certinexttest.Server) {
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpDCV, Kind: certinexttest.FaultLatency, Delay: 50 * time.Second})
}

func TestAChallengeThatTakesLongKeepsNobodyWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		again bool // the request is made a second time
		send  func(m *mount)
		most  time.Duration
	}{
		"a request that waits for its certificate":      {send: func(m *mount) { m.refused("issue/ucc", fiveNames) }, most: 10 * time.Second},
		"the same request again":                        {again: true, send: func(m *mount) { m.refused("issue/ucc", fiveNames) }, most: 10 * time.Second},
		"a request that wants its order placed":         {send: func(m *mount) { m.write("orders/ucc", fiveNames) }, most: time.Second},
		"a request for the order that was placed":       {again: true, send: func(m *mount) { m.write("orders/ucc", fiveNames) }, most: 6 * time.Second},
		"a request that had its order placed by a pass": {again: true, send: func(m *mount) { time.Sleep(time.Hour); m.pass() }, most: time.Hour + 6*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := new(certinexttest.Server)
				slowChallenges(ca)
				m := newMount(t, ca)
				m.uccRole()
				if c.again {
					m.write("orders/ucc", fiveNames)
				}
				begun := time.Now()
				c.send(m)
				require.LessOrEqual(t, time.Since(begun), c.most)
				who, needs := m.needs("ucc")
				require.Equal(t, "domain-owner", who)
				require.Contains(t, needs, "control of a.example.com, b.example.com, c.example.com, d.example.com, e.example.com has to be validated")
				require.Contains(t, needs, "/dcv shows what to publish")
			})
		})
	}
}

// A caller may have less patience than CERTInext: what it is told must not depend on the answer that is still out.
func TestWhoHangsUpWhileAChallengeIsAskedFindsWhereToLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := new(certinexttest.Server)
		slowChallenges(ca)
		m := newMount(t, ca)
		m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true, "issue_timeout": "1s"})
		text := m.refused("issue/web", www)
		require.Contains(t, text, "/dcv shows what to publish")
	})
}

// Placing asks nothing that can be asked later. The next request asks, and so does the background pass.
func TestWhatToPublishIsAskedAfterThePlacing(t *testing.T) {
	for name, next := range map[string]func(m *mount){
		"by the next request":    func(m *mount) { m.write("orders/web", www) },
		"by the background pass": func(m *mount) { time.Sleep(time.Hour); m.pass() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := new(certinexttest.Server)
				m := newMount(t, ca)
				m.write("orders/web", www)
				require.Zero(t, ca.Calls()[certinexttest.OpDCV])
				_, needs := m.needs("web")
				require.Contains(t, needs, "/dcv shows what to publish")
				next(m)
				require.Equal(t, 1, ca.Calls()[certinexttest.OpDCV])
				_, needs = m.needs("web")
				require.Contains(t, needs, "publish the TXT record")
			})
		})
	}
}

func TestWhatHasToBeCopiedIsWhole(t *testing.T) {
	label := strings.Repeat("a", 60) + "."
	for name, domain := range map[string]string{
		"two records of a long name":                strings.Repeat(label, 2) + "example.com",
		"a name that is almost as long as they get": strings.Repeat(label, 3) + "example.com",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.org"}})
				m.write("roles/web", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "allow_any_name": true})
				text := m.refused("issue/web", map[string]any{"common_name": "example.org", "alt_names": domain})
				_, needs := m.needs("web")
				id := m.list("orders/web")[0]
				challenges := m.must(call{op: logical.ReadOperation, path: "orders/web/" + id + "/dcv", data: map[string]any{"domain": domain}})
				token := challenges.Data["domains"].([]map[string]any)[0]["dns_value"].(string)
				for _, words := range []string{text, needs} {
					require.Contains(t, words, "control of "+domain+" has to be validated")
					require.Contains(t, words, "TXT record _emudhra-challenge."+domain+" and _emsign-validation."+domain+" with the value "+token+";")
				}
			})
		})
	}
}

// offer answers in CERTInext's place what to publish.
type offer struct {
	next http.RoundTripper
	body string
}

func (o offer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/dcv") {
		return o.next.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(o.body)), Request: r,
	}, nil
}

// What does not fit is not shown in part: somebody would copy it.
func TestWhatDoesNotFitIntoAMessageIsPointedTo(t *testing.T) {
	var mails []string
	for i := range 60 {
		mails = append(mails, fmt.Sprintf(`"postmaster-%d@example.com"`, i))
	}
	for name, c := range map[string]struct {
		method, body, part string
	}{
		"a token of several TXT strings": {"dns-txt", `{"token":"` + strings.Repeat("part", 75) + `"}`, "part"},
		"a long file":                    {"http-url", `{"fileName":"f","fileToken":"` + strings.Repeat("part", 75) + `"}`, "part"},
		"a file of several lines":        {"http-url", `{"fileName":"f","fileToken":"part\npart"}`, "part"},
		"an address that is too long":    {"email", `{"dcvEmails":["admin@example.com","` + strings.Repeat("part", 75) + `@example.com"]}`, "part"},
		"more addresses than one reads":  {"email", `{"dcvEmails":[` + strings.Join(mails, ",") + `]}`, "postmaster"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, new(certinexttest.Server))
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"dcv_method": c.method}})
				m.startWith(&http.Client{Transport: offer{next: m.ca.Client().Transport, body: c.body}})
				text := m.refused("issue/web", www)
				require.Contains(t, text, "control of www.example.com has to be validated: vault read certinext/orders/web/")
				require.Contains(t, text, "/dcv shows what to publish")
				require.NotContains(t, text, c.part)
			})
		})
	}
}

func TestTheMethodOfTodayIsWhatTheOrderShows(t *testing.T) {
	for name, look := range map[string]func(m *mount){
		"to the next request": func(m *mount) { m.write("orders/web", www) },
		"after the next pass": func(m *mount) { time.Sleep(time.Hour); m.pass() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := &certinexttest.Server{Dialect: certinexttest.Documented}
				m := newMount(t, ca)
				m.refused("issue/web", www)
				_, needs := m.needs("web")
				require.Contains(t, needs, "publish the TXT record")
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"dcv_method": "http-url"}})
				look(m)
				_, needs = m.needs("web")
				require.Contains(t, needs, "serve http://www.example.com/")
				require.NotContains(t, needs, "TXT")
			})
		})
	}
}

func TestAnOrderOfAnotherAccountWaitsForTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := new(certinexttest.Server)
		m := newMount(t, ca)
		m.refused("issue/web", www)
		const other = "2222222222"
		m.ca = &certinexttest.Server{AccountNumber: other}
		m.start()
		m.write("config", map[string]any{"client_id": other, "client_secret": certinexttest.DefaultClientSecret, "force": true})
		time.Sleep(time.Hour)
		m.pass()
		who, needs := m.needs("web")
		require.Contains(t, needs, "belongs to another CERTInext account")
		require.Equal(t, "operator", who)

		m.ca = ca
		m.start()
		m.write("config", m.account())
		time.Sleep(time.Hour)
		m.pass()
		who, needs = m.needs("web")
		require.Equal(t, "domain-owner", who)
		require.Contains(t, needs, "publish the TXT record")
	})
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

const (
	testAccessKey = "access-key+with/odd=chars"
	successV1     = `{"meta":{"ver":"1.0","status":"1","errorCode":"","errorMessage":""}}`
	createdV1     = `{"meta":{"status":"1"},"orderDetails":{"requestNumber":"2000000001","orderNumber":"1000000001"}}`
	trackedV1     = `{"meta":{"status":"1"},"orderDetails":{"orderStatusId":"2","certificateStatusId":"1",
		"requestorInformation":{"requestorEmail":"ops@example.com"}}}`
	burstV1 = `{"meta":{"status":"0","errorCode":"","errorMessage":"Inactive Account User."}}`
)

// newV1Rig returns a rig and a client of it that speaks version 1 and signs.
func newV1Rig(answer func(n int, r sent) (*http.Response, error)) (*rig, *certinext.Client) {
	g, c := newRig(answer)
	c.Version = certinext.V1
	c.Credentials = certinext.AccessKey{AccountNumber: "1234567890", AccessKey: testAccessKey}
	return g, c
}

func refusalV1(code, message string) string {
	b, _ := json.Marshal(map[string]any{"meta": map[string]string{"status": "0", "errorCode": code, "errorMessage": message}})
	return string(b)
}

// repeating answers with the transaction id of the request in meta, as version 1 does (documented
// samples).
func repeating(body string) func(int, sent) (*http.Response, error) {
	return func(_ int, r sent) (*http.Response, error) {
		var asked struct{ Meta signature }
		if err := json.Unmarshal([]byte(r.body), &asked); err != nil {
			return nil, err
		}
		return response(200, strings.Replace(body, `{"meta":{`, `{"meta":{"txn":"`+asked.Meta.Txn+`",`, 1)), nil
	}
}

// byVerb answers TrackOrder so that the requestor is known, and everything else with then.
func byVerb(then func(int, sent) (*http.Response, error)) func(int, sent) (*http.Response, error) {
	return func(n int, r sent) (*http.Response, error) {
		if strings.HasSuffix(r.path, "/TrackOrder") {
			return response(200, trackedV1), nil
		}
		return then(n, r)
	}
}

// A signature is what a request's meta holds.
type signature struct {
	Version       string `json:"ver"`
	TS            string `json:"ts"`
	Txn           string `json:"txn"`
	AccountNumber string `json:"accountNumber"`
	AuthKey       string `json:"authKey"`
}

func signatureOf(t testing.TB, r sent) signature {
	t.Helper()
	var body struct{ Meta *signature }
	require.NoError(t, json.Unmarshal([]byte(r.body), &body))
	require.NotNil(t, body.Meta)
	return *body.Meta
}

func TestV1EveryTryIsSignedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newV1Rig(inTurn(always(503, ``), broken, always(200, burstV1), always(200, successV1)))
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		calls, seen := g.sentCalls(), map[string]bool{}
		require.Len(t, calls, 4)
		for _, r := range calls {
			s := signatureOf(t, r)
			assert.Regexp(t, `^[0-9a-zA-Z]{10,50}$`, s.Txn)
			assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$`, s.TS)
			sum := sha256.Sum256([]byte(testAccessKey + s.TS + s.Txn))
			assert.Equal(t, hex.EncodeToString(sum[:]), s.AuthKey)
			assert.Equal(t, "1.0", s.Version)
			assert.Equal(t, "1234567890", s.AccountNumber)
			assert.False(t, seen[s.Txn], "a transaction id came twice")
			seen[s.Txn] = true
			assert.Empty(t, r.header.Get("Authorization"))
		}
		assert.NotEqual(t, signatureOf(t, calls[0]).TS, signatureOf(t, calls[3]).TS, "the time of the try, not of the call")
		assert.Zero(t, g.grantCount(), "a signed call needs no token")
	})
}

func TestV1WithAToken(t *testing.T) {
	var account func(int, sent) (*http.Response, error)
	answer := func(n int, r sent) (*http.Response, error) {
		if strings.HasSuffix(r.path, "/auth/me") {
			return account(n, r)
		}
		if r.header.Get("Authorization") == "Bearer token-1" {
			return response(401, ``), nil
		}
		return response(200, createdV1), nil
	}
	t.Run("the account is asked for once, and a dead token replaced", func(t *testing.T) {
		account = always(200, `{"accountNumber":"1234567890","authType":"oauth2"}`)
		g, c := newRig(answer)
		c.Version = certinext.V1
		for range 3 {
			_, err := c.Me(t.Context())
			require.NoError(t, err)
		}
		var verbs []string
		for _, r := range g.sentCalls() {
			verbs = append(verbs, r.path[strings.LastIndex(r.path, "/")+1:]+" "+r.header.Get("Authorization"))
			if strings.HasPrefix(r.path, "/emSign") {
				s := signatureOf(t, r)
				assert.Equal(t, "1234567890", s.AccountNumber)
				assert.Empty(t, s.AuthKey)
			}
		}
		assert.Equal(t, []string{
			"me Bearer token-1", "ValidateCredentials Bearer token-1", "ValidateCredentials Bearer token-2",
			"ValidateCredentials Bearer token-2", "ValidateCredentials Bearer token-2",
		}, verbs)
	})
	t.Run("a create is not sent again: version 1 refuses in its envelope", func(t *testing.T) {
		account = always(200, `{"accountNumber":"1234567890","authType":"oauth2"}`)
		g, c := newRig(answer)
		c.Version = certinext.V1
		_, err := c.CreateOrder(t.Context(), dvOrder())
		assert.True(t, asErr(t, err).Acted)
		assert.Len(t, g.sentCalls(), 2, "with the one for the account")
	})
	for name, tc := range map[string]func(int, sent) (*http.Response, error){
		"refused": always(404, `{"detail":"no such page"}`),
		"unnamed": always(200, `{"authType":"oauth2"}`),
		"hostile": always(200, `{"accountNumber":"1\" OR 1=1"}`),
		"lost":    broken,
	} {
		t.Run("an account that cannot be had: "+name, func(t *testing.T) {
			account = tc
			g, c := newRig(answer)
			c.Version, c.Retries = certinext.V1, -1
			_, err := c.CreateOrder(t.Context(), dvOrder())
			e := asErr(t, err)
			assert.True(t, e.SigningIn)
			assert.False(t, e.Acted, "the order was not sent")
			assert.False(t, certinext.HasStatus(err, 404, 422), "it says nothing of the order")
			assert.Contains(t, err.Error(), "placing order: signing in: ")
			assert.Len(t, g.sentCalls(), 1)
		})
	}
}

func TestV1ConcurrentCallsAskForTheAccountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(func(_ int, r sent) (*http.Response, error) {
			if strings.HasSuffix(r.path, "/auth/me") {
				time.Sleep(time.Second)
				return response(200, `{"accountNumber":"1234567890"}`), nil
			}
			return response(200, successV1), nil
		})
		c.Version = certinext.V1
		impatient, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		for range 5 {
			go func() {
				_, err := c.Me(t.Context())
				assert.NoError(t, err)
			}()
		}
		synctest.Wait()
		_, err := c.Me(impatient)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.True(t, asErr(t, err).SigningIn)
		time.Sleep(time.Minute)
		asked := 0
		for _, r := range g.sentCalls() {
			if strings.HasSuffix(r.path, "/auth/me") {
				asked++
			}
		}
		assert.Equal(t, 1, asked)
	})
}

func TestQuirk41BurstsAreOutlasted(t *testing.T) {
	create := func(ctx context.Context, c *certinext.Client) error {
		_, err := c.CreateOrder(ctx, dvOrder())
		return err
	}
	for name, body := range map[string]string{
		"by its words": burstV1, "by its code": refusalV1("EMS-1154", "Inactive Account User."),
		"without its full stop": refusalV1("", "inactive account user"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				times := []time.Time{}
				g, c := newV1Rig(func(n int, _ sent) (*http.Response, error) {
					times = append(times, time.Now())
					if n == 6 {
						return response(200, createdV1), nil
					}
					return response(200, body), nil
				})
				require.NoError(t, create(t.Context(), c), "nothing was created, so a create is sent again too")
				assert.Len(t, g.sentCalls(), 6)
				for i, want := range []time.Duration{1, 2, 4, 8, 16} {
					pause := times[i+1].Sub(times[i])
					assert.GreaterOrEqual(t, pause, want*time.Second*3/4)
					assert.LessOrEqual(t, pause, want*time.Second*5/4)
				}
			})
		})
	}
	t.Run("a user who is truly inactive is told so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for name, call := range map[string]func(context.Context, *certinext.Client) error{"create": create, "me": every["me"]} {
				g, c := newV1Rig(always(200, burstV1))
				e := asErr(t, call(t.Context(), c))
				assert.Len(t, g.sentCalls(), 6, name)
				assert.Equal(t, "Inactive Account User.", e.Detail)
				assert.Equal(t, 429, e.Status)
				assert.False(t, e.Acted)
				assert.NotContains(t, e.Error(), "429", "no such status was sent")
			}
		})
	})
	t.Run("no retries at all", func(t *testing.T) {
		g, c := newV1Rig(always(200, burstV1))
		c.Retries = -1
		require.Error(t, create(t.Context(), c))
		assert.Len(t, g.sentCalls(), 1)
	})
	t.Run("the caller's time is up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			g, c := newV1Rig(always(200, burstV1))
			e := asErr(t, create(ctx, c))
			assert.Equal(t, "Inactive Account User.", e.Detail)
			assert.False(t, e.Acted)
			assert.LessOrEqual(t, len(g.sentCalls()), 4)
		})
	})
	t.Run("a burst, and then an answer that is lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, c := newV1Rig(inTurn(always(200, burstV1), broken))
			e := asErr(t, create(t.Context(), c))
			assert.True(t, e.Acted)
			assert.Len(t, g.sentCalls(), 2, "the create that may have arrived is not sent again")
		})
	})
}

func TestV1RequestorIsAskedForOnce(t *testing.T) {
	g, c := newV1Rig(byVerb(always(200, successV1)))
	ctx := t.Context()
	require.NoError(t, c.SubmitCSR(ctx, certinext.FamilySSL, "7", "csr", false))
	require.NoError(t, everyV1["documents"](ctx, c))
	require.NoError(t, c.SubmitCSR(ctx, certinext.FamilySSL, "7", "csr", false))
	var verbs []string
	for _, r := range g.sentCalls() {
		verbs = append(verbs, strings.TrimPrefix(r.path, "/emSignHub-API/"))
	}
	assert.Equal(t, []string{"TrackOrder", "SubmitCSR", "TrackOrder", "SubmitDocument", "SubmitCSR"}, verbs)
	assert.Contains(t, g.sentCalls()[1].body, `"requestorEmail":"ops@example.com"`)

	t.Run("the one who places an order is known", func(t *testing.T) {
		g, c := newV1Rig(inTurn(always(200, createdV1), always(200, successV1)))
		_, err := c.CreateOrder(t.Context(), dvOrder())
		require.NoError(t, err)
		require.NoError(t, c.SubmitCSR(t.Context(), certinext.FamilySSL, "1000000001", "csr", false))
		assert.Contains(t, g.sentCalls()[1].body, `"requestorEmail":"ops@example.com"`)
	})
	t.Run("an order that is not there is not changed", func(t *testing.T) {
		g, c := newV1Rig(always(200, refusalV1("EMS-943", "Invalid Order ID.")))
		err := c.SubmitCSR(t.Context(), certinext.FamilySSL, "1", "csr", false)
		assert.True(t, certinext.HasStatus(err, 404))
		assert.False(t, certinext.MayHaveActed(err))
		assert.Contains(t, err.Error(), "submitting CSR: ")
		assert.Len(t, g.sentCalls(), 1)
	})
}

func TestV1SecretsAreNotShown(t *testing.T) {
	order := dvOrder()
	order.Organization = &certinext.OrganizationRef{Number: "4000001", ConsentToken: "c0nsent-t0ken-c0nsent"}
	echo := func(_ int, r sent) (*http.Response, error) {
		return response(200, refusalV1("EMS-1 "+signatureFrom(r).AuthKey, r.body+" "+testAccessKey+r.header.Get("Authorization"))), nil
	}
	_, c := newV1Rig(echo)
	_, err := c.CreateOrder(t.Context(), order)
	shown := fmt.Sprintf("%v %+v %#v", err, asErr(t, err), asErr(t, err))
	assert.NotContains(t, shown, testAccessKey)
	assert.NotContains(t, shown, "c0nsent-t0ken")
	assert.NotRegexp(t, `[0-9a-f]{64}`, shown, "the hash of the access key")
	assert.Contains(t, shown, "[redacted]")

	_, c = newRig(func(n int, r sent) (*http.Response, error) {
		if strings.HasSuffix(r.path, "/auth/me") {
			return response(200, `{"accountNumber":"1234567890"}`), nil
		}
		return echo(n, r)
	})
	c.Version = certinext.V1
	_, err = c.CreateOrder(t.Context(), order)
	shown = fmt.Sprintf("%v %+v %#v", err, asErr(t, err), c)
	assert.NotContains(t, shown, "token-1")
	assert.NotContains(t, shown, testSecret)
}

func signatureFrom(r sent) signature {
	var body struct{ Meta signature }
	_ = json.Unmarshal([]byte(r.body), &body)
	return body.Meta
}

func TestV1AddressHasItsRootOnce(t *testing.T) {
	for _, base := range []string{testBase, testBase + "/", testBase + "/emSignHub-API", testBase + "/emSignHub-API/"} {
		g, c := newV1Rig(always(200, successV1))
		c.BaseURL = base
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "/emSignHub-API/ValidateCredentials", g.sentCalls()[0].path)
	}
}

func TestUnknownVersionIsRefused(t *testing.T) {
	g, c := newRig(always(200, meBody))
	c.Version = 3
	_, err := c.Me(t.Context())
	var invalid *certinext.InvalidRequestError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "Version", invalid.Field)
	assert.Empty(t, g.sentCalls())
}

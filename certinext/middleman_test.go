// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A page is what somebody in between answers.
type page struct{ contentType, body string }

// pages are what gateways, filters, content networks and frameworks write in CERTInext's place, for
// a status.
func pages(status int) map[string]page {
	spring := fmt.Sprintf(`{"timestamp":"2026-05-12T13:00:00.000+00:00","status":%d,"error":"%s","message":"","path":"/api"}`,
		status, http.StatusText(status))
	return map[string]page{
		"an HTML page":              {"text/html", "<html><head><title>Request blocked</title></head></html>"},
		"an HTML page, called JSON": {"application/json", "<html></html>"},
		"a gateway's message":       {"application/json", `{"message":"Forbidden"}`},
		"nothing":                   {"", ""},
		"nothing, called a problem": {"application/problem+json", ""},
		"Spring":                    {"application/json", spring},
		"a sentence":                {"text/plain", "Access denied by policy. Reference EMS-915"},
		"a list":                    {"application/json", `["EMS-915"]`},
		"a network's problem": {"application/problem+json", fmt.Sprintf(
			`{"type":"https://network.example/errors/1015","title":"You are being rate limited","status":%d,"detail":"slow down"}`, status)},
		"a problem with another status": {"application/problem+json", problem(status+1, "[EMS-915] Invalid product code")},
		"a problem without words":       {"application/problem+json", fmt.Sprintf(`{"type":"about:blank","status":%d}`, status)},
		"OAuth":                         {"application/json", `{"error":"invalid_token","error_description":"The access token expired"}`},
	}
}

var refusals = []int{400, 401, 403, 404, 405, 409, 413, 422, 429}

// The order is taken, and somebody else's answer comes back: whatever it says, the order may exist.
// And it is sent once, after a 401 too.
func TestSandboxMiddlemenLeaveOrdersInDoubt(t *testing.T) {
	for _, status := range refusals {
		for name, p := range pages(status) {
			t.Run(fmt.Sprintf("%d, %s", status, name), func(t *testing.T) {
				eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
					c := sandbox(srv)
					srv.Inject(certinexttest.Fault{
						Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultMiddlemanAfter, Times: 1,
						Status: status, ContentType: p.contentType, Body: p.body,
					})
					_, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
					assert.True(t, certinext.MayHaveActed(err), "%v", err)
					assert.False(t, certinext.IsRefusal(err))
					assert.True(t, certinext.HasStatus(err, status), "the status is told as it came")
					require.Len(t, srv.Orders(), 1)
					assert.Equal(t, 1, srv.Calls()[certinexttest.OpCreateSSL])
				})
			})
		}
	}
}

// everyChange does what cannot be undone with the orders that it is given, by operation.
func everyChange(t *testing.T, c *certinext.Client, issued, held, draft string) map[string]func() error {
	return map[string]func() error{
		certinexttest.OpRevoke: func() error {
			_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, issued, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
			return err
		},
		certinexttest.OpCancel:      func() error { return c.CancelOrder(t.Context(), certinext.FamilySSL, held, "mistake") },
		certinexttest.OpCancelDraft: func() error { return c.CancelDraft(t.Context(), draft, "mistake") },
	}
}

// changeable returns an issued order, one that waits for an approval, and a draft.
func changeable(t *testing.T, srv *certinexttest.Server, c *certinext.Client) (issued, held, draft string) {
	place := func(change func(*certinext.OrderRequest)) *certinext.Order {
		r := completeOrder(t, srv)
		change(&r)
		o, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		return o
	}
	issued = place(func(*certinext.OrderRequest) {}).ID
	draft = place(func(r *certinext.OrderRequest) { r.SaveAsDraft, r.CSR = true, "" }).RequestID
	if srv.Dialect == certinexttest.Documented { // where an agreement stands apart
		require.NoError(t, c.AcceptAgreement(t.Context(), certinext.FamilySSL, issued, *completeOrder(t, srv).Agreement))
	}
	srv.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
	held = place(func(*certinext.OrderRequest) {}).ID
	return issued, held, draft
}

// What cannot be undone is neither taken for done nor for refused on somebody else's word. Where
// the order itself tells, it is asked, and told apart from another's.
func TestSandboxMiddlemenLeaveChangesInDoubt(t *testing.T) {
	for _, status := range refusals {
		for name, p := range pages(status) {
			for kind, done := range map[certinexttest.FaultKind]bool{
				certinexttest.FaultMiddleman: false, certinexttest.FaultMiddlemanAfter: true,
			} {
				if kind == certinexttest.FaultMiddlemanAfter && name != "a gateway's message" {
					continue // the shapes are all told before; this is about what is asked afterwards
				}
				t.Run(fmt.Sprintf("%d, %s, %s", status, name, kind), func(t *testing.T) {
					eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
						c := sandbox(srv)
						issued, held, draft := changeable(t, srv, c)
						for op, change := range everyChange(t, c, issued, held, draft) {
							srv.Inject(certinexttest.Fault{
								Operation: op, Kind: kind, Status: status, ContentType: p.contentType, Body: p.body,
							})
							err := change()
							srv.ClearFaults()
							asked := op != certinexttest.OpCancelDraft && (status == 404 || status == 409 || status == 422)
							if done && asked {
								assert.NoError(t, err, "%s: the order says that it is so", op)
								continue
							}
							require.Error(t, err, op)
							assert.True(t, certinext.MayHaveActed(err), "%s: %v", op, err)
							assert.False(t, certinext.IsRefusal(err), op)
						}
					})
				})
			}
		}
	}
}

// CERTInext's own refusals, in all of its dialects, are certain: what it refuses is neither bought
// nor ended.
func TestSandboxRefusalsAreCertain(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		c := sandbox(srv)
		certain := func(err error, what string) {
			t.Helper()
			assert.True(t, certinext.IsRefusal(err), "%s: %v", what, err)
			assert.False(t, certinext.MayHaveActed(err), "%s: %v", what, err)
		}
		for what, spoil := range map[string]func(r *certinext.OrderRequest){
			"an unknown product":   func(r *certinext.OrderRequest) { r.ProductCode = "999999" },
			"a CSR that is none":   func(r *certinext.OrderRequest) { r.CSR = "no CSR" },
			"an unknown group":     func(r *certinext.OrderRequest) { r.GroupNumber = "1" },
			"a CSR for a stranger": func(r *certinext.OrderRequest) { r.CSR = newCSR(t, "evil.example.com") },
		} {
			r := completeOrder(t, srv)
			spoil(&r)
			_, err := c.CreateOrder(t.Context(), r)
			certain(err, what)
		}
		assert.Empty(t, srv.Orders())

		issued, held, draft := changeable(t, srv, c)
		_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, held, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		certain(err, "revoking what is not issued")
		certain(c.CancelOrder(t.Context(), certinext.FamilySSL, issued, ""), "cancelling what is issued")
		certain(c.CancelDraft(t.Context(), held, ""), "a draft by an order's number")
		_, err = c.TrackOrder(t.Context(), certinext.FamilySSL, draft)
		certain(err, "an order by a draft's number")
		assert.True(t, certinext.IsRefusal(err, 404))
		if srv.Dialect != certinexttest.V1 {
			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultRateLimit, Operation: certinexttest.OpCreateSSL, Times: 1})
			_, err = c.CreateOrder(t.Context(), completeOrder(t, srv))
			certain(err, "a limit")
		}
	})
}

// The published shapes, word for word where they are published.
func TestRefusalsInPublishedShapes(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   bool
	}{
		"the published collection's": {422, `{"type":"https://api.certinext.io/errors/validation-failed","title":"Human-readable title",
			"status":422,"detail":"[EMS-918] Additional information cannot be empty","instance":"/api/certinext/v2/ssl-certificates",
			"errors":[{"field":"certificate.domain","message":"must not be blank"}]}`, true},
		"without a code": {422, `{"type":"https://api.certinext.io/errors/state","title":"Human-readable title","status":422,
			"detail":"Order not in a state that supports this operation","instance":"/api/certinext/v2/ssl-certificates/1/revoke"}`, true},
		"a token that is refused": {401, `{"type":"https://api.certinext.io/errors/unauthorized","title":"Unauthorized","status":401,
			"detail":"Missing or invalid Bearer token","code":"unauthorized"}`, true},
		"a status in quotes":            {404, `{"title":"Not Found","status":"404","detail":"Order not found"}`, true},
		"a domain's code":               {422, `{"title":"Unprocessable Entity","detail":"EMS-DOMAIN-001 CAA record blocks issuance"}`, true},
		"Spring with a code":            {422, `{"timestamp":"2026","status":422,"error":"x","message":"[EMS-915] Invalid product code","path":"/"}`, true},
		"the documented token envelope": {422, `{"meta":{"status":"0","errorCode":"EMS-2007","errorMessage":"no key"}}`, true},
		"a code of the server's own":    {422, problem(422, "[EMS-939] Something went wrong"), false},
		"a code of a request before":    {422, problem(422, "[EMS-947] Duplicate request Txn"), false},
		"a conflict of keys":            {409, problem(409, "Idempotency-Key was used before with a different body"), false},
		"a failure":                     {500, problem(500, "[EMS-915] Invalid product code"), false},
		"not wired":                     {501, problem(501, "Use v1"), false},
		"half of it":                    {422, `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"[EMS-9`, false},
		"a type that is no URL":         {422, `{"type":"://","title":"x","status":422,"detail":"y"}`, false},
		"somebody else's type":          {422, `{"type":"https://certinext.io.evil.example/errors/x","title":"x","status":422,"detail":"y"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(tc.status, tc.body, "Content-Type", "application/problem+json"))
			c.Retries = -1
			for what, call := range every {
				err := call(t.Context(), c)
				require.Error(t, err, what)
				if what == "me" || what == "track" {
					assert.False(t, certinext.MayHaveActed(err), "%s changes nothing", what)
					continue
				}
				assert.Equal(t, !tc.want, certinext.MayHaveActed(err), "%s: %v", what, err)
			}
			_, err := c.ReissueOrder(t.Context(), certinext.FamilySSL, "1", certinext.ReissueRequest{CSR: "csr"})
			require.Error(t, err)
			assert.Equal(t, !tc.want, certinext.MayHaveActed(err), "reissue: %v", err)
			promotion := dvOrder()
			promotion.RequestID = "2000000001"
			_, err = c.CreateOrder(t.Context(), promotion)
			require.Error(t, err)
			assert.Equal(t, !tc.want, certinext.MayHaveActed(err), "promotion: %v", err)
		})
	}
}

func TestVersion1RefusesInItsEnvelopeOnly(t *testing.T) {
	refusal := refusalV1("EMS-918", "Additional Information cannot be empty.")
	for status, certain := range map[int]bool{200: true, 201: false, 400: false, 401: false, 404: false, 422: false, 429: false} {
		_, c := newV1Rig(always(status, refusal))
		_, err := c.CreateOrder(t.Context(), dvOrder())
		require.Error(t, err)
		assert.Equal(t, !certain, certinext.MayHaveActed(err), "status %d", status)
		assert.Equal(t, certain, certinext.IsRefusal(err), "status %d", status)
	}
}

// What CERTInext's word would settle, somebody else's does not.
func TestNoDecisionOnSomebodyElsesWord(t *testing.T) {
	t.Run("the other spelling of a reason", func(t *testing.T) {
		for name, p := range pages(400) {
			g, c := newRig(always(400, p.body, "Content-Type", p.contentType))
			_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
			require.Error(t, err, name)
			assert.True(t, certinext.MayHaveActed(err), name)
			assert.Len(t, g.sentCalls(), 1, name)
		}
	})
	t.Run("cancelled already", func(t *testing.T) {
		const already = "This Order was already cancelled"
		_, c := newV1Rig(byVerb(always(200, refusalV1("EMS-985", already))))
		require.NoError(t, every["cancel"](t.Context(), c))
		_, c = newV1Rig(byVerb(always(400, refusalV1("EMS-985", already))))
		assert.Error(t, every["cancel"](t.Context(), c))
	})
	t.Run("verified already", func(t *testing.T) {
		_, c := newRig(refuses(422, "[EMS-1080] Domain already verified"))
		require.NoError(t, every["verify"](t.Context(), c))
		for _, body := range []string{"EMS-1080", `["EMS-1080"]`, `<html>EMS-1080</html>`} {
			_, c = newRig(always(422, body))
			assert.Error(t, every["verify"](t.Context(), c), body)
			_, err := c.DCVChallenge(t.Context(), "1", "example.com", certinext.DCVMethodDNS)
			assert.Error(t, err, body)
		}
	})
}

func TestIsRefusal(t *testing.T) {
	own := &certinext.Error{Status: 404, Own: true}
	assert.True(t, certinext.IsRefusal(fmt.Errorf("tracking: %w", own)))
	assert.True(t, certinext.IsRefusal(own, 409, 404))
	assert.False(t, certinext.IsRefusal(own, 422))
	assert.False(t, certinext.IsRefusal(&certinext.Error{Status: 404}), "somebody in between")
	assert.False(t, certinext.IsRefusal(&certinext.Error{Status: 503, Own: true}), "a failure")
	assert.False(t, certinext.IsRefusal(&certinext.Error{Status: 401, Own: true, SigningIn: true}), "of the credentials")
	assert.False(t, certinext.IsRefusal(errBroken))
	assert.False(t, certinext.IsRefusal(nil))
}

// A create is sent again after CERTInext's own 401 and no other; a read and a change are sent once
// more after any.
func TestOnlyOwn401sRepeatACreate(t *testing.T) {
	reissue := func(ctx context.Context, c *certinext.Client) error {
		_, err := c.ReissueOrder(ctx, certinext.FamilySSL, "1", certinext.ReissueRequest{CSR: "csr"})
		return err
	}
	promotion := func(ctx context.Context, c *certinext.Client) error {
		r := dvOrder()
		r.RequestID = "2000000001"
		_, err := c.CreateOrder(ctx, r)
		return err
	}
	once := map[string]func(context.Context, *certinext.Client) error{
		"create": every["create"], "reissue": reissue, "promotion": promotion,
	}
	for shape, p := range pages(401) {
		for name, call := range once {
			g, c := newRig(always(401, p.body, "Content-Type", p.contentType, "WWW-Authenticate", `Bearer error="invalid_token"`))
			err := call(t.Context(), c)
			require.Error(t, err)
			assert.True(t, certinext.MayHaveActed(err), "%s, %s", name, shape)
			assert.Len(t, g.sentCalls(), 1, "%s, %s", name, shape)
		}
		for name, call := range every {
			if name == "create" {
				continue
			}
			g, c := newRig(func(n int, r sent) (*http.Response, error) {
				if n == 1 {
					return response(401, p.body, "Content-Type", p.contentType), nil
				}
				return done(n, r)
			})
			assert.NoError(t, call(t.Context(), c), "%s, %s", name, shape)
			assert.Len(t, g.sentCalls(), 2, "%s, %s", name, shape)
			assert.Equal(t, 2, g.grantCount(), "with a fresh token")
		}
	}
}

// A change whose first try somebody in between cut off may have taken effect, whatever CERTInext
// says to the second.
func TestARefusalDoesNotUndoAnEarlierDoubt(t *testing.T) {
	later := map[string]func(int, sent) (*http.Response, error){
		"is refused":           refuses(403, "Caller lacks permission"),
		"is refused once more": always(401, ``),
		"is lost":              broken,
	}
	for first, answer := range map[string]func(int, sent) (*http.Response, error){"401": always(401, ``), "429": always(429, ``)} {
		for second, then := range later {
			synctest.Test(t, func(t *testing.T) {
				g, c := newRig(inTurn(answer, then))
				err := every["revoke"](t.Context(), c)
				require.Error(t, err)
				assert.True(t, certinext.MayHaveActed(err), "after %s the second try %s", first, second)
				assert.GreaterOrEqual(t, len(g.sentCalls()), 2)
			})
		}
		synctest.Test(t, func(t *testing.T) {
			g, c := newRig(inTurn(refuses(401, "Missing or invalid Bearer token"), refuses(403, "Caller lacks permission")))
			err := every["revoke"](t.Context(), c)
			assert.False(t, certinext.MayHaveActed(err), "both refusals are CERTInext's")
			assert.Len(t, g.sentCalls(), 2)
		})
	}
	t.Run("nor does a token that cannot be had", func(t *testing.T) {
		g, c := newRig(always(401, ``))
		c.Retries = -1
		g.token = func(n int, _ context.Context) (*http.Response, error) {
			if n == 1 {
				return response(200, grantBody("t", "3600")), nil
			}
			return response(503, ``), nil
		}
		err := every["revoke"](t.Context(), c)
		assert.True(t, certinext.MayHaveActed(err))
		assert.True(t, asErr(t, err).SigningIn)
	})
}

// A token near its end is renewed before an order is placed with it: the 401 of one that has just
// died may be anybody's.
func TestCreatesDoNotUseADyingToken(t *testing.T) {
	for name, tc := range map[string]struct {
		life          string
		used, renewed time.Duration // ages at which a create takes it, and at which it does not
	}{
		"an hour":     {"3600", 53 * time.Minute, 55 * time.Minute},
		"two minutes": {"120", 25 * time.Second, 35 * time.Second},
		"a second":    {"1", 10 * time.Second, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			for age, grants := range map[time.Duration]int{tc.used: 1, tc.renewed: 2} {
				synctest.Test(t, func(t *testing.T) {
					g, c := newRig(done)
					g.token = func(int, context.Context) (*http.Response, error) {
						return response(200, grantBody("t", tc.life)), nil
					}
					require.NoError(t, every["me"](t.Context(), c))
					time.Sleep(age)
					require.NoError(t, every["create"](t.Context(), c))
					assert.Equal(t, grants, g.grantCount(), "at the age of %v", age)
				})
			}
		})
	}
}

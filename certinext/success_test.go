// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// noSuccesses are answers with a successful status that say nothing of what CERTInext did.
var noSuccesses = map[string]page{
	"a sentence":            {"text/plain", "Access denied by policy"},
	"an error":              {"application/json", `{"status":"error"}`},
	"good news of nobody's": {"application/json", `{"status":"ok"}`},
	"version 1's failure":   {"application/json", `{"meta":{"status":"0","errorCode":"EMS-943","errorMessage":"Invalid Order ID."}}`},
	"version 1's failure with the order": {
		"application/json", `{"orderId":"1","requestId":"1","meta":{"status":"0","errorCode":"EMS-943","errorMessage":"Invalid"}}`,
	},
	"a problem":             {"application/problem+json", problem(403, "Caller lacks permission")},
	"a page":                {"text/html", `<!DOCTYPE html><html><title>Sign in</title></html>`},
	"a page, called JSON":   {"application/json", `<html></html>`},
	"nothing":               {"", ""},
	"an empty object":       {"application/json", `{}`},
	"a list":                {"application/json", `[{"orderId":"1"}]`},
	"null":                  {"application/json", `null`},
	"another order":         {"application/json", `{"orderId":"2","requestId":"2"}`},
	"the order, in trouble": {"application/json", `{"orderId":"1","requestId":"1","status":"error"}`},
	"the order, an error":   {"application/json", `{"orderId":"1","requestId":"1","error":"Forbidden"}`},
	"half an object":        {"application/json", `{"orderId":"1"`},
}

// changes are the calls of which only success or failure matters.
var changes = []string{"csr", "agreement", "cancel", "cancel draft", "revoke", "verify"}

func TestQuirk34SuccessesAreCERTInextsOwn(t *testing.T) {
	for _, name := range changes {
		call := every[name]
		_, c := newRig(always(204, ``))
		assert.NoError(t, call(t.Context(), c), "%s: 204 is documented", name)
		for what, p := range noSuccesses {
			for _, status := range []int{200, 201, 202, 203, 205, 206, 226} {
				_, c := newRig(always(status, p.body, "Content-Type", p.contentType))
				err := call(t.Context(), c)
				e := asErr(t, err)
				assert.True(t, e.Acted, "%s, %s, status %d", name, what, status)
				assert.False(t, e.Own)
				assert.Equal(t, status, e.Status)
				assert.False(t, certinext.IsRefusal(err))
			}
		}
	}
	t.Run("a gateway's page is told by its title", func(t *testing.T) {
		_, c := newRig(always(200, `<!DOCTYPE html><html><title>Sign in</title></html>`, "Content-Type", "text/html"))
		for _, name := range changes {
			assert.ErrorContains(t, every[name](t.Context(), c), `an HTML page titled "Sign in"`, name)
		}
	})
	t.Run("JSON that names the order is observed now and then", func(t *testing.T) {
		for name, body := range map[string]string{
			"csr":          `{"orderId":"1","requestId":"9","status":"pending-approval"}`,
			"agreement":    `{"orderNumber":1}`,
			"cancel":       `{"orderId":"1","status":"CANCELLED"}`,
			"cancel draft": `{"requestId":"1","status":"cancelled"}`,
			"revoke":       `{"orderId":"1","status":"revoked"}`,
			"verify":       `{"overallStatus":"VERIFIED"}`,
		} {
			for _, status := range []int{200, 201, 202} {
				_, c := newRig(always(status, body))
				assert.NoError(t, every[name](t.Context(), c), "%s, status %d", name, status)
			}
			_, c := newRig(always(207, body))
			assert.True(t, asErr(t, every[name](t.Context(), c)).Acted, "%s: nobody has seen a 207", name)
		}
	})
	t.Run("unless it says that something else became of it", func(t *testing.T) {
		for name, body := range map[string]string{
			"cancel": `{"orderId":"1","status":"issued"}`, "revoke": `{"orderId":"1","status":"issued"}`,
			"cancel draft": `{"requestId":"1","status":"pending-csr"}`,
		} {
			_, c := newRig(always(200, body))
			assert.True(t, asErr(t, every[name](t.Context(), c)).Acted, name)
		}
	})
	t.Run("what it was is lost with its body", func(t *testing.T) {
		_, c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "500") })
		for _, name := range changes {
			assert.True(t, asErr(t, every[name](t.Context(), c)).Acted, name)
		}
		_, c = serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		assert.NoError(t, every["csr"](t.Context(), c))
	})
}

// The change is answered by somebody in between, and CERTInext has not heard of it: it is neither done nor refused.
func TestSandboxSuccessesOfMiddlemenAreDoubt(t *testing.T) {
	for what, p := range noSuccesses {
		for _, status := range []int{200, 202} {
			t.Run(fmt.Sprintf("%s, %d", what, status), func(t *testing.T) {
				eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
					c := sandbox(srv)
					issued, held, draft := changeable(t, srv, c)
					for op, change := range everyChange(t, c, issued, held, draft) {
						srv.Inject(certinexttest.Fault{
							Operation: op, Kind: certinexttest.FaultMiddleman, Times: 1, Status: status, ContentType: p.contentType, Body: p.body,
						})
						err := change()
						if srv.Dialect == certinexttest.V1 && strings.HasPrefix(what, "version 1's failure") && status == 200 {
							assert.True(t, certinext.IsRefusal(err), "that is version 1's own shape")
							continue
						}
						assert.True(t, certinext.MayHaveActed(err), "%s: %v", op, err)
						require.Error(t, err, op)
					}
					o, _ := srv.Order(issued)
					assert.Empty(t, o.RevokeReason, "the certificate is in use")
				})
			})
		}
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxBody caps a request body that holds no files; beyond it the answer is 413.
const maxBody = 1 << 20

// A call is one request on its way through the server.
type call struct {
	route   *route
	params  map[string]string
	r       *http.Request
	query   map[string][]string
	body    []byte
	now     time.Time
	dialect Dialect
	resets  int // of the server when the call came
	faults  drawnFaults
	meta    wireV1Meta // of a call of version 1
	// admitted calls have shown their credentials and speak the operation's language.
	admitted bool
}

// param returns a path parameter.
func (c *call) param(name string) string { return c.params[name] }

// arg returns the first value of a query parameter, or "".
func (c *call) arg(name string) string {
	if v := c.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// live reports whether the call is answered in the live dialect.
func (c *call) live() bool { return c.dialect != Documented }

// readBody takes the whole request body before any lock is held.
func (c *call) readBody() *problem {
	if c.r.Body == nil {
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, orDefault(c.route.maxBody, maxBody)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge()
	case err != nil:
		return malformed("request body could not be read")
	}
	c.body = body
	return nil
}

// checkTransport refuses headers and parameters that no operation takes.
func (c *call) checkTransport() *problem {
	for name, values := range c.query {
		if !slices.Contains(c.route.query, name) {
			return invalidField(name, "unknown query parameter")
		}
		if len(values) > 1 {
			return invalidField(name, "query parameter given twice")
		}
	}
	if !c.route.formats && !accepts(c.r, "application/json") {
		return notAcceptable()
	}
	if !c.route.body || c.withoutBody() {
		return nil
	}
	if problem := c.checkContentType(); problem != nil {
		return problem
	}
	return c.checkOrderHeaders()
}

// withoutBody reports whether the caller has left a body out that may be missing:
// cancel and reject were seen live without one. Published is a mandatory reason.
func (c *call) withoutBody() bool {
	return c.route.bodiless && c.live() && len(c.body) == 0
}

func (c *call) checkContentType() *problem {
	mediaType, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return unsupportedMediaType()
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return unsupportedMediaType()
	}
	return nil
}

// checkOrderHeaders asks for the headers that the published collection sends
// and the live service can do without.
func (c *call) checkOrderHeaders() *problem {
	if c.live() {
		return nil
	}
	if c.route.creates && c.r.Header.Get("X-Product-Code") == "" {
		return invalidField("X-Product-Code", "required header is missing")
	}
	if c.route.keyed && c.r.Header.Get("Idempotency-Key") == "" {
		return invalidField("Idempotency-Key", "required header is missing")
	}
	return nil
}

// baseURL is the public address that the caller used.
func (c *call) baseURL() string { return baseURL(c.r) }

// baseURL is where a caller that names no host, as HTTP/1.0 may, has found this server.
func baseURL(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if local, connected := r.Context().Value(http.LocalAddrContextKey).(net.Addr); connected {
		host = orDefault(host, local.String())
	}
	return scheme + "://" + host
}

// A reply is a whole answer, kept in memory until it is certain that it goes
// out as it is.
type reply struct {
	status      int
	contentType string
	header      http.Header
	body        []byte
	foreign     bool // a gateway's, not CERTInext's
}

// noContent is the 204 that most state changes answer with.
func noContent() (reply, *problem) { return reply{status: http.StatusNoContent}, nil }

// respond marshals v as the body of an answer.
func respond(status int, v any) (reply, *problem) {
	return jsonReply(status, "application/json", v), nil
}

func jsonReply(status int, contentType string, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic("certinexttest: internal error: " + err.Error())
	}
	return reply{status: status, contentType: contentType, body: body}
}

// writeHeader sends everything of p but its body. The three headers were
// observed on live answers of version 2.
func (p reply) writeHeader(w http.ResponseWriter) {
	h := w.Header()
	for k, v := range p.header {
		h[k] = v
	}
	if p.foreign {
		h["Content-Type"] = nil // none is guessed, either
		if p.contentType != "" {
			h.Set("Content-Type", p.contentType)
		}
		w.WriteHeader(p.status)
		return
	}
	if h.Get("Deprecation") == "" {
		h.Set("X-API-Version", "2.0.0")
	}
	h.Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
	if p.contentType != "" {
		h.Set("Content-Type", p.contentType)
	}
	w.WriteHeader(p.status)
}

// write sends p. An error means that the caller is gone, which is theirs to
// notice.
func (p reply) write(w http.ResponseWriter) {
	p.writeHeader(w)
	_, _ = w.Write(p.body)
}

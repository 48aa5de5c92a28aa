// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A wire is the connection of a process to CERTInext. A request waits for its turn before it
// reaches CERTInext, and its answer waits again before it reaches the process.
type wire struct {
	world *world
	proc  *process
}

var markerText = regexp.MustCompile(`vault-order:[0-9a-z-]+`)

// RoundTrip sends a request to CERTInext and returns its answer, unless the scheduler decides
// otherwise.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if w.proc.dead.Load() {
		return nil, errGone
	}
	ctx, name := req.Context(), operationOf(req)
	body, err := bodyOf(req)
	if err != nil {
		return nil, err
	}
	marker := ""
	if strings.HasPrefix(name, "create-") {
		marker = markerText.FindString(string(body))
		w.world.books.attempted(marker, "", callOf(ctx))
	}
	watchConduct(w.world, callOf(ctx), name)
	watchApproval(w.world, callOf(ctx), name, marker)
	watchNeighbours(w.world, name, req.URL.Path+string(body), nil)
	watchHold(w.world, w.proc, callOf(ctx), name)
	watchPortal(w.world, name, req.URL.Path+string(body))
	watchUnknown(w.world, name, req.URL.Path+string(body))
	watchRevocation(w.world, callOf(ctx), name, req.URL.Path+string(body))
	out := &operation{ctx: ctx, actor: actorOf(ctx), what: "> " + name, proc: w.proc}
	w.world.wireCalls.Add(1)
	v := w.world.sched.park(out)
	if name == "orders-report" && (v != goOn || out.answer != "") {
		w.world.noReport()
	}
	switch {
	case v == gone:
		return nil, errGone
	case v == left:
		return nil, context.Cause(ctx)
	case v == failBefore:
		return nil, fmt.Errorf("the connection was refused: %w", io.ErrUnexpectedEOF)
	case out.answer != "":
		return w.world.middleman(req, out.answer, nil), nil
	case v != goOn: // the request arrives, but its answer is lost
		_, _ = w.pass(req, body, name)
		w.arrived(marker, callOf(ctx))
		if v == goneAfter {
			return nil, errGone
		}
		return nil, context.Cause(ctx)
	}
	resp, err := w.pass(req, body, name)
	w.arrived(marker, callOf(ctx))
	if err != nil {
		return nil, err
	}
	back := &operation{
		ctx: ctx, actor: actorOf(ctx),
		what: "< " + name + " " + strconv.Itoa(resp.StatusCode), proc: w.proc,
	}
	v = w.world.sched.park(back)
	if name == "orders-report" && (v != goOn || back.answer != "") {
		w.world.noReport()
	}
	switch {
	case v == gone, v == goneAfter:
		return nil, errGone
	case v == left, v == leftAfter:
		return nil, context.Cause(ctx)
	case v != goOn:
		return nil, fmt.Errorf("the connection broke: %w", io.ErrUnexpectedEOF)
	case back.answer != "":
		return w.world.middleman(req, back.answer, resp), nil
	}
	return resp, nil
}

// noReport records that CERTInext's records could not be read: the engine then has to rely on an
// operator's word.
func (w *world) noReport() { w.reportAway = time.Now() }

// isReport reports whether an answer may be a page of the orders report. It leaves the body
// readable.
func isReport(resp *http.Response) bool {
	if resp == nil || resp.StatusCode != http.StatusOK {
		return false
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil && json.Valid(body) && !bytes.Contains(body, []byte(`"status":"0"`))
}

func bodyOf(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	return io.ReadAll(req.Body)
}

// pass forwards the request to CERTInext, whose own faults apply there.
func (w *wire) pass(req *http.Request, body []byte, name string) (*http.Response, error) {
	out := req.Clone(req.Context())
	if body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	to := serverFor(w.world, req, body)
	resp, err := to.Client().Transport.RoundTrip(out)
	noteToken(w.world, to, resp)
	watchOtherKey(w.world, to, name, req.URL.Path+string(body), resp)
	if name == "orders-report" && !isReport(resp) {
		w.world.noReport()
	}
	w.world.sched.trace.note(name, resp)
	return resp, err
}

func (w *wire) arrived(marker string, by *call) {
	if marker != "" {
		w.world.books.arrived(marker, by)
	}
}

var v1Names = map[string]string{
	"ValidateCredentials":     "me",
	"GenerateOrderSSL":        "create-ssl",
	"GenerateOrderPrivatePKI": "create-private-pki",
	"TrackOrder":              "track",
	"GetDcv":                  "dcv",
	"VerifyDcv":               "verify-dcv",
	"SubmitCSR":               "submit-csr",
	"AgreementAcceptance":     "agreement",
	"GetCertificate":          "certificate",
	"RevokeOrder":             "revoke",
	"RejectOrder":             "cancel",
	"RejectRequest":           "cancel-draft",
	"GetOrderReport":          "orders-report",
	"GetProductDetails":       "products",
}

var familyPath = regexp.MustCompile(`/(ssl|private-pki)-certificates(?:/([^/]+))?(?:/(.+))?$`)

// operationOf returns the operation of a request, named as in the simulator's faults.
func operationOf(req *http.Request) string {
	path := req.URL.Path
	last := path[strings.LastIndex(path, "/")+1:]
	if name := v1Names[last]; name != "" {
		return name
	}
	if m := familyPath.FindStringSubmatch(path); m != nil {
		switch {
		case m[2] == "":
			return "create-" + m[1]
		case m[2] == "requests":
			return "cancel-draft"
		case m[3] == "":
			return "track"
		}
		return strings.ReplaceAll(m[3], "dcv/verify", "verify-dcv")
	}
	switch {
	case strings.HasSuffix(path, "/oauth/token"):
		return "token"
	case strings.HasSuffix(path, "/reports/orders"):
		return "orders-report"
	case strings.HasSuffix(path, "/catalog/products"):
		return "products"
	}
	return last
}

// A middleman is something that answers in CERTInext's place: a gateway, a proxy, a firewall.
var middlemen = map[string]struct {
	status int
	kind   string
	body   string
}{
	"denied-200":  {200, "text/html", "<html><body>Access denied by policy</body></html>"},
	"text-200":    {200, "text/plain", "Access denied by policy"},
	"error-200":   {200, "application/json", `{"status":"error","message":"upstream failed"}`},
	"expired-200": {200, "application/json", `{"status":"expired","message":"session expired"}`},
	"empty-202":   {202, "application/json", ""},
	"empty-204":   {204, "", ""},
	"html-403":    {403, "text/html", "<html><body>403 Forbidden</body></html>"},
	"json-403":    {403, "application/json", `{"message":"Forbidden"}`},
	"html-404":    {404, "text/html", "<html><body>404 Not Found</body></html>"},
	"json-404":    {404, "application/json", `{"message":"no route matched"}`},
	"html-400":    {400, "text/html", "<html><body>400 Bad Request</body></html>"},
	"html-401":    {401, "text/html", "<html><body>401 Authorization Required</body></html>"},
	"json-422":    {422, "application/json", `{"message":"unprocessable"}`},
	"html-429":    {429, "text/html", "<html><body>slow down</body></html>"},
	"html-503":    {503, "text/html", "<html><body>503 Service Unavailable</body></html>"},
}

// middleman returns the answer of a middleman. CERTInext's own answer, if any, is lost.
func (w *world) middleman(req *http.Request, name string, swallowed *http.Response) *http.Response {
	if swallowed != nil {
		_ = swallowed.Body.Close()
	}
	m := middlemen[name]
	header := http.Header{}
	if m.kind != "" {
		header.Set("Content-Type", m.kind)
	}
	return &http.Response{
		Status:        strconv.Itoa(m.status) + " " + http.StatusText(m.status),
		StatusCode:    m.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(strings.NewReader(m.body)),
		ContentLength: int64(len(m.body)),
		Request:       req,
	}
}

// newCA returns a CERTInext with the manners of a history.
func (w *world) newCA(m Manners) *certinexttest.Server {
	ca := &certinexttest.Server{
		Dialect:         m.Dialect,
		VerifiedDomains: []string{"example.com"},
		IssueDelay:      m.IssueDelay,
		PEMLag:          m.PEMLag,
		ReportDelay:     m.ReportDelay,
		ReportOrder:     m.ReportOrder,
		ReportPageSize:  m.ReportPage,
		SingleToken:     m.SingleToken,
		HoldForApproval: m.Approval,
		TokenTTL:        m.TokenTTL,
		Idempotency:     m.Idempotency,
		NewKeysOnly:     m.NewKeysOnly,
		IssuedBeforeCSR: m.EarlyIssued,
		OrderSuffix:     m.OrderSuffix,
		Unknowns: certinexttest.Unknowns{
			NumericIDs: m.NumericIDs, CapitalStatuses: m.Capitals, Timestamps: m.Timestamps,
			ReportDays: m.ReportDays,
		},
		// Two months of a wrong clock, or of waiting, are to outlive a certificate.
		CertificateLifetime: certificateLife,
		Resolver:            "127.0.0.1:9",
		CAA:                 certinexttest.CAAPolicy{Lookups: certinexttest.CAANever},
		BaseURL:             caURL,
		Now: func() time.Time {
			return time.Now().Add(time.Duration(w.caAhead.Load()))
		},
	}
	putPrices(ca, m)
	return ca
}

// certificateLife is how long certificates live in these histories.
const certificateLife = 30 * 24 * time.Hour

const caURL = "https://sandbox.certinext.test"

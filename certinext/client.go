// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	defaultTimeout       = 60 * time.Second
	defaultCreateTimeout = 180 * time.Second
	defaultRetries       = 4
	defaultUserAgent     = "certinext-go"

	apiRoot = "/api/certinext/v2"
)

// A Client calls CERTInext. BaseURL and Credentials are needed, every other field has a useful zero
// value. Making a Client touches no network.
//
// A Client is safe for concurrent use. Its fields must not change after the first call, and it must
// not be copied then; calls that share a Client share its token.
type Client struct {
	// BaseURL is the environment's address, e.g. https://us-api.certinext.io. It must be https,
	// except for loopback hosts. A trailing "/" and a trailing "/emSignHub-API", which ends the
	// address of version 1, are ignored.
	BaseURL string

	// Credentials is an [OAuth] or an [AccessKey].
	Credentials Credentials

	// Version is the version of the API that is spoken, [V2] when zero. A call that only the other
	// version serves goes there in any case: [Client.SubmitDocuments], and [Client.OrdersReport]
	// with an [AccessKey].
	Version APIVersion

	// HTTPClient makes the requests. If nil, a private client with bounded connections and times is
	// used. Redirects are never followed, and a given client's own Timeout is replaced by the two
	// below: with a shorter one, creates would be given up that CERTInext still carries out.
	HTTPClient *http.Client

	// UserAgent is sent with every request. If empty, it is "certinext-go".
	UserAgent string

	// Timeout bounds each try of every call but a create. If zero, it is 60 seconds.
	Timeout time.Duration

	// CreateTimeout bounds a create, which was observed to take more than 100 seconds. If zero, it
	// is 180 seconds.
	CreateTimeout time.Duration

	// Limiter, if not nil, is asked before every request, the token's included. CERTInext's own
	// limits are not known.
	Limiter *rate.Limiter

	// Retries is how many further tries a read gets after a failure that may pass, and any other
	// call but a create where CERTInext certainly did nothing. If zero, it is 4; if negative, there
	// are none.
	Retries int

	// BeforeChange, if not nil, is asked before every call that changes something at CERTInext.
	// Its error ends the call, which is not sent then: [Error.Err] is that error. It is not asked
	// about reads, nor about signing in. It may be called concurrently.
	BeforeChange func(operation string) error

	// Begin, if not nil, is called when a request is about to be sent, a repeated one each time,
	// and returns what is called with its outcome: nil for an answer that was accepted. The
	// operation is one of a fixed set of texts, [SigningIn] among them. It may be called
	// concurrently.
	Begin func(operation string) (end func(error))

	// Now tells the time. If nil, it is time.Now.
	Now func() time.Time

	// Rand makes transaction ids and idempotency keys, and spreads the pauses between tries. If
	// nil, it is crypto/rand.Reader. It need not be safe for concurrent use.
	Rand io.Reader

	clock atomic.Pointer[clockSighting] // CERTInext's, as last seen; see ClockSkew

	once    sync.Once
	session *session
	invalid error
}

// SigningIn is the operation of a request for a token, as [Client.Begin] is told.
const SigningIn = "signing in"

// A session is the state that a Client makes from its fields when it is first used.
type session struct {
	base  string // without a trailing slash
	http  *http.Client
	token tokenCache

	// Version 1 only.
	account    accountCache
	requestors requestorCache

	randMu sync.Mutex
}

// open returns the session, made on the first call.
func (c *Client) open(operation string) (*session, *Error) {
	c.once.Do(func() {
		base, problem := parseBaseURL(c.BaseURL)
		switch {
		case problem != "":
			c.invalid = &InvalidRequestError{Field: "BaseURL", Problem: problem}
		case c.Version != V1 && c.Version != V2:
			c.invalid = &InvalidRequestError{Field: "Version", Problem: "must be V1 or V2"}
		case c.Credentials == nil:
			c.invalid = &InvalidRequestError{Field: "Credentials", Problem: "must be set"}
		default:
			c.invalid = c.Credentials.check()
		}
		c.session = &session{
			base: base, http: c.httpClient(), account: accountCache{turn: make(chan struct{}, 1)},
		}
	})
	if c.invalid != nil {
		return nil, &Error{Operation: operation, Err: c.invalid}
	}
	return c.session, nil
}

// CloseIdleConnections closes the connections that no call uses. The client stays usable. Where
// HTTPClient is given, its other users' idle connections are closed with them.
func (c *Client) CloseIdleConnections() {
	if s, err := c.open("close"); err == nil {
		s.http.CloseIdleConnections()
	}
}

// parseBaseURL returns the address that paths are appended to, or the problem of s.
func parseBaseURL(s string) (base, problem string) {
	s = strings.TrimRight(strings.TrimSpace(s), "/")
	const v1 = "/emSignHub-API"
	if n := len(s) - len(v1); n >= 0 && strings.EqualFold(s[n:], v1) {
		s = strings.TrimRight(s[:n], "/")
	}
	if s == "" {
		return "", "must be set"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "":
		return "", "is not a URL" // err would quote s, which may hold a password
	case u.User != nil:
		return "", "must not hold a user or password"
	case u.Hostname() == "":
		return "", "has no host; it looks like https://us-api.certinext.io"
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", "must not have a query or a fragment"
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return "", "must begin with https:// (http:// is for loopback hosts only)"
	}
	return u.String(), ""
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// httpClient returns the client to send with: a copy of the caller's, or a private one.
func (c *Client) httpClient() *http.Client {
	var hc http.Client
	if c.HTTPClient != nil {
		hc = *c.HTTPClient
	} else {
		hc.Transport = newTransport()
	}
	hc.Timeout = 0
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &hc
}

// newTransport returns a transport with a bound for everything but the wait for an answer, which
// the call's own timeout bounds. Idle connections are dropped early: when the server closes one
// just as a create is sent on it, the create fails and is not sent again.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Format writes the base URL and nothing else, whatever the verb: a Client holds secrets.
func (c *Client) Format(f fmt.State, _ rune) {
	if c == nil {
		_, _ = io.WriteString(f, "certinext.Client(nil)")
		return
	}
	base, _ := parseBaseURL(c.BaseURL)
	_, _ = io.WriteString(f, "certinext.Client("+clean(base)+")")
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) userAgent() string {
	if c.UserAgent != "" {
		return clean(c.UserAgent)
	}
	return defaultUserAgent
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultTimeout
}

func (c *Client) createTimeout() time.Duration {
	if c.CreateTimeout > 0 {
		return c.CreateTimeout
	}
	return defaultCreateTimeout
}

// tries is how often a call that may be repeated is sent at most.
func (c *Client) tries() uint {
	switch {
	case c.Retries < 0:
		return 1
	case c.Retries == 0:
		return 1 + defaultRetries
	}
	return 1 + uint(c.Retries)
}

// random fills a slice of n bytes.
func (c *Client) random(s *session, n int) ([]byte, error) {
	b := make([]byte, n)
	s.randMu.Lock()
	defer s.randMu.Unlock()
	r := c.Rand
	if r == nil {
		r = rand.Reader
	}
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	return b, nil
}

// transaction returns an id that no other request has. Documented: 10 to 50 letters and digits.
func (c *Client) transaction(s *session) (string, error) {
	b, err := c.random(s, 12)
	if err != nil {
		return "", err
	}
	return "vp" + hex.EncodeToString(b), nil
}

// idempotencyKey returns the caller's key, or a fresh one that lives for one call.
func (c *Client) idempotencyKey(s *session, given string) (string, error) {
	if given != "" {
		if len(given) > 255 ||
			strings.ContainsFunc(given, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", &InvalidRequestError{
				Field: "IdempotencyKey", Problem: "must be printable ASCII without spaces",
			}
		}
		return given, nil
	}
	b, err := c.random(s, 16)
	if err != nil {
		return "", err
	}
	return formatUUID(b), nil
}

// formatUUID writes 16 bytes as a version 4 UUID.
func formatUUID(b []byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// asError returns err as an *Error: itself if it is one, otherwise as the cause of a call that was
// not sent.
func asError(operation string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Operation: operation, Err: err}
}

// maxSkew is the largest difference of two clocks that ClockSkew returns. A century either way
// keeps sums and differences within a time.Duration.
const maxSkew = 100 * 365 * 24 * time.Hour

// A clockSighting is the state of CERTInext's clock, by the Date of an answer.
type clockSighting struct {
	skew time.Duration // of CERTInext's clock, when the answer came
	wall time.Time     // the Client's clock then, without a monotonic reading
	mono time.Time     // the same moment with one, to tell what has passed since
}

// ClockSkew returns how far CERTInext's clock is ahead of the Client's at this moment, by the
// latest answer that was CERTInext's own: a usable success, or a refusal in a shape of its own. It
// is negative when CERTInext's is behind, exact to about a second, and not known before the first
// such answer that has a Date. A jump of the Client's clock since that answer shows at once. The
// skew is a century at most.
func (c *Client) ClockSkew() (skew time.Duration, known bool) {
	s := c.clock.Load()
	if s == nil {
		return 0, false
	}
	jumped := c.now().Round(0).Sub(s.wall) - time.Since(s.mono)
	return bounded(s.skew - bounded(jumped)), true
}

func bounded(skew time.Duration) time.Duration { return min(max(skew, -maxSkew), maxSkew) }

// sightClock reads an answer's Date at the moment of its receipt. It returns nil when the answer
// has none, or comes from a cache that kept it for a while (RFC 9111, section 5.1: Age).
func (c *Client) sightClock(h http.Header) *clockSighting {
	at, err := http.ParseTime(h.Get("Date"))
	if age := h.Get("Age"); err != nil || (age != "" && age != "0") {
		return nil
	}
	now := c.now().Round(0)
	return &clockSighting{skew: bounded(at.Sub(now)), wall: now, mono: time.Now()} // Sub saturates
}

// learn stores the sighting of an answer that is CERTInext's own.
func (c *Client) learn(s *clockSighting) {
	if s != nil {
		c.clock.Store(s)
	}
}

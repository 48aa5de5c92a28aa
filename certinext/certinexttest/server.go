// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/sha256"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/terms"
)

// A Dialect selects which of the known behaviours of the API is spoken.
type Dialect int

const (
	// Live is the API as it was observed: OAuth form tokens, numeric order
	// ids, decimal serial numbers, {token,tokenExpiryDate} challenges.
	Live Dialect = iota
	// Documented is the API as the published v2 collection describes it:
	// signed JSON tokens, ord_ ids, hexadecimal serials, _links, enforced
	// idempotency keys, no orders report.
	Documented
	// V1 is an account whose key is not in OAuth mode: it gets no tokens, so
	// that only version 1 of the API serves it, where every call is signed.
	// Otherwise it is Live. Version 1 is there in all dialects.
	V1
)

// String returns the name the certinext-sandbox command uses for d.
func (d Dialect) String() string {
	if int(d) < 0 || int(d) >= len(dialects) {
		return "unknown"
	}
	return dialects[d]
}

// Defaults of the credentials of a zero [Server].
const (
	DefaultAccountNumber = "1234567890"
	DefaultAccessKey     = "sandbox-access-key"
	DefaultClientSecret  = "sandbox-client-secret"
	// DefaultConsentToken is the organization consent token of the default
	// organization.
	DefaultConsentToken = "5ca1ab1e00c0ffee5ca1ab1e00c0ffee"
	// DefaultOrganization is the number of the vetted default organization.
	DefaultOrganization = "4000001"
	// UnvettedOrganization is the number of a default organization whose
	// vetting is still open.
	UnvettedOrganization = "4000002"
	// DefaultGroup is the number of the default billing group.
	DefaultGroup = "3000000001"
)

// A Switch overrides a behaviour that otherwise follows from the dialect.
type Switch int

const (
	// ByDialect leaves the choice to [Server.Dialect].
	ByDialect Switch = iota
	// On forces the behaviour.
	On
	// Off forbids it.
	Off
)

// or resolves the switch, with byDialect as the dialect's own choice.
func (s Switch) or(byDialect bool) bool {
	switch s {
	case On:
		return true
	case Off:
		return false
	default:
		return byDialect
	}
}

// A Server is both versions of the CERTInext API with a certificate authority behind it. Its
// zero value is ready to use and safe for concurrent calls.
//
// Fields are set before the first request; afterwards change them only through
// [Server.Configure]. One that is senseless is told by [Server.Check], and by the
// answer to each request. A Server must not be copied.
type Server struct {
	// Dialect selects the behaviour; the zero value is [Live].
	Dialect Dialect

	// AccountNumber identifies the account ("" means DefaultAccountNumber).
	AccountNumber string
	// AccessKey signs the calls of version 1 and documented token requests (""
	// means DefaultAccessKey).
	AccessKey string
	// ClientID and ClientSecret authenticate live token requests. An empty
	// ClientID is AccountNumber, an empty ClientSecret DefaultClientSecret.
	ClientID     string
	ClientSecret string
	// TokenTTL is how long an access token lives; zero means one hour.
	TokenTTL time.Duration
	// KeyState says whether the API key can obtain tokens at all. With V1 an
	// active key is one that cannot.
	KeyState KeyState
	// SingleToken makes every new grant revoke the tokens before it. Whether
	// the service does so is unknown.
	SingleToken bool

	// Organizations, Groups and Catalog are what the account owns; nil means
	// one vetted and one unvetted organization, one group, and the sandbox
	// catalog (see [SandboxCatalog]).
	Organizations []Organization
	Groups        []Group
	Catalog       []Product
	// CAProfiles are the private-PKI profiles the account is entitled to; nil
	// means just "1".
	CAProfiles []string
	// Billing is how the account pays for what it orders.
	Billing Billing
	// Subscriptions is how long what it pays for lasts, and what the CA renews of itself.
	Subscriptions Subscriptions

	// VerifiedDomains are validated for the first organization, for
	// DomainValidity from the first request on. An order below one needs no
	// challenge.
	VerifiedDomains []string
	// PendingDomains are registered with the account but not yet validated.
	PendingDomains []string
	// DomainValidity is how long a validation made from now on serves the
	// account; zero means 199 days, the less of what was observed.
	DomainValidity time.Duration
	// NoInheritance stops a validated domain from covering its subdomains.
	NoInheritance bool
	// NoReuse stops a validation made for one order from serving others.
	NoReuse bool

	// AdminHosts are further names by which the administration paths may be
	// asked for over a connection, beside localhost, addresses of this server
	// and the host of BaseURL. Others are refused: a web page may have given its
	// own name this machine's address.
	AdminHosts []string

	// Resolver is the host:port of the DNS server that look-ups for domain
	// control use; "" means the system's. CAA records are looked up there, too, and
	// not at all where it is "" (see [CAAPolicy]).
	Resolver string
	// HTTPPort is where http-url challenges are fetched; zero means 80.
	HTTPPort int
	// ChallengeHosts are the names at which a TXT record is accepted, with
	// {domain} for the domain; nil means _emudhra-challenge.{domain} for version
	// 2 and _emsign-validation.{domain} for version 1.
	ChallengeHosts []string
	// DCVShape is how a challenge is spelled; zero follows the dialect.
	DCVShape DCVShape
	// PropagationDelay is how long after the challenge was handed out even a
	// right record is not yet seen.
	PropagationDelay time.Duration
	// ChallengeTTL is how long a challenge is good for; zero means 48 hours.
	ChallengeTTL time.Duration

	// IssueDelay passes between the last requirement met and "issued".
	IssueDelay time.Duration
	// PEMLag passes between "issued" and a certificate that downloads.
	PEMLag time.Duration
	// NamelessCSR takes CSRs of servers without a common name, as some editions of CERTInext do.
	NamelessCSR bool
	// Demands is what orders need.
	Demands Demands
	// Names is which names the CA certifies.
	Names NamePolicy
	// Keys is which keys the CA certifies.
	Keys KeyPolicy
	// NewKeysOnly has version 2, too, refuse a CSR whose key an earlier order had. Version 1 was
	// seen to do so; whether version 2 does is unknown.
	NewKeysOnly bool
	// IssuedBeforeCSR shows an order that only lacks its CSR as "issued".
	IssuedBeforeCSR bool
	// HoldForApproval parks every order at pending-approval.
	HoldForApproval bool
	// ApprovalDelay is how long the approver takes. Zero means until
	// [Server.Approve] is called, a negative delay means at once.
	ApprovalDelay time.Duration
	// CAA is how the CA minds CAA records. What a real one must not disregard it does not either,
	// as far as it has a DNS server to ask.
	CAA CAAPolicy
	// CAAForbids are the domains for which, and for those below, a CAA record
	// does not let the CA issue. It is looked at whenever an order is due, so that
	// an order goes on once its domain has been taken from the list.
	CAAForbids []string
	// IgnoreConsentTokens makes an organization's consent token good for
	// nothing, as one production tenant reported.
	IgnoreConsentTokens bool
	// CertificateLifetime is the life of a public TLS certificate, unless its subscription ends
	// before. Zero means a day less than the CA/Browser Forum allows when it begins: 199 days,
	// 99 from 2027-03-15 on, 46 from 2029-03-15 on. More than is allowed is refused by
	// [Server.Check], and cut when a certificate is issued, see [OrderRecord].
	CertificateLifetime time.Duration
	// OtherLifetime is that of all others: private PKI, signers and S/MIME. Zero means the 30 days
	// of the vendor's sandbox. S/MIME certificates live for at most 825 days.
	OtherLifetime time.Duration
	// ChainOrder is how the chain of a download is put together.
	ChainOrder ChainOrder
	// CrossSigned has downloads of public TLS certificates lead to an older root, which has
	// certified the key of theirs: issuing CA, root as certified by the older one, older root. Both
	// paths hold, and /ca/public-root-crossed.cer is the certificate in between.
	CrossSigned bool
	// Misissue is the mistake in every certificate that the CA issues while it is
	// set. An order is issued when it is first looked at after it has become due,
	// a reissue likewise; what was issued stays as it is, right or wrong.
	Misissue Misissuance
	// OrderSuffix is appended to every live order id, such as "R007".
	OrderSuffix string
	// RevocationLag passes between a revocation and the CRL and OCSP
	// responder knowing of it.
	RevocationLag time.Duration

	// RateLimit is how many API calls per second are taken, the token's
	// included; the others are answered 429 with a Retry-After. Zero means all.
	RateLimit float64

	// ReportDelay passes between an order and its row in the orders report.
	ReportDelay time.Duration
	// ReportOrder is the order of the rows in the orders report.
	ReportOrder ReportOrder
	// ReportPageSize is the most rows on a page of the orders report, whatever
	// the client asks for; zero means 100 in version 2 and 500 in version 1.
	ReportPageSize int
	// ReportWithoutProducts leaves the product code of the rows in version 2's orders report empty.
	// One client often saw it so; every row that another one has kept has a code.
	ReportWithoutProducts bool
	// Idempotency says whether Idempotency-Key is honoured: by default the
	// documented dialect enforces it and the live one ignores it. Version 1 does
	// not have it.
	Idempotency Switch

	// DCVSlotDelay passes between an order and the domainVerification that
	// version 1 tracks it with; until then GetDcv is EMS-956. Seconds were seen.
	DCVSlotDelay time.Duration
	// DCVChallengeDelay passes between that and GetDcv answering: EMS-956 was
	// seen for seconds to hours beyond the slot.
	DCVChallengeDelay time.Duration
	// DCVResultDelay passes between VerifyDcv of version 1 and TrackOrder
	// showing its result.
	DCVResultDelay time.Duration
	// CreateBurst is how many create calls version 1 takes in ten seconds. The
	// others are answered "Inactive Account User." without a code; about 16 were
	// taken by the service. Zero takes all.
	CreateBurst int
	// CatalogNeedsGroup empties the catalog of version 1 for callers that name
	// no group, as on some accounts.
	CatalogNeedsGroup bool

	// BaseURL is the public URL of this server, written into certificates for
	// OCSP, CRL and issuer; "" takes it from the request that creates the
	// order.
	BaseURL string
	// Now is the clock, which also stamps every answer's Date; nil means
	// time.Now.
	Now func() time.Time
	// Rand decides whether a fault with a Probability strikes and in which order an unsorted list
	// of domains comes; nil means the runtime's generator. The server uses it under its own lock,
	// and no other code may use it. All other randomness is that of crypto/rand: keys, serial
	// numbers, ids and tokens.
	Rand *rand.Rand

	// Unknowns are the answers to what no source says of the service.
	Unknowns Unknowns

	// BeforeCall, if set, runs before an API call is looked at, AfterCall
	// after its state change and before its reply is written. They are called
	// without locks held, with the operation's name, from many goroutines.
	BeforeCall, AfterCall func(op string, r *http.Request)

	once sync.Once
	mu   sync.Mutex
	// asStarted are the settings as they were at the first request, for Reset.
	asStarted []any
	// resets counts them.
	resets int
	// foreign is how many orders the account has of another user.
	foreign int
	// unfit says which fields are senseless; while there are any, no request is served.
	// unfitAtStart is what it said at the first request, for Reset.
	unfit, unfitAtStart error
	// tlsRoot is the root of a TLS listener before the server.
	tlsRoot []byte
	ca      *authority.PKI
	state
	// journal remembers the last requests.
	journal journal
}

// A state is what has happened so far, the certificate authority left aside.
type state struct {
	tokens tokenStore
	book   orderBook
	funds  money.Ledger
	zones  []*accountDomain
	// zonesOf are the zones by name, one for each organization.
	zonesOf map[string][]*accountDomain
	owners  []*organization
	faults  []*activeFault
	calls   map[string]int
	// caaWanted are the orders for which CAA records have to be looked up.
	caaWanted map[*order]bool
	// allowed is what is left of RateLimit.
	allowed allowance
	// renewals are what the CA is to renew of itself.
	renewals terms.Agenda[renewal]
	// lost are keys whose certificates the CA has to revoke.
	lost terms.Agenda[[sha256.Size]byte]
	// creates are the times of the create calls that CreateBurst minds.
	creates []time.Time
	// replays holds the answers given under an idempotency key.
	replays map[string]replay
}

// setUp makes everything that a zero Server lacks.
func (s *Server) setUp() {
	s.asStarted = s.settings().Saved()
	s.unfitAtStart = s.Check()
	s.unfit = s.unfitAtStart
	s.ca = authority.New(s.now(), s.revocationClock)
	s.begin()
}

// pki is the certificate authority, which only [Server.Restore] replaces.
func (s *Server) pki() *authority.PKI {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ca
}

// begin makes the state of a server to which nothing has happened.
func (s *Server) begin() {
	now := s.now()
	s.state = state{
		calls: make(map[string]int), replays: make(map[string]replay),
		tokens: newTokenStore(), book: newOrderBook(),
		owners:  newOrganizations(s.Organizations, now),
		zonesOf: make(map[string][]*accountDomain),
	}
	for _, d := range s.VerifiedDomains {
		s.validateDomain(s.registerDomain(d, s.firstOrganization(), now), now, methodDNS)
	}
	for _, d := range s.PendingDomains {
		s.registerDomain(d, s.firstOrganization(), now)
	}
}

// Configure runs change while no request is being processed. Catalog,
// resolver, delays and the like may be changed; account, organizations and
// domain lists are read once, at the first request. While a field is senseless
// no request is served, as ServeHTTP says.
func (s *Server) Configure(change func(*Server)) {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(s.now()) // what was due before is not changed by it
	before := s.Check()
	blocked := slices.Clone(s.Keys.Blocked)
	change(s)
	s.learnBlocked(blocked, s.now())
	after := s.Check()
	if s.unfit == nil && before != nil && after != nil && before.Error() == after.Error() {
		return // only the date has made it so: a certificate's life, which is cut
	}
	s.unfit = after
}

// misfit says which fields are senseless.
func misfit(s *Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unfit
}

// PublishTLSRoot has the server show a certificate, as PEM, at /_sandbox/tls-root.pem: the root of
// the TLS listener that it is served by. Call it before the first request.
func (s *Server) PublishTLSRoot(pem []byte) { s.tlsRoot = pem }

// ServeHTTP answers API calls, the revocation and issuer URLs that stand in
// certificates, and the administration paths below /_sandbox/.
//
// While a field has a senseless value, which [Server.Check] would have told, it
// answers each request with HTTP 500 and the field's name: a test must not
// prove something with a server that is another than it looks.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.once.Do(s.setUp)
	if err := misfit(s); err != nil {
		http.Error(w, "the simulator does not serve with senseless fields:\n"+err.Error(),
			http.StatusInternalServerError)
		return
	}
	dated := &datedWriter{ResponseWriter: w, now: s.now}
	switch {
	case strings.HasPrefix(r.URL.Path, adminPrefix):
		if problem := s.strangerProblem(r); problem != "" {
			http.Error(w, "administration refused: "+problem, http.StatusForbidden)
			return
		}
		s.administration().serve(w, r)
	case authority.Serves(r.URL.Path):
		ca := s.pki()
		ca.Locate(orDefault(s.BaseURL, baseURL(r)))
		ca.ServeHTTP(dated, r)
	default:
		r = s.journal.begin(r, s.now())
		dated.sent = func(status int) {
			s.journal.note(r, func(noted *Request) { noted.Status = status })
		}
		s.serveAPI(dated, r)
	}
}

// serveAPI finds the operation and takes it through faults, hooks and handler.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	c, problem := s.route(r)
	if problem != nil {
		s.refuse(problem, r).write(w)
		return
	}
	s.arrive(c)
	s.journal.note(r, func(noted *Request) { noted.Operation = c.route.op })
	if s.BeforeCall != nil {
		s.BeforeCall(c.route.op, r)
	}
	if refusal, limited := s.rateLimited(); limited {
		refusal.reply(s, c).write(w)
		return
	}
	c.faults = s.drawFaults(c.route)
	s.journal.note(r, func(noted *Request) { noted.Faults = c.faults.kinds() })
	if done := c.faults.before(s, w, c); done {
		return
	}
	rep := s.answer(c)
	if s.AfterCall != nil {
		s.AfterCall(c.route.op, r)
	}
	c.faults.after(s, w, c, rep)
}

// answer runs the checks every call shares and then the operation itself.
func (s *Server) answer(c *call) reply {
	if problem := c.readBody(); problem != nil {
		return s.refuseCall(problem, c)
	}
	rep := s.locked(c, s.perform)
	if s.lookUpCAA(c.r.Context()) && c.admitted && slices.Contains(looking, c.route.op) {
		rep = s.locked(c, s.carryOut) // again, since what it looks at may have gone on
	}
	return rep
}

// looking are the operations that look at orders and change nothing.
var looking = []string{OpTrack, OpCertificate, OpOrdersReport}

// locked runs f, the lock held unless the route takes it itself.
func (s *Server) locked(c *call, f func(*call) reply) reply {
	if !c.route.unlocked {
		s.lockFor(c)
		defer s.mu.Unlock()
		s.catchUp(s.now())
	}
	return f(c)
}

// perform runs the operation, the lock held unless the route says otherwise.
func (s *Server) perform(c *call) reply {
	c.now = s.now()
	c.dialect = s.Dialect
	if problem := s.admit(c); problem != nil {
		return s.refuseCall(problem, c)
	}
	c.admitted = true
	if rep, problem := s.replayOf(c); problem != nil {
		return s.refuseCall(problem, c)
	} else if rep != nil {
		return *rep
	}
	if problem := s.checkUnknowns(c); problem != nil {
		return s.refuseCall(problem, c)
	}
	return s.carryOut(c)
}

// carryOut is the operation itself, for a call that was admitted.
func (s *Server) carryOut(c *call) reply {
	c.now = s.now()
	rep, problem := c.route.handle(s, c)
	s.journal.note(c.r, func(noted *Request) { noted.refuse("", reason{}) })
	if problem != nil {
		return s.refuseCall(problem, c)
	}
	rep = s.respelt(c, rep)
	s.rememberReply(c, rep)
	return rep
}

// admit refuses what no operation would take: no token, a media type that is not spoken, a query
// parameter that is not defined.
func (s *Server) admit(c *call) *problem {
	if c.route.op == OpToken {
		return nil // the token endpoint has its own manners, see auth.go
	}
	if problem := s.authorize(c); problem != nil {
		return problem
	}
	return c.checkTransport()
}

// revocationClock is the clock of the CA's publications. What was due by then was revoked.
func (s *Server) revocationClock() (now time.Time, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.now()
	s.catchUp(now)
	return now, s.RevocationLag
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now().UTC()
	}
	return time.Now().UTC()
}

func (s *Server) accountNumber() string { return orDefault(s.AccountNumber, DefaultAccountNumber) }
func (s *Server) accessKey() string     { return orDefault(s.AccessKey, DefaultAccessKey) }
func (s *Server) clientID() string      { return orDefault(s.ClientID, s.accountNumber()) }
func (s *Server) clientSecret() string  { return orDefault(s.ClientSecret, DefaultClientSecret) }

func (s *Server) tokenTTL() time.Duration { return orDefault(s.TokenTTL, time.Hour) }

func (s *Server) domainValidity() time.Duration {
	return orDefault(s.DomainValidity, 199*24*time.Hour)
}

func (s *Server) challengeTTL() time.Duration { return orDefault(s.ChallengeTTL, 48*time.Hour) }

// orDefault returns v, or def where v is its type's zero value.
func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// options are the parsed command line. Most flags set fields of the server directly.
type options struct {
	listen      string
	allowRemote bool
	version     bool
	server      *certinexttest.Server
	others      int // orders that others have placed before
}

// parseFlags parses the command line into a server that is ready to serve.
func parseFlags(args []string, stderr io.Writer) (*options, error) {
	s := new(certinexttest.Server)
	o := &options{server: s}
	flags := flag.NewFlagSet("certinext-sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(flags) }

	flags.StringVar(&o.listen, "listen", "127.0.0.1:8093",
		"`address` to listen on; port 0 picks a free one")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	flags.Var((*list)(&s.AdminHosts), "admin-hosts",
		"comma-separated `names` under which the administration paths may be asked for, beside "+
			"localhost and addresses of this server")
	flags.BoolVar(&o.allowRemote, "allow-remote", false,
		"listen on an address that is not loopback")
	flags.TextVar(&s.Dialect, "dialect", certinexttest.Live,
		"`live` (as observed), documented (as published) or v1 (an account without OAuth, for "+
			"version 1 of the API only)")
	flags.StringVar(&s.BaseURL, "base-url", "",
		"public `URL` of this server, written into certificates (default: as the client calls it)")
	accountFlags(flags, s)
	domainFlags(flags, s)
	timingFlags(flags, o)
	shapeFlags(flags, s)
	v1Flags(flags, s)

	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := o.check(flags); err != nil {
		return nil, err
	}
	if o.others > 0 {
		s.AddForeignOrders(o.others)
	}
	return o, nil
}

func accountFlags(flags *flag.FlagSet, s *certinexttest.Server) {
	flags.StringVar(&s.AccountNumber, "account-number", certinexttest.DefaultAccountNumber,
		"account `number`")
	flags.StringVar(&s.AccessKey, "access-key", certinexttest.DefaultAccessKey,
		"access `key` that signs calls of version 1 and documented token requests")
	flags.StringVar(&s.ClientID, "client-id", "",
		"OAuth client `id` of live token requests (default: the account number)")
	flags.StringVar(&s.ClientSecret, "client-secret", certinexttest.DefaultClientSecret,
		"OAuth client `secret` of live token requests")
	flags.DurationVar(&s.TokenTTL, "token-ttl", time.Hour, "lifetime of access tokens")
	flags.BoolVar(&s.SingleToken, "single-token", false, "let a new token revoke earlier ones")
}

func domainFlags(flags *flag.FlagSet, s *certinexttest.Server) {
	flags.Var((*list)(&s.VerifiedDomains), "verified-domains",
		"comma-separated `domains` that are already validated, names below them included")
	flags.Var((*list)(&s.PendingDomains), "pending-domains",
		"comma-separated `domains` that are registered but not validated")
	flags.StringVar(&s.Resolver, "resolver", "",
		"`host:port` of the DNS server for domain validation (default: the system's)")
	flags.IntVar(&s.HTTPPort, "http-port", 80, "`port` at which http-url challenges are fetched")
	flags.Var((*list)(&s.ChallengeHosts), "challenge-hosts",
		"comma-separated `names` of accepted TXT records, with {domain} "+
			"(default: _emudhra-challenge.{domain})")
	flags.BoolVar(&s.NoInheritance, "no-inheritance", false,
		"validated domains do not cover names below them")
	flags.BoolVar(&s.NoReuse, "no-reuse", false,
		"a validation is valid only for the order it was made for")
	flags.Var((*list)(&s.CAAForbids), "caa-forbids",
		"comma-separated `domains` whose CAA records do not let the CA issue, names below them "+
			"included")
	flags.DurationVar(&s.PropagationDelay, "propagation-delay", 0,
		"how long a published challenge remains invisible")
}

func timingFlags(flags *flag.FlagSet, o *options) {
	s := o.server
	flags.DurationVar(&s.IssueDelay, "issue-delay", 0,
		"time from the last fulfilled requirement to issuance")
	flags.DurationVar(&s.PEMLag, "pem-lag", 0,
		"time from issuance until the certificate can be downloaded")
	flags.DurationVar(&s.CertificateLifetime, "certificate-lifetime", 30*24*time.Hour,
		"validity of leaf certificates")
	flags.DurationVar(&s.ApprovalDelay, "approval-delay", 0,
		"how long the approver takes; 0 waits for the administration path, "+
			"negative approves at once")
	flags.BoolVar(&s.HoldForApproval, "hold-for-approval", false,
		"hold every order at pending-approval")
	flags.DurationVar(&s.ReportDelay, "report-delay", 0,
		"time from an order to its row in the orders report")
	flags.IntVar(&o.others, "foreign-orders", 0,
		"`number` of orders that others have placed before, for an orders report of many pages")
	flags.DurationVar(&s.RevocationLag, "revocation-lag", 0,
		"time from a revocation to its appearance in CRL and OCSP")
	flags.Float64Var(&s.RateLimit, "rate-limit", 0,
		"API `calls` accepted per second; 0 accepts all")
}

func shapeFlags(flags *flag.FlagSet, s *certinexttest.Server) {
	flags.StringVar(&s.OrderSuffix, "order-suffix", "", "`suffix` of live order ids, such as R007")
	flags.BoolVar(&s.IssuedBeforeCSR, "issued-before-csr", false,
		"show orders that only lack a CSR as issued")
	flags.BoolVar(&s.NamelessCSR, "nameless-csr", false, "take CSRs without a common name")
	flags.BoolVar(&s.NewKeysOnly, "new-keys-only", false,
		"version 2 refuses a key that an earlier order had, as version 1 always does")
	flags.TextVar(&s.ChainOrder, "chain-order", certinexttest.ChainGood,
		"`good`, root-first or absent")
	flags.TextVar(&s.ReportOrder, "report-order", certinexttest.ReportNewestFirst,
		"`newest-first` or oldest-first: the order of the rows in the orders report")
	flags.IntVar(&s.ReportPageSize, "report-page-size", 0,
		"the most `rows` on a page of the orders report; 0 is as documented")
	flags.TextVar(&s.Misissue, "misissue", certinexttest.MisissueNone,
		"`mistake` in every certificate that is issued, and stays in it; all are listed below")
	flags.TextVar(&s.DCVShape, "dcv-shape", certinexttest.DCVByDialect,
		"`by-dialect`, live, doc1, doc2 or doc2-prose")
}

// v1Flags defines the flags for behaviour that only version 1 of the API has.
func v1Flags(flags *flag.FlagSet, s *certinexttest.Server) {
	flags.DurationVar(&s.DCVSlotDelay, "dcv-slot-delay", 0,
		"version 1: time from an order to its domainVerification")
	flags.DurationVar(&s.DCVChallengeDelay, "dcv-challenge-delay", 0,
		"version 1: time from that to its challenge; EMS-956 until then")
	flags.DurationVar(&s.DCVResultDelay, "dcv-result-delay", 0,
		"version 1: time from VerifyDcv to its result in TrackOrder")
	flags.IntVar(&s.CreateBurst, "create-burst", 0,
		"version 1: `orders` accepted in ten seconds; 0 accepts all")
	flags.BoolVar(&s.CatalogNeedsGroup, "catalog-needs-group", false,
		"version 1: show no products to callers that name no group")
}

// list is the value of a flag that takes comma-separated strings.
type list []string

// String joins the values again.
func (l *list) String() string { return strings.Join(*l, ",") }

// Set replaces the values.
func (l *list) Set(text string) error {
	*l = nil
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*l = append(*l, part)
		}
	}
	return nil
}

// credentials says which flags hold the credentials of the dialect, and those of version 1, the
// only ones in the v1 dialect.
func (o *options) credentials() string {
	const signed = "account number (-account-number) and access key (-access-key)"
	if o.server.Dialect != certinexttest.Live {
		return signed
	}
	return "client id (-client-id, else -account-number) and client secret (-client-secret); " +
		"version 1: " + signed
}

func usage(flags *flag.FlagSet) {
	w := flags.Output()
	fmt.Fprint(w, `certinext-sandbox serves both versions of an in-memory CERTInext API. It is
NOT A REAL CA: its roots are new at every start, and nothing it signs is to be trusted.

Usage: certinext-sandbox [flags]

`)
	flags.PrintDefaults()
	fmt.Fprintf(w, `
Administration, without credentials and therefore for loopback use only:

%s
Example: lose the reply to the next SSL order after it was accepted.

  curl -X POST http://127.0.0.1:8093/_sandbox/faults \
    -d '{"operation":"create-ssl","kind":"lost-reply","times":1}'

Fault kinds: %s.
Mistakes: %s.
Durations are written like 1m30s.
`, certinexttest.AdminHelp, strings.Join(certinexttest.FaultKinds(), ", "),
		strings.Join(certinexttest.MisissuanceKinds(), ", "))
}

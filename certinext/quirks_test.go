// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quirks says where each known quirk of the CERTInext API is tested, or why it is none of this
// client's business. The numbers are those of the API reference.
var quirks = [...]struct{ quirk, test, reason string }{
	1:  {quirk: "the live token request is a form", test: "TestQuirk01LiveTokenRequestIsAForm"},
	2:  {quirk: "403 is a key that is not for OAuth", test: "TestQuirk02TokenRefusalsInPlainWords"},
	3:  {quirk: "tokens die early", test: "TestQuirk03TokenDiesEarly"},
	4:  {quirk: "order ids are opaque", test: "TestIDsStayInTheirSegment"},
	5:  {quirk: "no _links", test: "TestGolden"},
	6:  {quirk: "tracking leaves most out", test: "TestTrackIsTolerant"},
	7:  {quirk: "issued before the PEM exists", test: "TestQuirk07IssuedBeforePEM"},
	8:  {quirk: "issued without a CSR", test: "TestQuirk08IssuedWithoutCSR"},
	9:  {quirk: "a create times out and is created", test: "TestSandboxFaults"},
	10: {quirk: "Idempotency-Key is not enforced", test: "TestActedWhenTheConnectionFails"},
	11: {quirk: "autoSecureWww and autoRenew default to true", test: "TestQuirk11DefaultsThatCostMoneyAreSentExplicitly"},
	12: {quirk: "OV and EV need an organization", test: "TestCreateRefusesWhatCannotSucceed"},
	13: {quirk: "the field is agreement", test: "TestGolden"},
	14: {quirk: "a challenge is a bare token", test: "TestQuirk14EveryShapeOfAChallenge"},
	15: {quirk: "the host label is contradictory", reason: "the caller's configuration; DNSHost is empty when CERTInext names none"},
	16: {quirk: "DCV methods are numbered both ways", test: "TestQuirk14EveryShapeOfAChallenge"},
	17: {quirk: "EMS-1080 is success", test: "TestQuirk17AlreadyVerifiedIsSuccess"},
	18: {quirk: "the aggregate of validations lies", test: "TestQuirk18PerDomainStatusDecides"},
	19: {quirk: "dcvMethod is missing while pending", test: "TestQuirk31Domains"},
	20: {quirk: "EMS-956 while DCV is not ready", test: "TestQuirk20DCVIsNotReadyAtFirst"},
	21: {quirk: "serial numbers in decimal", test: "TestQuirk21SerialNumberIsNotRead"},
	22: {quirk: "chain order, root, newline", test: "TestQuirk22EveryShapeOfADownload"},
	23: {quirk: "PKCS #7 is refused", test: "TestQuirk23PKCS7IsNeverAskedFor"},
	24: {quirk: "five reasons, kebab case", test: "TestQuirk24ReasonsThatCERTInextCannotExpressAreRefused"},
	25: {quirk: "no semicolon in a note", test: "TestQuirk25NotesAreSanitized"},
	26: {quirk: "404 on revoking is ambiguous", test: "TestQuirk26RevokeRefusalsAreDisambiguated"},
	27: {quirk: "a revoked certificate is not served", test: "TestSandboxLifeOfAnOrder"},
	28: {quirk: "the report's last page repeats", test: "TestQuirk28ReportPaging"},
	29: {quirk: "the report's statuses are prose", test: "TestQuirk29ReportWords"},
	30: {quirk: "the report refuses most status filters", test: "TestQuirk30ReportStatusFilter"},
	31: {quirk: "the list of domains", test: "TestQuirk31Domains"},
	32: {quirk: "a blanket 422 on domains", test: "TestQuirk31Domains"},
	33: {quirk: "mixed error bodies", test: "TestQuirk33MixedErrorBodies"},
	34: {quirk: "success bodies vary", test: "TestQuirk34SuccessesAreCERTInextsOwn"},
	35: {quirk: "a request id is no order id", test: "TestSandboxDraft"},
	36: {quirk: "the wrong family answers 404", test: "TestSandboxPrivatePKI"},
	37: {quirk: "product types are ambiguous", test: "TestQuirk37ProductTypesAreAmbiguous"},
	38: {quirk: "lifetime is not validityYears", reason: "the certificate tells; nothing here computes a lifetime"},
	39: {quirk: "approval takes days", reason: "no call here waits"},
	40: {quirk: "an expired DCV token reads empty", test: "TestQuirk40ExpiredTokensReadEmpty"},
	41: {quirk: "Inactive Account User", test: "TestQuirk41BurstsAreOutlasted"},
	42: {quirk: "Retry-After in an unknown form", test: "TestQuirk42RetryAfterInBothForms"},
	43: {quirk: "version 1's typing", test: "TestQuirk43FailuresComeWithStatus200"},
	44: {quirk: "version 1 wants a public signer IP", test: "TestQuirk44SignerIPAndRemarks"},
	45: {quirk: "a CSR is taken once", test: "TestGolden"},
	46: {quirk: "public certificates take DNS names only", test: "TestCreateRefusesWhatCannotSucceed"},
	47: {quirk: "single domains are slow", test: "TestQuirk47SingleDomainsAreSlow"},
	48: {quirk: "cancelled orders stay in the report", test: "TestQuirk48CancelledOrdersStayInTheReport"},
	49: {quirk: "EMS-917 has two meanings", test: "TestQuirk49CodesDoNotDecide"},
	50: {quirk: "404, 409 and 422 are all not ready", test: "TestQuirk07IssuedBeforePEM"},
	51: {quirk: "tags are in the report only", test: "TestQuirk51TagsCarryTheMarker"},
}

func TestEveryQuirkHasItsTest(t *testing.T) {
	require.Len(t, quirks, 52, "51, counted from one")
	tests := map[string]bool{}
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				tests[fn.Name.Name] = true
			}
		}
	}
	for i, q := range quirks[1:] {
		assert.NotEmpty(t, q.quirk, "quirk %d", i+1)
		assert.NotEqual(t, q.test == "", q.reason == "", "quirk %d: a test or a reason", i+1)
		assert.True(t, q.test == "" || tests[q.test], "quirk %d: no test %s", i+1, q.test)
	}
}

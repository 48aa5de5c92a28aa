// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// sizes is the pattern by which make test picks, for a run without the race detector, the stories whose point is a
// number: of rows, orders, settings, years, or writes that fail. The detector makes them take five times as long, and has the
// same to look at in the stories of few.
var sizes = regexp.MustCompile(`LongReport|ManyOrders|Thousand|EachWrite|AfterAFault|FaultOfStorage|StorageRefuses|WithAFault|Anywhere|OfEverything|EverySetting|Fleet|HoweverMany|DoesNotGrow|EverLessOften|NoLimit|TakesACertificateOver|FormerRequester`)

// atSize says that a story is one of sizes.
func atSize(t *testing.T) {
	t.Helper()
	require.Regexp(t, sizes, t.Name(), "make test would not run it")
	if raced {
		t.Skip("make test runs it without the race detector")
	}
}

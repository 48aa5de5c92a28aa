// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/stretchr/testify/require"
)

// Lines of the history that repeat what is erased go with it; the others stay, and so does the end.
func TestTheHistoryRepeatsNothingThatIsErased(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	o := &orderEntry{UpdatedAt: at, LastError: "ann@example.com is unknown", Timeline: []Event{
		{At: at, What: "order intended"},
		{At: at, What: "CERTInext refused: ANN@example.com is unknown"},
		{At: at, What: "documents uploaded: passport.pdf"},
	}}
	o.Placement.Variant = "smime"
	o.Placement.Subject = issuing.Subject{"email": "ann@example.com", "country_code": "IN"}
	require.True(t, hasPersonal(o))
	erasePersonal(o, at.Add(time.Hour))
	text, err := json.Marshal(o)
	require.NoError(t, err)
	require.NotContains(t, string(text), "xample.com")
	require.NotContains(t, string(text), "passport")
	require.Len(t, o.Timeline, 2)
	require.Equal(t, "order intended", o.Timeline[0].What, "a country's two letters name nobody")
	require.True(t, o.UpdatedAt.Equal(at), "when it has ended is what buffers count from")
	require.False(t, hasPersonal(o))
}

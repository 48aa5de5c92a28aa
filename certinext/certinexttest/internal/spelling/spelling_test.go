// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spelling

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRespell(t *testing.T) {
	const text = `{"orderId":"1234","serialNumber":"1234","status":"pending-dcv","at":"2026-05-12T13:00:00Z",` +
		`"rows":[{"orderNumber":"77R007","requestNumber":"78","expires":"2026-05-12 13:00:00","n":12345678901234567890}]}`
	for name, c := range map[string]struct {
		way  Way
		want string
	}{
		"as it is": {Way{}, text},
		"numbers": {Way{Numbers: true}, `{"orderId":1234,"serialNumber":"1234","status":"pending-dcv","at":"2026-05-12T13:00:00Z",` +
			`"rows":[{"orderNumber":"77R007","requestNumber":78,"expires":"2026-05-12 13:00:00","n":12345678901234567890}]}`},
		"capitals": {Way{Capitals: true}, `{"orderId":"1234","serialNumber":"1234","status":"PENDING-DCV","at":"2026-05-12T13:00:00Z",` +
			`"rows":[{"orderNumber":"77R007","requestNumber":"78","expires":"2026-05-12 13:00:00","n":12345678901234567890}]}`},
		"with a zone": {Way{Times: TimesRFC3339}, `{"orderId":"1234","serialNumber":"1234","status":"pending-dcv","at":"2026-05-12T13:00:00Z",` +
			`"rows":[{"orderNumber":"77R007","requestNumber":"78","expires":"2026-05-12T13:00:00Z","n":12345678901234567890}]}`},
		"without": {Way{Times: TimesWithoutZone}, `{"orderId":"1234","serialNumber":"1234","status":"pending-dcv","at":"2026-05-12 13:00:00",` +
			`"rows":[{"orderNumber":"77R007","requestNumber":"78","expires":"2026-05-12 13:00:00","n":12345678901234567890}]}`},
	} {
		require.JSONEq(t, c.want, string(c.way.Respell([]byte(text))), name)
		require.Contains(t, string(c.way.Respell([]byte(text))), "12345678901234567890", name)
	}
	for _, other := range []string{"", "{", "<html>", `{"at":"2026-13-45 99:99:99"}`} {
		require.Equal(t, other, string(Way{Times: TimesRFC3339}.Respell([]byte(other))))
	}
}

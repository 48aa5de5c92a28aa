// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An answer and the end of the caller's time come together: select alone would
// choose one of them by chance.
func TestAnAnswerThatIsThereIsTaken(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 {
		done := make(chan any, 1)
		done <- "the handler's panic"
		p, answered := await(ended, done)
		require.True(t, answered)
		require.Equal(t, "the handler's panic", p)
		require.True(t, sleep(ended, -time.Second), "a wait that is over")
	}
	_, answered := await(ended, make(chan any))
	require.False(t, answered)
	require.False(t, sleep(ended, time.Hour))
}

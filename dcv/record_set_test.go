// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestATextIsUnquotedAsItWasQuoted(t *testing.T) {
	for _, text := range []string{"", "token-1_AB=", `a "b" \c\`, "two words"} {
		require.Equal(t, text, unquoted(quoted(text)[0]))
	}
	require.Equal(t, "onetwo three", unquoted(`"one" "two three"`), "strings are joined")
	require.Equal(t, "bare", unquoted("bare"))
}

// A host that refuses a change for another reason than another writer is not asked again.
func TestARefusalThatIsNoConflictIsTold(t *testing.T) {
	h := &refusingHost{}
	p := &setProvider{host: h}
	err := p.Publish(t.Context(), Record{Name: "a.b.", Zone: "b.", Value: "v"}, time.Minute)
	require.EqualError(t, err, "no")
	require.Equal(t, 1, h.writes)
}

type refusingHost struct{ writes int }

func (h *refusingHost) find(context.Context, string) (string, error) { return "", nil }
func (h *refusingHost) spell(text string) []string                   { return quoted(text) }
func (h *refusingHost) read(context.Context, string, Record) (recordSet, error) {
	return recordSet{}, nil
}

func (h *refusingHost) write(context.Context, string, Record, recordSet, recordSet) error {
	h.writes++
	return &conflictError{errors.New("no")}
}

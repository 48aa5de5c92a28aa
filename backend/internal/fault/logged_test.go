// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"errors"
	"fmt"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestCERTInextsWordsAreNotLogged(t *testing.T) {
	refused := &certinext.Error{
		Operation: "placing order", Status: 422, Code: "EMS-900", Detail: "[EMS-900] Jane Roe may not",
		Fields: []certinext.FieldError{{Field: "signer", Message: "Jane Roe is unknown"}}, Own: true,
	}
	const told = "placing order: CERTInext answered 422 EMS-900: its words are not logged"
	odd := &certinext.Error{Operation: "reading order", Status: 400, Code: "Jane Roe"}
	cut := errors.Join(errors.New("it failed"), &retold{refused})
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"none":     {nil, ""},
		"other":    {errors.New("storage is full"), "storage is full"},
		"itself":   {refused, told},
		"wrapped":  {fmt.Errorf("order 7: %w", Refused(refused)), "order 7: " + told},
		"joined":   {errors.Join(refused, errors.New("and more")), told + "\nand more"},
		"odd code": {odd, "reading order: CERTInext answered 400: its words are not logged"},
		"retold":   {cut, "it failed\nit says: its words are not logged"},
		"transport": {
			&certinext.Error{Operation: "placing order", Err: errors.New("EOF")}, "placing order: EOF",
		},
		"signing in": {
			&certinext.Error{
				Operation: "signing in", Status: 401, Code: "invalid_client", Detail: "Jane Roe",
				SigningIn: true, Hint: "look at config",
			},
			"signing in: CERTInext answered 401 invalid_client: its words are not logged (look at config)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, Logged(c.err))
			if c.err == nil {
				require.NoError(t, Quiet(c.err))
				return
			}
			require.EqualError(t, Quiet(c.err), c.want)
			require.ErrorIs(t, Quiet(c.err), c.err)
		})
	}
}

// A retold error has a text of its own.
type retold struct{ err *certinext.Error }

func (r *retold) Error() string { return "it says: " + r.err.Detail }
func (r *retold) Unwrap() error { return r.err }

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnErrorSaysOnce(t *testing.T) {
	const why = "it is not what was ordered: it holds a name. An operator of Vault has to release " +
		"or revoke it"
	held := &Order{ID: "id", CAOrderID: "7", State: StateHeld, Needs: []string{why}}
	const found = "; nothing is lost: the same request finds this order again"
	for name, c := range map[string]struct {
		err  Error
		want string
	}{
		"why an order is held": {
			Error{Order: held, Err: errors.New("its certificate is not handed over: " + why)},
			"order id (CERTInext order 7) is held: its certificate is not handed over: " + why +
				found,
		},
		"what an error leaves to the needs": {
			Error{Order: held, Err: errHeld},
			"order id (CERTInext order 7) is held: its certificate is not handed over; " + why +
				found,
		},
		"what has failed": {
			Error{
				Order: &Order{ID: "id", State: StatePending, Needs: []string{"a person"}},
				Err:   errors.New("no"),
			},
			"order id failed: no; a person" + found,
		},
	} {
		t.Run(name, func(t *testing.T) { require.EqualError(t, &c.err, c.want) })
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// track asks for the status of CERTInext's order of a number. An answer that is not certainly about
// that order is an error, whatever it says.
func track(
	ctx context.Context, client *certinext.Client, o *orderEntry, number string,
) (*certinext.Order, error) {
	remote, err := client.TrackOrder(ctx, o.Placement.Family, number)
	if err == nil && !account.IsAbout(remote, number, client.Version) {
		return nil, fmt.Errorf("CERTInext was asked for its order %s, "+
			"and its answer does not say that it is about that order", sanitize.Short(number))
	}
	return remote, err
}

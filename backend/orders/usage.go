// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// usageWarnings says whether a certificate is for what the role's client_flag says. What nobody has
// written there is expected by nobody: it is true by default, as in Vault's PKI engine.
func usageWarnings(role *issuing.Role, c *certificates.Entry) []string {
	if role == nil || role.ClientFlag == nil {
		return nil
	}
	leaf, err := certificates.Parse([]string{c.Certificate})
	if err != nil || len(leaf) == 0 {
		return nil // whoever hands it over says so
	}
	may, usage := certificates.MayAuthenticateClients(leaf[0]), "nothing"
	if names := certificates.ExtKeyUsage(leaf[0]); len(names) > 0 {
		usage = phrase.And(names...)
	}
	switch {
	case *role.ClientFlag && !may:
		return []string{"client_flag: servers refuse the certificate as a client's: its extended " +
			"key usage is " + usage + ". A role whose certificates are for servers only says " +
			"client_flag=false"}
	case !*role.ClientFlag && may:
		return []string{"client_flag: servers accept the certificate as a client's, although the " +
			"role's client_flag is false: its extended key usage is " + usage}
	}
	return nil
}

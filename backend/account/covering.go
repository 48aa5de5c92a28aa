// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// mostDomains is how many of the account's domains are read.
const mostDomains = 1000

// DomainsTimeout bounds a reading of the account's domains.
const DomainsTimeout = 15 * time.Second

// A DomainList is what an account's list of domains says.
type DomainList struct {
	Domains []certinext.Domain
	Whole   bool // these are all that there are
}

// KnownDomains returns the domains of the account. With refresh, it asks CERTInext whatever is
// cached.
func KnownDomains(
	ctx context.Context, acct *Account, a *Session, refresh bool,
) (DomainList, error) {
	list, _, err := a.catalog.domains.Get(ctx, "", refresh, func() (DomainList, error) {
		ctx, cancel := context.WithTimeout(acct.Alive, DomainsTimeout)
		defer cancel()
		return readDomains(ctx, a.Client)
	})
	return list, err
}

func readDomains(ctx context.Context, client *certinext.Client) (DomainList, error) {
	var list DomainList
	for d, err := range client.Domains(ctx, certinext.DomainFilter{}) {
		if err != nil {
			return DomainList{}, err
		}
		if len(list.Domains) == mostDomains {
			return list, nil
		}
		list.Domains = append(list.Domains, d)
	}
	list.Whole = true
	return list, nil
}

// DomainDetails returns one of the account's domains, possibly from the cache: its list does not
// say of every domain until when it is validated.
func DomainDetails(
	ctx context.Context, acct *Account, a *Session, id string,
) (certinext.Domain, error) {
	d, _, err := a.catalog.details.Get(ctx, id, false, func() (certinext.Domain, error) {
		ctx, cancel := context.WithTimeout(acct.Alive, DomainsTimeout)
		defer cancel()
		d, err := a.Client.Domain(ctx, id)
		if err != nil {
			return certinext.Domain{}, err
		}
		return *d, nil
	})
	return d, err
}

// Covering returns the domain whose validation covers a host: the host itself or a domain above it
// that CERTInext calls verified, the one that is validated longest among several. It reports false
// when there is none. Whether it has expired meanwhile is not looked at: ValidTill says it.
func (l DomainList) Covering(host string) (found certinext.Domain, ok bool) {
	for _, d := range l.Domains {
		name := strings.ToLower(d.Name)
		if name == "" || (host != name && !strings.HasSuffix(host, "."+name)) {
			continue
		}
		isVerified := strings.EqualFold(d.DCVStatus, "VERIFIED") &&
			(d.Status == "" || strings.EqualFold(d.Status, "ACTIVE"))
		if isVerified && (!ok || d.ValidTill.After(found.ValidTill)) {
			found, ok = d, true
		}
	}
	return found, ok
}

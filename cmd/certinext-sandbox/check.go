// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// check refuses flags with which the sandbox would start and be of no use. Each error names its
// flag.
func (o *options) check() error {
	var problems []error
	if o.others < 0 {
		problems = append(problems,
			fmt.Errorf("-foreign-orders %d: must not be negative", o.others))
	}
	if o.others > certinexttest.MaxForeignOrders {
		problems = append(problems, fmt.Errorf("-foreign-orders %d: must be at most %d, which are "+
			"kept in memory", o.others, certinexttest.MaxForeignOrders))
	}
	if o.tlsRootFile != "" && o.tlsListen == "" {
		problems = append(problems, fmt.Errorf(
			"-tls-root-file %s: there is no root without -tls-listen", o.tlsRootFile))
	}
	for _, err := range []error{o.checkFiles(), o.checkSnapshot()} {
		if err != nil {
			problems = append(problems, err)
		}
	}
	if err := o.server.Check(); err != nil {
		problems = append(problems, asFlags(err))
	}
	return errors.Join(problems...)
}

// asFlags says which flags the settings are that an error names.
func asFlags(err error) error {
	joined, isJoined := err.(interface{ Unwrap() []error })
	if !isJoined {
		var setting *certinexttest.SettingError
		if errors.As(err, &setting) {
			return fmt.Errorf("-%s %s: %s", setting.Flag(), setting.Value, setting.Problem)
		}
		return err
	}
	var named []error
	for _, one := range joined.Unwrap() {
		named = append(named, asFlags(one))
	}
	return errors.Join(named...)
}

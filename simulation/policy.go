// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"os"
	"strings"
)

// thePolicy is what the oracle checks purchases against. SIM_POLICY relaxes parts of the design, to
// see what else is broken.
var thePolicy = policy{
	FlightsBuy: strings.Contains(os.Getenv("SIM_POLICY"), "flights"),
	AnswersBuy: strings.Contains(os.Getenv("SIM_POLICY"), "answers"),
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package exact reads JSON that means what it says: each member once, by its name letter for
// letter, none of them null, nothing beside. encoding/json forgives all of that, so that what
// somebody has written would count for nothing without a word. It knows nothing of what is read.
package exact

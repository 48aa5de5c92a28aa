// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"regexp"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// commandsIn are the commands in an answer.
var commandsIn = regexp.MustCompile(`vault (?:read|write|delete) (?:-force )?([^ ,;]+)`)

// What an order waits for is told with commands that can be pasted, wherever the engine is mounted.
func TestCommandsInAnswersNameTheMount(t *testing.T) {
	for mount, want := range map[string]string{"": "certinext/", "certinext/": "certinext/", "pki/emudhra/": "pki/emudhra/", "x$(id)/": `'x\$\(id\)/'`, "it's/": `'it'\\''s/'`} {
		t.Run(mount, func(t *testing.T) {
			m := newMount(t, new(certinexttest.Server))
			ask := func(op logical.Operation, path string, data map[string]any) *logical.Response {
				resp, err := m.backend.HandleRequest(context.Background(), &logical.Request{
					Operation: op, Path: path, Data: data, Storage: m.storage, MountPoint: mount, EntityID: "ann",
				})
				require.NoError(t, err)
				return resp
			}
			order := ask(logical.UpdateOperation, "orders/web", map[string]any{"common_name": "www.example.com"})
			draft := ask(logical.UpdateOperation, "orders/web", map[string]any{"common_name": "b.example.com", "save_as_draft": true})
			read := ask(logical.ReadOperation, "orders/web/"+order.Data["order_id"].(string), nil)
			refused := ask(logical.UpdateOperation, "roles/new", map[string]any{"allow_any_name": true})
			for name, answer := range map[string]*logical.Response{"placed": order, "draft": draft, "read": read, "refused": refused} {
				text := fmt.Sprint(answer.Data)
				require.NotContains(t, text, "<mount>", name)
				require.NotEmpty(t, commandsIn.FindAllString(text, -1), "%s: %s", name, text)
				for _, command := range commandsIn.FindAllStringSubmatch(text, -1) {
					require.Regexp(t, "^"+want, command[1], "%s: %s", name, command[0])
				}
			}
		})
	}
}

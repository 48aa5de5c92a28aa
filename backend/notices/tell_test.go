// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package notices

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// An event bus that takes nothing must not fill the memory, and what is not sent is counted.
func TestEventsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var sent int
		h := host.New(host.Options{})
		teller := New(h, func(context.Context, string, ...string) error {
			<-release
			sent++
			return nil
		})
		for range maxWaiting + 50 {
			teller.Tell(Notice{Change: InDoubt, Role: "web"})
			synctest.Wait()
		}
		told, unsent := teller.Counts()
		require.Equal(t, maxWaiting+50, told[Counted{InDoubt, "web"}])
		require.Equal(t, 49, unsent, "one is being sent, and as many wait as may")
		close(release)
		synctest.Wait()
		require.Equal(t, maxWaiting+1, sent)
		teller.Tell(Notice{Change: Failed})
		synctest.Wait()
		require.Equal(t, maxWaiting+2, sent, "it goes on once it is taken again")
		h.Stop()
		h.Work.Wait()
	})
}

func TestAClosedEngineSendsNothing(t *testing.T) {
	h := host.New(host.Options{})
	teller := New(h, func(context.Context, string, ...string) error {
		t.Error("sent")
		return errors.New("closed")
	})
	h.Stop()
	teller.Tell(Notice{Change: Failed})
	h.Work.Wait()
}

func TestAMissingTellerTellsNobody(t *testing.T) {
	var teller *Teller
	teller.Tell(Notice{Change: Failed})
	told, unsent := teller.Counts()
	require.Empty(t, told)
	require.Zero(t, unsent)
}

// By the accessor of a token, the token can be revoked: only entities are told.
func TestOnlyEntitiesAreTold(t *testing.T) {
	var log bytes.Buffer
	h := host.New(host.Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
	teller := New(h, nil)
	for requester, told := range map[string]bool{
		"entity:ann": true, "accessor:hmac-1234": false, "token:hmac-1234": false,
		"hmac-1234": false, "": false,
	} {
		log.Reset()
		teller.Tell(Notice{Change: Held, Requester: requester})
		require.Equal(t, told, strings.Contains(log.String(), "requester_entity="), requester)
		require.NotContains(t, log.String(), "hmac-1234")
	}
}

func TestEveryChangeHasWords(t *testing.T) {
	for _, change := range Changes() {
		require.NotEmpty(t, words[change], change)
	}
	require.Len(t, words, len(Changes()))
}

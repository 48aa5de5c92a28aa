// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An eventBus hears the events of a mount, as Vault's subscribers would.
type eventBus struct {
	mu    sync.Mutex
	heard []sentEvent
	fails func(context.Context) error // nil when it takes every event
	none  bool                        // the server has no events at all
}

// A sentEvent is one event, with its metadata.
type sentEvent struct {
	kind string
	data map[string]string
}

func (b *eventBus) sender() logical.EventSender {
	if b == nil || b.none {
		return nil
	}
	return b
}

func (b *eventBus) SendEvent(ctx context.Context, kind logical.EventType, e *logical.EventData) error {
	if b.fails != nil {
		return b.fails(ctx)
	}
	data := make(map[string]string)
	for name, value := range e.GetMetadata().GetFields() {
		data[name] = value.GetStringValue()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = append(b.heard, sentEvent{string(kind), data})
	return nil
}

// all are the events that were heard so far.
func (b *eventBus) all() []sentEvent {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard
}

// String is all that was heard, for a test that looks for secrets.
func (b *eventBus) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all strings.Builder
	for _, e := range b.heard {
		text, err := json.Marshal(e.data)
		if err != nil {
			panic(err)
		}
		all.WriteString(e.kind)
		all.Write(text)
	}
	return all.String()
}

var loggedField = regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*"|\S+)`)

// notices are the lines of the log that tell a change, by their fields, with their level.
func (m *mount) notices() []map[string]string {
	m.t.Helper()
	var told []map[string]string
	for line := range strings.Lines(m.log.String()) {
		if !strings.Contains(line, ": change=") {
			continue
		}
		fields := map[string]string{"level": regexp.MustCompile(`\[(\w+)\]`).FindStringSubmatch(line)[1]}
		for _, field := range loggedField.FindAllStringSubmatch(line, -1) {
			fields[field[1]] = strings.Trim(field[2], `"`)
		}
		told = append(told, fields)
	}
	return told
}

// changesToTell bring about each change that a person has to know of. Each returns what the log has to say of it, beside the
// change and the level.
var changesToTell = map[string]func(t *testing.T) (*mount, map[string]string){
	"order-in-doubt": func(t *testing.T) (*mount, map[string]string) {
		m := newMount(t, validated(certinexttest.Live))
		m.ca.ReportDelay = 24 * time.Hour
		return m, map[string]string{"order_id": m.unresolved(certinexttest.FaultLostReply), "state": "unresolved"}
	},
	"order-held": func(t *testing.T) (*mount, map[string]string) {
		m := newMount(t, wrongly(certinexttest.MisissueTooLong))
		m.refused("issue/web", www)
		order := m.heldOrder()
		return m, map[string]string{
			"order_id": order["order_id"].(string), "state": "held", "serial": order["serial_number"].(string), "ca_order_id": order["ca_order_id"].(string),
		}
	},
	"order-rejected": func(t *testing.T) (*mount, map[string]string) {
		m := newMount(t, validated(certinexttest.Live))
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 24 * time.Hour })
		id := m.write("orders/web", www).Data["order_id"].(string)
		number := m.ca.Orders()[0].ID
		require.NoError(t, m.ca.Reject(number, "Jane Roe has not signed"))
		m.passes(2)
		return m, map[string]string{"order_id": id, "state": "rejected", "ca_order_id": number}
	},
	"order-failed": func(t *testing.T) (*mount, map[string]string) {
		m := newMount(t, validated(certinexttest.Live))
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerError, Status: 422, Times: 1})
		m.refused("issue/web", www)
		return m, map[string]string{"order_id": m.list("orders/web")[0], "state": "failed"}
	},
	"order-expired": func(t *testing.T) (*mount, map[string]string) {
		m := withApproval(t, validated(certinexttest.Live))
		id := m.toApprove()
		time.Sleep(31 * day)
		m.passes(2)
		return m, map[string]string{"order_id": id, "state": "expired", "requester_entity": "ann"}
	},
	"order-unclaimed": func(t *testing.T) (*mount, map[string]string) {
		m := newMount(t, validated(certinexttest.Live))
		id := m.write("orders/web", www).Data["order_id"].(string)
		m.pass()
		serial := m.read("orders/web/" + id).Data["serial_number"].(string)
		time.Sleep(8 * day)
		m.passes(2)
		return m, map[string]string{"order_id": id, "state": "unclaimed", "serial": serial, "ca_order_id": m.ca.Orders()[0].ID}
	},
	"revoked-outside": func(t *testing.T) (*mount, map[string]string) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		issued := m.write("issue/web", www).Data
		serial := issued["serial_number"].(string)
		portal := newMount(t, ca)
		portal.synchronize()
		portal.write("revoke", map[string]any{"serial_number": serial})
		for range 3 {
			time.Sleep(time.Hour)
			m.synchronize()
		}
		return m, map[string]string{"order_id": issued["order_id"].(string), "serial": serial, "ca_order_id": ca.Orders()[0].ID, "path": "cert/" + serial, "reason": "cessation-of-operation"}
	},
	"reissue-charged": func(t *testing.T) (*mount, map[string]string) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerSample, true)
		m.issue("www.example.com")
		time.Sleep(time.Hour)
		m.pass()
		id := m.write("issue/web", www).Data["order_id"].(string)
		return m, map[string]string{
			"level": "ERROR", "order_id": id, "ca_order_id": m.ca.Orders()[0].ID, "amount": "150.00",
			"path": "operator/renewal/web", "state": "pending",
		}
	},
	"campaign-stuck": func(t *testing.T) (*mount, map[string]string) {
		m := inCampaign(t, nil)
		serials := []any{m.annIssues()["serial_number"], m.asks("issue/web", map[string]any{"common_name": "b.example.com"}).Data["serial_number"]}
		m.ordering("paused")
		m.campaign(map[string]any{"serial_numbers": serials})
		m.campaigns(3)
		first := m.read("replace/friday/certs").Data["certificates"].([]map[string]any)[0]["serial_number"].(string)
		return m, map[string]string{"path": "replace/friday", "serial": first}
	},
	"campaign-over": func(t *testing.T) (*mount, map[string]string) {
		m := inCampaign(t, nil)
		m.annIssues()
		m.campaign(nil)
		m.campaigns(3)
		m.annIssues()
		m.campaigns(3)
		return m, map[string]string{"path": "replace/friday", "state": "done", "role": ""}
	},
	"budget-spent": func(t *testing.T) (*mount, map[string]string) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("budgets/small", map[string]any{"max_orders": 2, "period": "month"})
		for n := range 2 {
			m.write("issue/web", host(n))
		}
		refills := m.budgetUsage("small")["refills_at"].(string)
		for n := range 3 {
			require.Contains(t, m.refused("issue/web", host(10+n)), "is used up")
		}
		return m, map[string]string{"budget": "small", "limit": "max_orders", "path": "budgets/small", "refills_at": refills, "role": ""}
	},
}

// Each change is told by one line and one event, whatever the passes and processes after it do.
func TestEveryChangeIsToldOnce(t *testing.T) {
	for change, brings := range changesToTell {
		t.Run(change, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, says := brings(t)
				want := map[string]string{"change": change, "level": "WARN", "role": "web"}
				if id := says["order_id"]; id != "" {
					want["path"] = "orders/web/" + id
				}
				maps.Copy(want, says)
				maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
				for range 2 {
					m.pass()
					time.Sleep(time.Hour)
					m.pass()
					m.start()
				}
				require.Equal(t, []map[string]string{want}, m.notices())

				event := maps.Clone(want)
				delete(event, "level")
				event["data_path"], event["operation"], event["modified"] = want["path"], change, "true"
				require.Equal(t, []sentEvent{{"certinext/" + change, event}}, m.events.all())
				require.NotContains(t, m.log.String()+m.events.String(), "Jane Roe", "personal data")
			})
		})
	}
}

// Nobody relies on events: a bus that is not there, refuses, or hangs changes nothing.
func TestEventsChangeNothing(t *testing.T) {
	for name, bus := range map[string]*eventBus{
		"no bus":   {none: true},
		"refuses":  {fails: func(context.Context) error { return errors.New("no subscriptions here") }},
		"hangs":    {fails: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		"outlives": {fails: func(context.Context) error { time.Sleep(time.Minute); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := bareMount(t, validated(certinexttest.Live))
				m.events = bus
				m.start()
				m.write("config", m.account())
				m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
				m.write("budgets/small", map[string]any{"max_orders": 1})
				began := time.Now()
				issued := m.write("issue/web", www)
				m.chainOK(issued)
				require.Less(t, time.Since(began), 4*time.Second, "a request waited for its event")
				require.Len(t, m.notices(), 1, "the log tells all the same")
			})
		})
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A storedOrder is what the engine has stored of an order, as far as the books are concerned.
type storedOrder struct {
	ID         string    `json:"id"`
	Role       string    `json:"role"`
	Requester  string    `json:"requester"`
	RequestID  string    `json:"request_id"`
	State      string    `json:"state"`
	CAOrderID  string    `json:"ca_order_id"`
	PrivateKey string    `json:"private_key"`
	CSR        string    `json:"csr"`
	CreatedAt  time.Time `json:"created_at"`
	Placement  struct {
		DNSNames       []string `json:"dns_names"`
		IdempotencyKey string   `json:"idempotency_key"`
	} `json:"placement"`
	LastError string `json:"last_error"`
	Timeline  []struct {
		At   time.Time `json:"at"`
		What string    `json:"what"`
	} `json:"timeline"`

	open bool // has not been closed
}

func (o *storedOrder) marker() string {
	key := strings.ReplaceAll(o.Placement.IdempotencyKey, "-", "")
	id, err := hex.DecodeString(key)
	if err != nil {
		return "vault-order:" + o.Placement.IdempotencyKey
	}
	return "vault-order:" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(id))
}

func (o *storedOrder) String() string {
	return fmt.Sprintf("order %s (%s/%s, %s, CA order %q)", o.ID, o.Role, o.Placement.DNSNames[0], o.State, o.CAOrderID)
}

// lastChange is when something last happened to the order.
func (o *storedOrder) lastChange() time.Time {
	if len(o.Timeline) == 0 {
		return o.CreatedAt
	}
	return o.Timeline[len(o.Timeline)-1].At
}

// history is the order's timeline.
func (o *storedOrder) history() string {
	var out strings.Builder
	for _, e := range o.Timeline {
		fmt.Fprintf(&out, "      %s %s\n", e.At.UTC().Format("15:04:05.000"), e.What)
	}
	return out.String()
}

// A storedCert is what the engine has stored of a certificate.
type storedCert struct {
	Serial    string    `json:"serial"`
	OrderID   string    `json:"order_id"`
	CAOrderID string    `json:"ca_order_id"`
	Role      string    `json:"role"`
	Requester string    `json:"requester"`
	NotAfter  time.Time `json:"not_after"`
	Delivery  *struct {
		At    time.Time `json:"at"`
		Times int       `json:"times"`
	} `json:"delivery"`
	Leases     map[string]time.Time `json:"leases"`
	LeaseEnded bool                 `json:"lease_ended"`
	Revocation *struct {
		At time.Time `json:"at"`
	} `json:"revocation"`
}

// A storedRevocation is an entry of the queue.
type storedRevocation struct {
	Due       bool      `json:"due"`
	Next      time.Time `json:"next"`
	LastError string    `json:"last_error"`
}

// books are what everybody has written down.
type books struct {
	ca     []certinexttest.OrderRecord
	orders map[string]*storedOrder // by id
	certs  map[string]*storedCert  // by serial number as in the CA's books
	queue  map[string]*storedRevocation
	// What certinext/certs and certinext/certs/revoked list, as in the CA's books.
	listed, revoked []string
	leases          map[string]bool   // that Vault knows, by id
	inside          map[string]string // the serial numbers of the same by the engine's own id
}

// stored reads the entries below a folder, but for those that skip names by the last part of their key.
func stored[T any](c *chaos, folder string, skip map[string]bool, each func(key string, value *T)) {
	c.t.Helper()
	for _, key := range c.v.list(c.raw + folder) {
		switch {
		case strings.HasSuffix(key, "/"):
			stored(c, folder+key, skip, each)
			continue
		case skip[key]:
			continue
		}
		resp, err := c.v.api.Logical().ReadWithContext(c.t.Context(), c.raw+folder+key)
		require.NoError(c.t, err)
		if resp == nil {
			continue // it has gone since it was listed
		}
		value, text := new(T), ""
		text, _ = resp.Data["value"].(string)
		require.NoError(c.t, json.Unmarshal([]byte(text), value), "%s does not parse", folder+key)
		each(folder+key, value)
	}
}

func (c *chaos) storedOrders(folder string, skip map[string]bool) map[string]*storedOrder {
	out := make(map[string]*storedOrder)
	stored(c, folder, skip, func(key string, o *storedOrder) {
		o.open = strings.HasPrefix(key, "order/open/")
		if before := out[o.ID]; before != nil && !before.open {
			return // closing it was cut short between its two writes
		}
		out[o.ID] = o
	})
	return out
}

// byMarker are the CA's orders by the tag that says whose they are.
func byMarker(ca []certinexttest.OrderRecord) map[string][]certinexttest.OrderRecord {
	out := make(map[string][]certinexttest.OrderRecord)
	for _, o := range ca {
		for _, tag := range o.Tags {
			if strings.HasPrefix(tag, "vault-order:") {
				out[tag] = append(out[tag], o)
			}
		}
	}
	return out
}

// settle has the orders looked for that may be at the CA or not. Those that are there, the engine has to find by itself when
// their requester asks for them once more. For those that are not, it may never be certain: then an operator is, who looks
// into the CA's books. It returns how many it has to come back for.
func (c *chaos) settle() int {
	again, known := 0, byMarker(c.ca.Orders())
	for _, o := range c.storedOrders("order/open/", c.taken) {
		if o.State != "unresolved" && o.State != "placing" {
			continue
		}
		again++
		if len(known[o.marker()]) > 0 {
			if w := c.fetch(o, false); w != nil {
				w.client.grant(o, w)
			}
			continue
		}
		_, err := c.v.send("certinext/operator/orders/"+o.Role+"/"+o.ID, map[string]any{"never_placed": true})
		switch {
		case err == nil:
			c.tally.add("by hand", "never placed", 1)
		case !isRefusal(err):
			c.wrong("%s: settling it by hand: %v", o, err)
		}
	}
	return again
}

// clearUp has every order that is still open collected, or cancelled, by its own requester, although the client that asked for
// it does not care any more. It returns how many there are.
func (c *chaos) clearUp() int {
	stored(c, "cert/", c.taken, func(key string, crt *storedCert) {
		if crt.Delivery != nil && crt.Revocation == nil {
			c.taken[crt.OrderID], c.taken[strings.TrimPrefix(key, "cert/")] = true, true
		}
	})
	left := c.storedOrders("order/open/", c.taken)
	for _, o := range left {
		c.fetch(o, strings.HasSuffix(o.Placement.DNSNames[0], unproven))
	}
	return len(left)
}

// fetch collects or cancels an order as its requester, and returns what came of it.
func (c *chaos) fetch(o *storedOrder, cancel bool) *wish {
	k := c.requester(o.Requester)
	if k == nil {
		c.wrong("%s: its requester %s is none of the clients", o, o.Requester)
		return nil
	}
	w := &wish{client: k, verb: "order", role: o.Role, cn: o.Placement.DNSNames[0], order: o.ID, cancel: cancel, lost: 1}
	if o.PrivateKey == "" {
		w.key, w.csr = k.keyOf(o.CSR), o.CSR
	}
	c.tally.add("calls", "for those who left", 1)
	k.next(w, false)
	return w
}

// grant gives the certificate that was fetched to the wish that the order is for, if that is open yet. When two orders of one asking
// are in doubt, every repetition is answered with the older one, so none of the wishes comes to the other.
func (k *chaosClient) grant(o *storedOrder, fetched *wish) {
	if fetched.serial == "" || o.RequestID != "" {
		return
	}
	for _, w := range k.wishes {
		if w.open() && w.verb != "order" && w.role == o.Role && w.cn == o.Placement.DNSNames[0] && w.id == "" && strings.TrimSpace(w.csr) == strings.TrimSpace(fetched.csr) {
			w.mu.Lock()
			w.serial = fetched.serial
			w.story = append(w.story, "fetched by order "+o.ID)
			w.mu.Unlock()
			return
		}
	}
}

// requester finds the client behind a requester.
func (c *chaos) requester(name string) *chaosClient {
	if c.requesters[name] == nil {
		c.learn(c.storedOrders("order/", nil))
	}
	return c.requesters[name]
}

// learn finds out who the requesters of orders are, by the clients that were told of them: what batch tokens are known by is
// the engine's own.
func (c *chaos) learn(orders map[string]*storedOrder) {
	c.mu.Lock()
	told := maps.Clone(c.orders)
	c.mu.Unlock()
	for id, o := range orders {
		k, before := told[id], c.requesters[o.Requester]
		switch {
		case k == nil:
		case before != nil && before != k:
			c.wrong("%s is of %s, and was told to %s", o, before.name, k.name)
		default:
			c.requesters[o.Requester] = k
		}
	}
}

// drain revokes what is queued. It returns how many of those are left.
func (c *chaos) drain() int {
	left := 0
	stored(c, "revocation/", nil, func(key string, q *storedRevocation) {
		if !q.Due {
			return
		}
		left++
		c.tally.add("revocations", "from the queue", 1)
		if _, err := c.v.send("certinext/revoke", map[string]any{"serial_number": strings.TrimPrefix(key, "revocation/")}); err != nil {
			c.wrong("%s: revoking what was queued: %v", key, err)
		}
	})
	return left
}

// waitForPass waits for what Vault's own minute brings and nobody asks for: the keys of orders that were answered longer ago
// than their grace are erased. A pass does a bounded piece of work, so what is left after some of them has to be less. After a
// restart CERTInext is asked again about each open order before it is known that its certificate was handed over.
func (c *chaos) waitForPass() {
	var example *storedOrder
	overdue := func() int {
		n := 0
		for _, o := range c.storedOrders("order/open/hasty/", nil) {
			if o.PrivateKey != "" {
				n, example = n+1, o
			}
		}
		return n
	}
	before, left := overdue(), 0
	for i := range 30 {
		left = overdue()
		if left == 0 || (i >= 15 && left < before) {
			break
		}
		time.Sleep(10 * time.Second)
	}
	c.tally.add("keys", "beyond their grace when all was calm", before)
	c.tally.add("keys", "beyond their grace some minutes later", left)
	if left > 0 && left >= before {
		c.wrong("%d keys are beyond their grace, and the background has erased none of them, such as that of %s\n%s    what the engine last said of its passes:\n%s",
			left, example, example.history(), c.saidOfPasses())
	}
}

// saidOfPasses are the last lines of the log that speak of the background pass, or of the clock.
func (c *chaos) saidOfPasses() string {
	var said []string
	for line := range strings.Lines(c.v.process.output(c.t)) {
		rollback := strings.Contains(line, "rollback") && strings.Contains(line, "ERROR")
		if strings.Contains(line, "background pass") || strings.Contains(line, "clock") || rollback {
			said = append(said, "      "+line)
		}
	}
	return strings.Join(said[max(0, len(said)-12):], "")
}

// unstoredPatience is how long after its due a lease that Vault never stored may be without consequence: the engine waits for a minute, looks
// at whole ones, and has its turn in Vault's own.
const unstoredPatience = 4 * time.Minute

// waitForLeases waits for the leases that Vault never stored, since it died before that, and that the engine ends by itself.
func (c *chaos) waitForLeases() {
	overdue := func() (n int, longest time.Duration) {
		queue := make(map[string]bool)
		stored(c, "revocation/", nil, func(key string, _ *storedRevocation) { queue[strings.TrimPrefix(key, "revocation/")] = true })
		stored(c, "cert/", nil, func(key string, crt *storedCert) {
			last := time.Time{}
			for _, end := range crt.Leases {
				if end.After(last) {
					last = end
				}
			}
			if late := time.Since(last); !last.IsZero() && late > 0 && crt.Revocation == nil && !queue[strings.TrimPrefix(key, "cert/")] {
				n, longest = n+1, max(longest, late)
			}
		})
		return n, longest
	}
	before, longest := overdue()
	left := before
	for left > 0 && longest <= unstoredPatience {
		time.Sleep(10 * time.Second)
		left, longest = overdue()
	}
	c.tally.add("leases", "that Vault did not end, when all was calm", before)
	c.tally.add("leases", "that Vault did not end, some minutes later", left)
}

// readBooks reads until two readings agree: leases end by themselves, and what that changes must not fall between two pages.
func (c *chaos) readBooks() *books {
	started := time.Now()
	before := c.readOnce()
	for {
		b := c.readOnce()
		switch {
		case reflect.DeepEqual(before, b):
			c.t.Logf("the books took %s to read", time.Since(started).Round(time.Second))
			return b
		case time.Since(started) > 2*time.Minute:
			c.wrong("the books have not come to rest")
			return b
		}
		before = b
	}
}

func (c *chaos) readOnce() *books {
	b := &books{
		ca: c.ca.Orders(), orders: c.storedOrders("order/", nil), certs: make(map[string]*storedCert),
		queue: make(map[string]*storedRevocation), leases: make(map[string]bool), inside: make(map[string]string),
	}
	for _, serial := range c.v.list("certinext/certs") {
		b.listed = append(b.listed, plainSerial(serial))
	}
	for _, serial := range c.v.list("certinext/certs/revoked") {
		b.revoked = append(b.revoked, plainSerial(serial))
	}
	stored(c, "cert/", nil, func(_ string, crt *storedCert) { b.certs[plainSerial(crt.Serial)] = crt })
	stored(c, "revocation/", nil, func(key string, q *storedRevocation) {
		b.queue[plainSerial(strings.TrimPrefix(key, "revocation/"))] = q
	})
	c.readLeases(b, "certinext/")
	return b
}

func (c *chaos) readLeases(b *books, folder string) {
	for _, key := range c.v.list("sys/leases/lookup/" + folder) {
		if strings.HasSuffix(key, "/") {
			c.readLeases(b, folder+key)
			continue
		}
		b.leases[folder+key] = true
		if own, serial := c.insideOf(folder + key); own != "" {
			b.inside[own] = plainSerial(serial)
		}
	}
}

// insideOf reads the engine's own name for a lease, and the serial number of its certificate.
func (c *chaos) insideOf(lease string) (own, serial string) {
	resp, err := c.v.api.Logical().ReadWithContext(c.t.Context(), "sys/raw/sys/expire/id/"+lease)
	require.NoError(c.t, err)
	if resp == nil {
		return "", ""
	}
	var entry struct {
		Secret struct {
			InternalData struct {
				Lease  string `json:"lease"`
				Serial string `json:"serial"`
			} `json:"internal_data"`
		} `json:"secret"`
	}
	text, _ := resp.Data["value"].(string)
	require.NoError(c.t, json.Unmarshal([]byte(text), &entry))
	return entry.Secret.InternalData.Lease, entry.Secret.InternalData.Serial
}

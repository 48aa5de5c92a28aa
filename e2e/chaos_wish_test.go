// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// A wish is one certificate that a client wants, however often it has to ask.
type wish struct {
	client *chaosClient
	verb   string // issue, sign, or order; an order may be meant to be cancelled
	role   string
	cn     string
	id     string            // request_id; empty for most
	key    *ecdsa.PrivateKey // of the client's own CSR; nil when Vault makes the key
	csr    string
	cancel bool // the order is to be cancelled, not collected
	again  bool // its name has been answered before
	force  bool // force_new: what was handed over before is no use
	given  bool // up: the client has hung up and does not care any more

	mu        sync.Mutex
	order     string // of verb order: the id that was answered
	cancelled bool
	serial    string   // of the certificate that it got
	refused   string   // why it never gets one
	lost      int      // answers that may have been given and did not arrive
	last      string   // what was answered last
	story     []string // what was asked and answered
	calls     []wishCall
}

// A wishCall is when one of a wish's calls ran.
type wishCall struct {
	began, ended time.Time
	places       bool // it may have placed an order
	lost         int  // answers that may have been given and did not arrive
}

// told is the story of what was asked and answered.
func (w *wish) told() string { return "      " + strings.Join(w.story, "\n      ") }

// hear takes in what was answered. The caller holds mu.
func (w *wish) hear(path string, r reply) {
	if len(w.story) == 0 || r.reason == "" || r.reason != w.last {
		w.story = append(w.story, fmt.Sprintf("%s %s: %v %s", time.Now().UTC().Format("15:04:05.000"), path, r.fate, r.reason))
	}
	w.last = r.reason
	w.lost += r.lost
}

func (w *wish) String() string {
	s := fmt.Sprintf("%s %s/%s by %s", w.verb, w.role, w.cn, w.client.name)
	if w.force {
		s += ", another one by force"
	}
	if w.id != "" {
		s += " named " + w.id
	}
	if w.order != "" {
		s += " (order " + w.order + ")"
	}
	return s
}

func (w *wish) open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.given && !w.cancelled && w.serial == "" && w.refused == ""
}

// A holder is a certificate that was handed over, with everything that hangs on it.
type holder struct {
	serial string // as Vault writes it
	wish   *wish
	pem    string
	keyPEM string
	order  string
	owners []*chaosClient

	mu      sync.Mutex
	answers []handing
	leases  []string
	ended   []string  // those that the client has ended
	revoked bool      // the client has asked for that, and Vault has taken it
	tried   bool      // the client has asked for that
	touched time.Time // when the client first did what may end the certificate; zero if it never has
}

// A handing is one answer with a certificate.
type handing struct {
	began, ended time.Time
	reused       bool
}

// touch notes that the certificate may be over from now on. The caller holds mu.
func (h *holder) touch() {
	if h.touched.IsZero() {
		h.touched = time.Now()
	}
}

// wish makes a wish for a new certificate. Some names are wanted by many clients, and by one client more than once. What is to
// be cancelled is for a domain that the CA never validates.
func (k *chaosClient) wish(verb string) *wish {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &wish{client: k, verb: verb, role: chaosRoleNames[k.rng.IntN(len(chaosRoleNames))]}
	if w.cancel = verb == "cancel"; w.cancel {
		w.verb, w.role = "order", chaosRoleNames[0]
	}
	w.cn = fmt.Sprintf("%s-%d.example.com", k.name, len(k.wishes))
	switch n := k.rng.IntN(100); {
	case n < 15:
		w.cn = fmt.Sprintf("shared-%d.example.com", k.rng.IntN(3))
	case n < 40:
		w.id = fmt.Sprintf("deploy-%d", len(k.wishes))
	}
	switch {
	case w.cancel:
		w.cn = strings.Replace(w.cn, "example.com", unproven, 1)
	case w.role == "wild":
		w.cn = strings.Replace(w.cn, "example.com", unvalidated, 1)
	case w.role == "intranet":
		w.cn = strings.Replace(w.cn, "example.com", "corp.internal", 1)
	}
	if verb == "sign" || (verb == "order" && k.rng.IntN(3) == 0) {
		w.key, w.csr = newCSR(k.chaos.t, w.cn)
	}
	k.wishes = append(k.wishes, w)
	return w
}

// tries are how often a client asks, with growing pauses as consul-template does, before it leaves the rest to another day.
const tries = 7

// pursue asks until the wish is granted, refused for good, or the client has lost patience.
func (k *chaosClient) pursue(w *wish) {
	pause := 100 * time.Millisecond
	for try := range tries {
		if try > 0 {
			if k.chaos.stopped.Load() {
				return
			}
			k.chaos.tally.add("calls", "again", 1)
		}
		before := w.lost
		k.ask(w, try == 0)
		if !w.open() {
			return
		}
		if w.lost > before && w.id == "" && k.draw(100) < 6 {
			w.given = true // somebody stopped the program that asked
			return
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Second)
	}
}

// ask makes the call that brings a wish forward.
func (k *chaosClient) ask(w *wish, first bool) {
	count := func(kind string) string {
		if first {
			k.chaos.tally.add("calls", kind, 1)
		}
		return kind
	}
	switch {
	case w.verb != "order":
		k.write(w, count(w.verb), "certinext/"+w.verb+"/"+w.role, named(w.fields(), w))
	case w.order == "":
		path, data := "certinext/orders/"+w.role, map[string]any{"common_name": w.cn}
		if w.csr != "" {
			data["csr"] = w.csr
		} else if len(w.cn)%2 == 0 {
			path, data["async"] = "certinext/issue/"+w.role, true
		}
		k.write(w, count("order"), path, named(data, w))
		if w.order != "" && w.open() {
			k.chaos.begun.Add(1)
			k.next(w, true)
		}
	default:
		k.next(w, false)
	}
}

func named(data map[string]any, w *wish) map[string]any {
	if w.id != "" {
		data["request_id"] = w.id
	}
	if w.force {
		data["force_new"] = true
	}
	return data
}

// next collects or cancels an order that was placed.
func (k *chaosClient) next(w *wish, first bool) {
	path := "certinext/orders/" + w.role + "/" + w.order
	if !w.cancel {
		if first {
			k.chaos.tally.add("calls", "collect", 1)
		}
		k.write(w, "collect", path+"/collect", nil)
		return
	}
	if first {
		k.chaos.tally.add("calls", "cancel", 1)
	}
	r := k.call("cancel", k.patience(), func(ctx context.Context, a *api.Client) (*api.Secret, error) {
		return a.Logical().DeleteWithContext(ctx, path)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hear(path, r)
	switch {
	case r.fate == answered:
		w.cancelled = true
		// Of an order that the CA has never had, the record is removed.
		if state, _ := r.Data["state"].(string); state != "cancelled" && state != "failed" {
			k.chaos.wrong("%s: cancelling was answered with the state %q", w, state)
		}
	case r.fate == refused && strings.Contains(r.reason, "is over: cancelled"):
		w.cancelled = true
	case r.fate == refused && (strings.Contains(r.reason, "is over: failed") || strings.Contains(r.reason, "no order")):
		w.cancelled = true // the CA has never had it; the record may have gone with an answer that was lost
	}
}

// write makes a call for a wish and takes in the answer.
func (k *chaosClient) write(w *wish, kind, path string, data map[string]any) {
	began := time.Now()
	r := k.call(kind, k.patience(), func(ctx context.Context, a *api.Client) (*api.Secret, error) {
		return a.Logical().WriteWithContext(ctx, path, data)
	})
	if id := orderID.FindString(r.reason); r.fate == refused && id != "" {
		k.chaos.told(id, w)
	}
	if r.lost > 0 && kind == "collect" {
		k.chaos.miss(w.order)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hear(path, r)
	w.ran(kind, began, r.lost)
	switch r.fate {
	case lost:
	case refused:
		k.refusedTo(w, kind, r.reason)
	case answered:
		id, _ := r.Data["order_id"].(string)
		k.chaos.told(id, w)
		if _, ok := r.Data["certificate"]; !ok {
			w.order = id
			return
		}
		k.take(w, r.Secret, began)
	}
}

// ran notes when a call ran. The caller holds mu.
func (w *wish) ran(kind string, began time.Time, lost int) {
	ended := time.Now()
	if lost > 0 {
		ended = ended.Add(2 * time.Second) // the engine may answer a moment after the client has left
	}
	w.calls = append(w.calls, wishCall{began: began, ended: ended, places: kind != "collect", lost: lost})
}

// refusedTo takes in a 400. Most say that the order is not finished, or why the CA did not take it: the client asks again.
func (k *chaosClient) refusedTo(w *wish, kind, reason string) {
	switch {
	case w.csr != "" && strings.Contains(reason, "Duplicate CSR"):
		w.refused = reason // version 1 certifies a key once: what the books say of that key has to bear it out
	case w.csr != "" && strings.Contains(reason, "its key is compromised"):
		w.refused = reason // somebody has revoked it as that: the books have to know of it
	case strings.Contains(reason, "which is over"):
		w.refused = reason
		if w.lost == 0 && !w.again {
			k.chaos.found(lostKey, "%s: %s, and no answer was lost\n%s", w, reason, w.told())
		}
	case kind == "collect" && strings.Contains(reason, "collected already"):
		if w.id == "" && k.chaos.handed(w.order) == k {
			w.order = "" // it was the open order of an equal request too, which has got it: this one is for another
			return
		}
		if w.lost == 0 {
			k.chaos.found(lostKey, "%s: %s, and no answer was lost\n%s", w, reason, w.told())
		}
		if w.id == "" {
			w.refused = reason
			return
		}
		w.verb = "issue" // the same name is always the same order
		if w.csr != "" {
			w.verb = "sign"
		}
	case kind == "collect" && (strings.Contains(reason, "is over: ") || strings.Contains(reason, "no order")):
		w.order = "" // the CA never had it, or its certificate is revoked: it is asked for once more
	}
}

// told remembers whose order it is. An order that two clients are told of is one of them's by mistake.
func (c *chaos) told(id string, w *wish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.orders[id]; before != nil && before != w.client {
		c.note(otherwrong, "order %s was told to %s and to %s (%s)", id, before.name, w.client.name, w)
	}
	c.orders[id] = w.client
}

// handed returns the client that has the certificate of an order.
func (c *chaos) handed(order string) *chaosClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.held {
		if h.order == order {
			return h.wish.client
		}
	}
	return nil
}

// miss remembers that an order was collected by an answer that may have been given and did not arrive.
func (c *chaos) miss(order string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed[order] = true
}

// take checks a certificate that was handed over, and keeps it.
func (k *chaosClient) take(w *wish, resp *api.Secret, began time.Time) {
	c := k.chaos
	h := &holder{wish: w}
	h.serial, _ = resp.Data["serial_number"].(string)
	h.order, _ = resp.Data["order_id"].(string)
	h.pem, _ = resp.Data["certificate"].(string)
	h.keyPEM, _ = resp.Data["private_key"].(string)
	leaf, err := readCertificate(h.pem)
	if err != nil {
		c.wrong("%s: certificate %s of order %s cannot be read: %v", w, h.serial, h.order, err)
		return
	}
	if problem := keyProblem(w, h, leaf); problem != "" {
		c.found(lostKey, "%s: certificate %s of order %s: %s", w, h.serial, h.order, problem)
	}
	for _, problem := range c.examine(w, resp, h, leaf) {
		c.wrong("%s: certificate %s of order %s: %s", w, h.serial, h.order, problem)
	}
	c.mu.Lock()
	if known := c.held[h.serial]; known != nil {
		if known.order != h.order || known.keyPEM != h.keyPEM {
			c.note(otherwrong, "certificate %s was handed over as of order %s and of order %s, or with two keys",
				h.serial, known.order, h.order)
		}
		h = known
	}
	c.held[h.serial] = h
	if c.secret++; c.secret <= 40 && h.keyPEM != "" {
		c.v.keep("a private key", h.keyPEM)
	}
	c.mu.Unlock()
	h.mu.Lock()
	if !slices.Contains(h.owners, k) {
		h.owners = append(h.owners, k)
	}
	reused, told := resp.Data["reused"].(bool)
	if !told {
		c.wrong("%s: the answer with certificate %s does not say whether it is reused", w, h.serial)
	}
	h.answers = append(h.answers, handing{began: began, ended: time.Now(), reused: reused})
	c.tally.add("answers", map[bool]string{true: "with a certificate again", false: "with a certificate"}[reused], 1)
	if resp.LeaseID != "" {
		h.leases = append(h.leases, resp.LeaseID)
	}
	h.mu.Unlock()
	w.serial = h.serial
	k.mu.Lock()
	k.mine = append(k.mine, h)
	k.mu.Unlock()
}

// keyProblem says what is wrong with the key of an answer.
func keyProblem(w *wish, h *holder, leaf *x509.Certificate) string {
	key := w.key
	block, _ := pem.Decode([]byte(h.keyPEM))
	switch {
	case key != nil && h.keyPEM != "":
		return "a key came with it, although the client has its own"
	case key == nil && block == nil:
		return "no key came with it"
	case key == nil:
		var err error
		if key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
			return "the key cannot be read"
		}
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return "the key is not the certificate's"
	}
	return ""
}

// examine says what is wrong with the rest of an answer.
func (c *chaos) examine(w *wish, resp *api.Secret, h *holder, leaf *x509.Certificate) []string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if leaf.Subject.CommonName != w.cn {
		bad("it is for %s", leaf.Subject.CommonName)
	}
	if got, want := leaf.SerialNumber.Text(16), plainSerial(h.serial); got != want {
		bad("its serial number is %s", got)
	}
	pool, above := x509.NewCertPool(), texts(resp.Data["ca_chain"])
	for _, text := range above {
		if up, err := readCertificate(text); err == nil {
			pool.AddCert(up)
		}
	}
	if len(above) == 0 {
		bad("it came without its chain")
	} else if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.ca.Roots(), Intermediates: pool}); err != nil {
		bad("the chain does not hold: %v", err)
	}
	if lease := chaosRoles[w.role]["generate_lease"] != false; lease != (resp.LeaseID != "") {
		bad("the lease is %q", resp.LeaseID)
	}
	return problems
}

func readCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// plainSerial is a serial number as the CA's books have it.
func plainSerial(serial string) string {
	return strings.TrimLeft(strings.NewReplacer(":", "", "-", "").Replace(serial), "0")
}

// another is a wish for the same thing as an earlier one.
func (k *chaosClient) another(of *wish) *wish {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &wish{client: k, verb: of.verb, role: of.role, cn: of.cn, id: of.id, key: of.key, csr: of.csr, again: of.id != ""}
	if w.verb == "order" {
		w.verb = "issue"
		if w.csr != "" {
			w.verb = "sign"
		}
	}
	k.wishes = append(k.wishes, w)
	return w
}

// fleet asks for the same thing several times at the same instant: copies of a program that were started together. It is one order.
func (k *chaosClient) fleet() {
	first := k.wish([]string{"issue", "sign"}[k.draw(2)])
	first.again = first.id != ""
	k.atOnce(first, 2+k.draw(3))
}

// atOnce pursues a wish and others like it, n in all, at the same instant.
func (k *chaosClient) atOnce(first *wish, n int) {
	all := []*wish{first}
	for len(all) < n {
		all = append(all, k.another(first))
		all[len(all)-1].force = first.force
	}
	k.chaos.begun.Add(int64(n - 1))
	var flown sync.WaitGroup
	for _, w := range all {
		flown.Go(func() { k.pursue(w) })
	}
	flown.Wait()
	for _, w := range all[1:] {
		if first.id != "" && first.serial != "" && w.serial != "" && first.serial != w.serial {
			k.chaos.wrong("%s: the same name brought the certificates %s and %s", first, first.serial, w.serial)
		}
	}
}

// repeat asks again for what was answered before, as programs do whose template fails, whose pod restarts, or whose wrapped answer nobody
// has read. That the certificate is the same, and for how long, is held against the books in the end.
func (k *chaosClient) repeat() {
	h := k.pick(func(h *holder) bool { return h.wish.id == "" && h.wish.client == k })
	if h == nil {
		k.pursue(k.wish("issue"))
		return
	}
	if k.draw(2) == 0 {
		time.Sleep(time.Duration(k.draw(3000)) * time.Millisecond)
	}
	w := k.another(h.wish)
	kind := []string{"at once", "by a fleet", "after an unread answer", "by force", "by force, as a fleet"}[k.draw(5)]
	k.chaos.tally.add("repeats", kind, 1)
	switch kind {
	case "by a fleet":
		k.atOnce(w, 2+k.draw(3))
		return
	case "after an unread answer":
		for range 1 + k.draw(3) {
			k.leaveUnread(w)
		}
	case "by force":
		w.force = true
	case "by force, as a fleet":
		w.force = true
		k.atOnce(w, 2+k.draw(2))
		return
	}
	k.pursue(w)
}

// leaveUnread has the answer wrapped, and never looks into it.
func (k *chaosClient) leaveUnread(w *wish) {
	k.chaos.tally.add("calls", "left unread", 1)
	path, data := "certinext/"+w.verb+"/"+w.role, named(w.fields(), w)
	began := time.Now()
	r := k.call("unread", k.patience(), func(ctx context.Context, a *api.Client) (*api.Secret, error) {
		wrapping, err := a.Clone()
		if err != nil {
			return nil, err
		}
		wrapping.SetToken(a.Token())
		wrapping.SetWrappingLookupFunc(func(string, string) string { return "5m" })
		return wrapping.Logical().WriteWithContext(ctx, path, data)
	})
	if id := orderID.FindString(r.reason); r.fate == refused && id != "" {
		k.chaos.told(id, w)
	}
	if r.fate == answered {
		r.lost++
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hear(path+", wrapped", r)
	w.ran("unread", began, r.lost)
}

// fields are what the request says of the certificate.
func (w *wish) fields() map[string]any {
	if w.csr != "" {
		return map[string]any{"csr": w.csr}
	}
	return map[string]any{"common_name": w.cn}
}

// again asks by the name of a request that was answered before.
func (k *chaosClient) again() {
	k.mu.Lock()
	var old *wish
	for _, w := range k.wishes {
		if w.id != "" && w.serial != "" && w.verb == "issue" {
			old = w
		}
	}
	if old == nil {
		k.mu.Unlock()
		k.pursue(k.wish("issue"))
		return
	}
	w := &wish{client: k, verb: "issue", role: old.role, cn: old.cn, id: old.id, again: true}
	k.wishes = append(k.wishes, w)
	k.mu.Unlock()
	k.pursue(w)
	if w.serial != "" && w.serial != old.serial {
		k.chaos.wrong("%s: the same name brought the certificates %s and %s", w, old.serial, w.serial)
	}
}

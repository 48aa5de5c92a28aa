// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// An Origin says where a certificate comes from.
type Origin string

// The origins of certificates.
const (
	Ordered      Origin = "order"        // of this mount
	Synchronized Origin = "synchronized" // found in CERTInext's records
	Adopted      Origin = "adopted"      // found there, and taken into a role since
)

// A Row is what is listed of a certificate, or of an order, which has no serial number as long as
// it has no certificate. It has no secret, and no personal data beyond names. Times are kept to the
// second, and are zero when they are not known.
type Row struct {
	Serial    string // with dashes
	Role      string
	Requester string // as sanitize.Subject shows it: never by the accessor of a token
	Owner     string
	OrderID   string
	Account   string
	// Names are DNS names, IP addresses and e-mail addresses, the common name first; at most
	// maxNames bytes of them.
	Names   []string
	Issuer  string // common name of the issuing CA
	KeyType string // "ec-256", "rsa-2048"
	// Chain says which certificates of CAs came with it: certificates with the same Chain have the
	// same ones above them. Empty for an order, and in pages of earlier versions.
	Chain string
	// Key is its own public key.
	Key KeyID
	// NotBefore and NotAfter are the validity of a certificate; PaidUntil is the end of the term
	// that its order has bought.
	NotBefore, NotAfter, PaidUntil, Revoked time.Time
	// Price is what that term has cost, with its currency, as "25.00 USD"; empty when it is not
	// known.
	Price  string
	Origin Origin
	// Held is set while the certificate is not handed over.
	Held bool

	// State and WaitsFor are those of an order, and Number is CERTInext's for it. A certificate has
	// no such state: see [StateOf].
	State, WaitsFor, Number string
	// MadeAt and ChangedAt are when an order was made, and last changed.
	MadeAt, ChangedAt time.Time
	// Unsaved is set for a row that changes too often to be saved, such as an open order's: it is
	// read from its entry after a start.
	Unsaved bool
}

// A KeyID stands for a public key: it is the first half of the SHA-256 of its SubjectPublicKeyInfo,
// which nobody finds another key for. The zero value stands for none.
type KeyID [sha256.Size / 2]byte

// KeyIDOf returns the id of a key, by the SHA-256 of its SubjectPublicKeyInfo.
func KeyIDOf(sum [sha256.Size]byte) KeyID { return KeyID(sum[:sha256.Size/2]) }

// key is what the row is found by: the serial number of a certificate, or <role>/<id> of an order.
func (r *Row) key() string {
	if r.State == "" {
		return r.Serial
	}
	return r.Role + "/" + r.OrderID
}

// maxNames is how many bytes of names a row keeps.
const maxNames = 8 << 10

// A packed is a row as it is kept: what many rows share is a number of a word, times are seconds,
// and serial numbers and ids are bytes.
type packed struct {
	key, serial, order, number string
	names                      string // separated by line feeds
	role, requester, owner     uint32
	account, issuer, keyType   uint32
	state, waitsFor, origin    uint32
	chain                      uint32
	publicKey                  KeyID
	price                      uint32
	notBefore, notAfter        int64
	paidUntil, revoked         int64
	madeAt, changedAt          int64

	page int32 // in which the row is saved; noPage for one that is not
	// told is set when this process was told of the row, rather than having read it.
	held, told, unsaved bool
}

// words are texts that many rows share. None is ever removed: there are as many roles, owners and
// issuers as there were since the start of the process.
type words struct {
	all    []string
	number map[string]uint32
}

func (w *words) of(text string) uint32 {
	n, known := w.number[text]
	if known {
		return n
	}
	if w.number == nil {
		w.number = make(map[string]uint32)
	}
	n = uint32(len(w.all)) //nolint:gosec // fewer than rows
	text = strings.Clone(text)
	w.all = append(w.all, text)
	w.number[text] = n
	return n
}

// pack returns a row as it is kept, without a page. The caller holds mu for writing.
func (x *Index) pack(r *Row) packed {
	p := packed{
		key: packID(r.key()), number: strings.Clone(r.Number), names: joinNames(r.Names),
		order:   packID(r.OrderID),
		role:    x.words.of(r.Role),
		owner:   x.words.of(r.Owner),
		account: x.words.of(r.Account), issuer: x.words.of(r.Issuer),
		keyType: x.words.of(r.KeyType), requester: x.words.of(r.Requester),
		state: x.words.of(r.State), waitsFor: x.words.of(r.WaitsFor),
		origin: x.words.of(string(r.Origin)),
		chain:  x.words.of(r.Chain), publicKey: r.Key,
		price:     x.words.of(r.Price),
		notBefore: seconds(r.NotBefore), notAfter: seconds(r.NotAfter),
		paidUntil: seconds(r.PaidUntil), revoked: seconds(r.Revoked),
		madeAt: seconds(r.MadeAt), changedAt: seconds(r.ChangedAt),
		held: r.Held, unsaved: r.Unsaved, page: noPage,
	}
	p.serial = p.key
	if r.State != "" {
		p.serial = packID(r.Serial)
	}
	return p
}

// unpack returns a row as it was told. The caller holds mu.
func (x *Index) unpack(p *packed) Row {
	w := x.words.all
	r := Row{
		Serial: unpackID(p.serial), Role: w[p.role], Requester: w[p.requester], Owner: w[p.owner],
		OrderID: unpackID(p.order), Account: w[p.account], Issuer: w[p.issuer],
		KeyType: w[p.keyType], State: w[p.state], WaitsFor: w[p.waitsFor],
		Origin: Origin(w[p.origin]), Number: p.number, Price: w[p.price],
		Chain: w[p.chain], Key: p.publicKey,
		NotBefore: moment(p.notBefore), NotAfter: moment(p.notAfter),
		PaidUntil: moment(p.paidUntil), Revoked: moment(p.revoked),
		MadeAt: moment(p.madeAt), ChangedAt: moment(p.changedAt),
		Held: p.held, Unsaved: p.unsaved,
	}
	if p.names != "" {
		r.Names = strings.Split(p.names, "\n")
	}
	return r
}

// joinNames joins names, as far as there is room for them.
func joinNames(names []string) string {
	var out strings.Builder
	for _, name := range names {
		if out.Len()+len(name) >= maxNames {
			break
		}
		if out.Len() > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(strings.ReplaceAll(name, "\n", " "))
	}
	return out.String()
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func moment(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// The first byte of a packed id says what its bytes were.
const (
	isSerial = "\x01"
	isUUID   = "\x02"
)

// packID returns an id in fewer bytes, if it is a serial number or a UUID, and otherwise itself.
func packID(id string) string {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil {
		return strings.Clone(id)
	}
	for _, kind := range []string{isUUID, isSerial} {
		if packed := kind + string(raw); unpackID(packed) == id {
			return packed
		}
	}
	return strings.Clone(id)
}

// unpackID returns the id that was packed.
func unpackID(packed string) string {
	if raw, is := strings.CutPrefix(packed, isSerial); is {
		var out strings.Builder
		for i := range len(raw) {
			if i > 0 {
				out.WriteByte('-')
			}
			out.WriteString(hex.EncodeToString([]byte{raw[i]}))
		}
		return out.String()
	}
	raw, is := strings.CutPrefix(packed, isUUID)
	if !is || len(raw) != 16 {
		return packed
	}
	text := hex.EncodeToString([]byte(raw))
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

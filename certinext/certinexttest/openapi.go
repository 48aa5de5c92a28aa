// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// OpenAPI returns the OpenAPI 3.0 document, as JSON, of all that a [Server] answers in a dialect:
// both versions of the API, the token endpoint, what the CA publishes and the administration paths.
// It is made from the
// server's own routes and types. A server has it at /_sandbox/openapi.json.
func OpenAPI(d Dialect) []byte {
	w := &describer{
		dialect: d,
		types:   openapi.NewTypes(wireNotes(d), wireSchemas(), componentName),
	}
	w.doc = openapi.Document{
		OpenAPI: "3.0.3", Info: documentInfo(d), Tags: documentTags,
		Servers: []openapi.Server{
			{URL: "/", Description: "the server that this document was read from"},
			{URL: "http://127.0.0.1:8093", Description: "certinext-sandbox as it starts"},
		},
		Components: openapi.Components{
			Schemas:         w.types.Components,
			Responses:       w.sharedRefusals(),
			Headers:         documentHeaders,
			SecuritySchemes: securitySchemes,
		},
	}
	w.describeAPI()
	w.describePublications()
	w.describeAdministration()
	if unused := w.types.Unused(); len(unused) > 0 {
		panic(fmt.Sprintf("certinexttest: notes on members that are not there: %v", unused))
	}
	return sure.Must(w.doc.Text())
}

// A describer writes the document of one dialect.
type describer struct {
	dialect Dialect
	types   *openapi.Types
	doc     openapi.Document
}

// A description is what the document says of an operation beyond what its route does.
type description struct {
	id      string // "" for that of the operation
	summary string
	// about tells what is particular, and which source has it.
	about string
	// takes is of the type that the body is read into; nil for none. A body that is sloppy may be
	// left out.
	takes  any
	sloppy bool
	// gives are the answers that are no refusals.
	gives map[int]given
	// refuses are the refusals beside those that every call may meet, and why.
	refuses map[int]string
	// query describes its parameters.
	query openapi.Notes
	// names says what {id} is, and other parameters of the path.
	names map[string]string
}

// given is an answer.
type given struct {
	about string
	// v is of the type that is written, and nil where the answer has no body. Several are
	// alternatives.
	v []any
	// files are the media types that it can have beside JSON.
	files []string
}

func gives(about string, v ...any) given { return given{about: about, v: v} }

// describeAPI enters every route of the dialect.
func (w *describer) describeAPI() {
	v1, v2 := describeV1(w.dialect), describeV2(w.dialect)
	for i := range routes {
		rt := &routes[i]
		if rt.dialects != nil && !slices.Contains(rt.dialects, w.dialect) {
			continue
		}
		var o *openapi.Operation
		if rt.v1() {
			o = w.verb(rt, v1)
		} else {
			o = w.resource(rt, described(rt, v2))
		}
		if err := w.doc.Add(rt.method, rt.path(), o); err != nil {
			panic("certinexttest: " + err.Error())
		}
	}
}

// described finds the description of a route of version 2: by method and path, or else by the
// operation.
func described(rt *route, all map[string]description) description {
	if about, ok := all[rt.method+" "+rt.pattern]; ok {
		return about
	}
	about, ok := all[rt.op]
	if !ok {
		panic("certinexttest: no description of " + rt.method + " " + rt.path())
	}
	return about
}

// resource is an operation of version 2, or the token endpoint.
func (w *describer) resource(rt *route, about description) *openapi.Operation {
	o := &openapi.Operation{
		Tags: []string{tagOf(rt)}, ID: orDefault(about.id, operationID(rt)),
		Summary: about.summary, Description: about.about,
		Parameters: w.parameters(rt, about), Responses: make(map[string]*openapi.Response),
		Security: []map[string][]string{{"bearer": {}}},
	}
	if about.takes != nil {
		o.RequestBody = w.requestBody(rt, about)
	}
	for status, answer := range about.gives {
		o.Responses[strconv.Itoa(status)] = w.answer(answer)
	}
	if rt.op == OpToken {
		w.tokenRefusals(o)
		return o
	}
	for _, status := range commonRefusals(rt) {
		o.Responses[status] = &openapi.Response{Ref: refusalNames[status]}
	}
	for status, why := range about.refuses {
		o.Responses[strconv.Itoa(status)] = w.refusal(why)
	}
	if rt.creates || rt.op == OpReissue {
		o.Responses["402"] = w.refusal("EMS-1139 want of credits, where `-insufficient-status` " +
			"says so.")
	}
	return o
}

// commonRefusals are the statuses that every call of version 2 may meet.
func commonRefusals(rt *route) []string {
	list := []string{"400", "401", "406", "413", "429", "5XX"}
	if rt.body {
		list = append(list, "415")
	}
	return list
}

func (w *describer) requestBody(rt *route, about description) *openapi.Body {
	mediaType := typeJSON
	if rt.op == OpToken && w.dialect != Documented {
		mediaType = typeForm
	}
	return &openapi.Body{
		Required: !about.sloppy && (!rt.bodiless || w.dialect == Documented),
		Content:  map[string]openapi.Media{mediaType: {Schema: w.types.Request(about.takes)}},
	}
}

// answer is a success of version 2.
func (w *describer) answer(g given) *openapi.Response {
	r := &openapi.Response{Description: g.about, Headers: resourceHeaders()}
	if len(g.v) == 0 {
		return r
	}
	var alternatives []*openapi.Schema
	for _, v := range g.v {
		alternatives = append(alternatives, w.types.Answer(v))
	}
	r.Content = map[string]openapi.Media{typeJSON: {Schema: openapi.Either(alternatives...)}}
	for _, mediaType := range g.files {
		r.Content[mediaType] = openapi.Media{
			Schema: &openapi.Schema{Type: "string", Format: "binary"},
		}
	}
	return r
}

// parameters are those of the path, the query and the header.
func (w *describer) parameters(rt *route, about description) []openapi.Parameter {
	var list []openapi.Parameter
	for _, match := range pathParameter.FindAllStringSubmatch(rt.pattern, -1) {
		name := match[1]
		text := about.names[name]
		if text == "" {
			panic("certinexttest: no description of {" + name + "} of " + rt.path())
		}
		list = append(list, openapi.Parameter{
			Name: name, In: "path", Required: true, Description: text, Schema: openapi.Text(),
		})
	}
	for _, name := range rt.query {
		list = append(list, queryParameter(name, about.query[name]))
	}
	return append(list, w.orderHeaders(rt)...)
}

var pathParameter = regexp.MustCompile(`\{([a-z]+)\}`)

func queryParameter(name string, note openapi.Note) openapi.Parameter {
	schema := note.Schema
	switch {
	case schema != nil:
	case note.Enum != nil:
		schema = openapi.OneOf(note.Enum...)
	default:
		schema = openapi.Text()
	}
	return openapi.Parameter{
		Name: name, In: "query", Description: note.About, Required: note.Required, Schema: schema,
	}
}

// orderHeaders are those that the collection sends and the live service can do without.
func (w *describer) orderHeaders(rt *route) []openapi.Parameter {
	var list []openapi.Parameter
	documented := w.dialect == Documented
	if rt.creates && !rt.v1() {
		list = append(list, openapi.Parameter{
			Name: "X-Product-Code", In: "header", Required: documented, Schema: openapi.Text(),
			Description: "The product to order, by its code in the catalog. Without it the live " +
				"service finds the one that variant and names fit, if there is only one " +
				"(observed).",
		})
	}
	if rt.keyed {
		list = append(list, openapi.Parameter{
			Name: "Idempotency-Key", In: "header", Required: documented, Schema: openapi.Text(),
			Description: "The same key with the same body is answered as before; with another " +
				"body it is 409 (documented). The live service was seen to ignore it.",
		})
	}
	return list
}

// operationID is the operation's name in camel case, with the family where a path implies one.
func operationID(rt *route) string {
	words := rt.op
	if rt.family != "" && !strings.HasSuffix(rt.op, rt.family) {
		words += "-" + rt.family
	}
	return camel(words)
}

// camel joins words, which hyphens, slashes and the like separate.
func camel(words string) string {
	parts := strings.FieldsFunc(words, func(r rune) bool {
		return r > unicode.MaxASCII || (!unicode.IsLetter(r) && !unicode.IsDigit(r))
	})
	for i, p := range parts {
		if i > 0 {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

// componentName is what a type of the wire is called in the document.
func componentName(goName string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(goName, "wire"), "doc")
	return strings.ToUpper(name[:1]) + name[1:]
}

// wireSchemas are those of the types that have JSON forms of their own.
func wireSchemas() map[reflect.Type]*openapi.Schema {
	span := openapi.Text().Saying("A duration such as 1m30s, as Go writes it.")
	return map[reflect.Type]*openapi.Schema{
		reflect.TypeFor[stringOrList](): openapi.Either(
			openapi.Text(), openapi.List(openapi.Text()),
		),
		reflect.TypeFor[duration](): span,
		reflect.TypeFor[Amount]():   openapi.Text().Saying("An amount of money, such as 150.00."),
		timeType:                    {Type: "string", Format: "date-time"},
		reflect.TypeFor[FaultKind](): openapi.OneOf(
			FaultKinds()...,
		),
		reflect.TypeFor[ChainOrder]():  openapi.OneOf(chainOrders...),
		reflect.TypeFor[ReportOrder](): openapi.OneOf(reportOrders...),
		reflect.TypeFor[DCVShape]():    openapi.OneOf(dcvShapes...),
		reflect.TypeFor[Misissuance](): openapi.OneOf(MisissuanceKinds()...),
	}
}

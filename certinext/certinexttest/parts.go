// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

// A Server has one set of orders, domains and certificates, and several ways to be asked about
// them. Each of these is a type that holds the Server: its methods read requests and write answers
// in one spelling, and what an order is and becomes is left to the Server.
type (
	// version2 is the REST API below /api/certinext/v2, in both of its dialects.
	version2 struct{ *Server }
	// domainCalls are the resources of version 2 below /domains.
	domainCalls struct{ *Server }
	// version1 is the API below /emSignHub-API, whose calls are signed and whose answers come in an
	// envelope.
	version1 struct{ *Server }
	// tokenEndpoint exchanges credentials for tokens, by form or by signature.
	tokenEndpoint struct{ *Server }
	// administration is what a test or an operator of the sandbox asks below /_sandbox/.
	administration struct{ *Server }
)

func (s *Server) v2() version2                   { return version2{s} }
func (s *Server) v1() version1                   { return version1{s} }
func (s *Server) administration() administration { return administration{s} }

// A handler carries out one operation, for a call that was admitted.
type handler func(*Server, *call) (reply, *problem)

// by makes a handler of a part's method.
func by[T version2 | domainCalls | version1 | tokenEndpoint](
	method func(T, *call) (reply, *problem),
) handler {
	return func(s *Server, c *call) (reply, *problem) { return method(T{s}, c) }
}

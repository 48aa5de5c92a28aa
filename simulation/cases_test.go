// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// cases are histories that once broke a promise, as they were at their shortest. One that is open still does.
var cases = []struct {
	name    string
	broke   string // the promise
	open    bool
	history History
}{
	{
		"a clock that is two months ahead buys once", "money/one-call", false, History{
			Seed: 98, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n6"}},
			},
		},
	},
	{
		"an answered request that is repeated buys once", "money/repeated", false, History{
			Seed: 3, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n1"}},
			},
		},
	},
	{
		"an answer that Vault lost with its lease buys once", "money/unheard", false, History{
			Seed: 31, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n7"}, Loss: "unstored"},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n7"}},
			},
		},
	},
	{
		"two requests in flight are one order", "money/again", false, History{
			Seed: 13, Manners: Manners{IssueDelay: 40 * time.Second}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n6"}, Then: 15},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n6"}},
			},
		},
	},
	{
		"an account is no other one for being spelt in another way", "key/left", false, History{
			Seed: 1, Manners: Manners{IssueDelay: 40 * time.Second, PEMLag: 3 * time.Second}, Orderly: true,
			Actions: []Action{
				{Do: "config", How: "spelling"},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "shared"}},
			},
		},
	},
	{
		"the end of a lease reaches an account that is spelt in another way", "lease/not-revoked", false, History{
			Seed: 4, Orderly: true,
			Actions: []Action{
				{Do: "config", How: "spelling"},
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "shared"}},
			},
		},
	},
	{
		"a storage fault while an order closes does not keep it for ever", "wish/never-answered", false, History{
			Seed: 71, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put order/closed/", Bad: "before"},
				{Do: "issue", Request: Request{Who: "ann", Role: "bare", Name: "n8"}, Hang: 1, Then: 17},
			},
		},
	},
	{
		"a lease that Vault never stored ends", "lease/unstored", false, History{
			Seed: 7, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n7"}, Loss: "unstored"},
			},
		},
	},
	{
		"a certificate is not its serial number", "use/revoked", false, History{
			Seed: 28, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n10"}},
				{Do: "revoke", Request: Request{Who: "tok", Role: "web", Name: "n10"}, How: "forged"},
			},
		},
	},
	{
		"an order is not another requester's to cancel", "privacy/meddled", false, History{
			Seed: 22, Orderly: true,
			Actions: []Action{
				{Do: "order", Request: Request{Who: "ann", Role: "hand", Name: "n4"}},
				{Do: "steal", Request: Request{Who: "ann", Role: "hand", Name: "n4"}, How: "cancel"},
			},
		},
	},
	{
		"a gateway's 403 after an order does not mean that there is none", "record/orphan", false, History{
			Seed: 21, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< create-", Bad: "json-403"},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n7"}},
			},
		},
	},
	{
		"a gateway's 401 does not have an order sent again", "money/sent-twice", false, History{
			Seed: 187, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< create-", Bad: "html-401"},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "shared"}},
			},
		},
	},
	{
		"an empty 204 is no revocation", "record/revoked", false, History{
			Seed: 65, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n4"}},
				{Do: "wire", At: "> revoke", Bad: "empty-204"},
				{Do: "lease-end", Request: Request{Who: "tok", Role: "web", Name: "n4"}},
			},
		},
	},
	{
		"an expired session is no expired order", "money/again", false, History{
			Seed: 17, Manners: Manners{IssueDelay: 90 * time.Second}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< track", Bad: "expired-200"},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "common"}},
			},
		},
	},
	{
		"a gateway's 400 does not mean that there is no chain", "answer/content", false, History{
			Seed: 34, Manners: Manners{Dialect: certinexttest.Documented}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< certificate", Bad: "html-400", Skip: 1},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
			},
		},
	},
	{
		"cancelling an order has an end while CERTInext is slow", "call/never-ends", false, History{
			Seed: 45, Manners: Manners{Approval: true}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "shared"}},
				{Do: "ca", At: "track", Bad: "latency", For: 70 * time.Second, Times: 6},
				{Do: "cancel", Request: Request{Who: "bob", Role: "bare", Name: "shared"}},
			},
		},
	},
	{
		"a lease that ends while the clock is wrong is a revocation when it is right again", "lease/not-revoked", false, History{
			Seed: 360, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "rekey", Name: "n1"}},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"an order that is placed while a synchronization runs is answered", "call/never-ends", false, History{
			Seed: 54, Manners: Manners{TokenTTL: time.Hour},
			Actions: []Action{
				{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n2", ID: "deploy-2"}},
				{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n2", ID: "deploy-2"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n3"}},
				{Do: "disk", At: "put cert/", Bad: "before", For: time.Second},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n3"}},
				{Do: "draft", Request: Request{Who: "bob", Role: "web", Name: "n4", ID: "draft-4"}},
				{Do: "sync"},
				{Do: "async", Request: Request{Who: "ann", Role: "web", Name: "n5"}, Then: 4},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2", ID: "deploy-2"}, Then: 2},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n3"}},
			},
		},
	},
	{
		"a draft that is discarded while its name is used again does not end the plugin", "answer/panic", false, History{
			Seed: 613, Manners: Manners{TokenTTL: time.Hour},
			Actions: []Action{
				{Do: "draft", Request: Request{Who: "bob", Role: "bare", Name: "n1", ID: "draft-1"}},
				{Do: "cancel", Request: Request{Who: "bob", Role: "bare", Name: "n1", ID: "draft-1"}, Then: 1},
				{Do: "order", Request: Request{Who: "bob", Role: "bare", Name: "n1", ID: "draft-1"}},
			},
		},
	},
	{
		"cancelling an issued order is no fault of the server while CERTInext is slow to revoke", "answer/fault", false, History{
			Seed: 323, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "revoke", Bad: "latency", For: 70 * time.Second},
				{Do: "order", Request: Request{Who: "bat", Role: "web", Name: "n5"}},
				{Do: "cancel", Request: Request{Who: "bat", Role: "web", Name: "n5"}},
			},
		},
	},
	{
		"the second renewal of a name can be revoked like the first", "lease/not-revoked", false, History{
			Seed: 1964, Manners: Manners{Dialect: certinexttest.Documented, PEMLag: 3 * time.Second, TokenTTL: time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "async", Request: Request{Who: "bat", Role: "hasty", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "hasty", Name: "n1"}},
				{Do: "renew", Request: Request{Who: "bat", Role: "hasty", Name: "n1"}},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"an order from a future that never came is settled", "wish/never-answered", false, History{
			Seed: 105, Manners: Manners{Dialect: certinexttest.V1}, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "wire", At: "> create-", Bad: "error-200", For: 20 * time.Second},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n7"}},
			},
		},
	},
	{
		"a lease that ends while the clock is wrong is remembered by a process that was just started", "lease/not-revoked", false, History{
			Seed: 360, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "rekey", Name: "n1"}},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "collect", Request: Request{Who: "bob", Role: "rekey", Name: "n1"}},
				{Do: "restart"},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"a draft does not become another order by a wrong number", "rest/open", false, History{
			Seed: 578, Manners: Manners{Dialect: certinexttest.V1}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "create-ssl", Bad: "other-order"},
				{Do: "draft", Request: Request{Who: "bob", Role: "web", Name: "n5", ID: "draft-5"}},
			},
		},
	},
	{
		"a renewal that nobody fetched stays on record when its name is used again", "record/orphan", false, History{
			Seed: 1017, Manners: Manners{IssueDelay: 2 * time.Second}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n1"}},
				{Do: "renew", Request: Request{Who: "tok", Role: "hasty", Name: "n1"}},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"a pause of ordering is not lifted by a write of config that began before it", "money/paused", false, History{
			Seed: 18233, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: false,
			Actions: []Action{
				{Do: "async", Request: Request{Who: "tok", Role: "web", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "once", Name: "n2"}},
				{Do: "config", How: "paused", Then: 1},
				{Do: "config", How: "write", Then: 8},
				{Do: "config", How: "paused"},
				{Do: "time", For: 9 * time.Hour},
				{Do: "order", Request: Request{Who: "ann", Role: "inside", Name: "n3"}},
			},
		},
	},
	{
		"the reuse window counts from the answer, and not from before storage took its time", "money/repeated", false, History{
			Seed: 17615, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "bare", Name: "n1"}},
				{Do: "disk", At: "get role/", Bad: "before", For: 1 * time.Second},
				{Do: "disk", At: "put cert/", Bad: "slow", For: 30 * time.Second, Skip: 2},
				{Do: "issue", Request: Request{Who: "bob", Role: "once", Name: "n3"}},
				{Do: "revoke", Request: Request{Who: "bat", Role: "bare", Name: "n1"}, How: "order"},
				{Do: "issue", Request: Request{Who: "ann", Role: "once", Name: "n4"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "n6"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "hand", Name: "n5"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "n6"}},
			},
		},
	},
	{
		"the reuse window counts by the clock that the answer went out by", "money/unheard", false, History{
			Seed: 15909, Manners: Manners{IssueDelay: 40 * time.Second, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "ca-clock", For: 3 * time.Minute},
				{Do: "disk", At: "put order/open/", Bad: "after", For: 30 * time.Second},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n6"}},
				{Do: "wire", At: "> ", Bad: "slow", For: 2 * time.Minute},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n7"}},
				{Do: "time", For: 6 * time.Minute},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n7"}, Loss: "unheard", Then: 4},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "common"}, Then: 3},
			},
		},
	},
	{
		"a standby that takes over does not take the answers of the dead node for its own", "answer/forced", false, History{
			Seed: 11603, Orderly: true,
			Actions: []Action{
				{Do: "standby"},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n4"}},
				{Do: "failover"},
				{Do: "pass", Then: 10},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n4"}, How: "force"},
			},
		},
	},
	{
		"a process whose clock is set right does not take earlier answers for its own", "answer/forced", false, History{
			Seed: 11603, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: 10 * time.Minute},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n4"}},
				{Do: "clock"},
				{Do: "restart"},
				{Do: "pass", Then: 10},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n4"}, How: "force"},
			},
		},
	},
	{
		"an order is answered although CERTInext is slow to take it, twice", "call/never-ends", false, History{
			Seed: 16649, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "> create-", Bad: "slow", For: 2 * time.Minute, Skip: 1, Times: 3},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n2"}},
				{Do: "order", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
			},
		},
	},
	{
		"who collects a reissued certificate has not asked for the first one again", "money/repeated", false, History{
			Seed: 14208, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n1"}},
				{Do: "reissue", Request: Request{Who: "bat", Role: "rekey", Name: "n1"}},
				{Do: "order", Request: Request{Who: "bat", Role: "rekey", Name: "n1"}},
				{Do: "time", For: 1 * time.Hour},
				{Do: "collect", Request: Request{Who: "bat", Role: "rekey", Name: "n1"}, How: "reissued"},
			},
		},
	},
	{
		"a request that began while its order was in flight shares it, however late it finds it", "money/waited", false, History{
			Seed: 847, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "once", Name: "n4"}, Then: 11},
				{Do: "issue", Request: Request{Who: "ann", Role: "once", Name: "n4"}},
			},
		},
	},
	{
		"who is refused a second reissue has got no order by that", "answer/content", false, History{
			Seed: 623, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "rekey", Name: "n2", Key: 2}},
				{Do: "reissue", Request: Request{Who: "tok", Role: "rekey", Name: "n2", Key: 2}},
				{Do: "reissue", Request: Request{Who: "tok", Role: "rekey", Name: "n2", Key: 2}},
				{Do: "collect", Request: Request{Who: "tok", Role: "rekey", Name: "n2", Key: 2}, How: "reissued"},
			},
		},
	},
	{
		"a lease that ends while the clock is two months ahead counts until it would have ended", "lease/ghost", false, History{
			Seed: 22, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "shared"}},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "logout", Request: Request{Who: "ann"}},
			},
		},
	},
	{
		"an order is looked for by CERTInext's days while the clock is two months ahead", "money/never-placed", false, History{
			Seed: 108, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "wire", At: "< create-", Bad: "before"},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n5"}},
				{Do: "time", For: 6 * time.Minute},
				{Do: "never-placed", Request: Request{Who: "tok", Role: "web", Name: "n5"}},
			},
		},
	},
	{
		"a revocation is not forgotten by a wrong clock while the config is gone", "lease/not-revoked", false, History{
			Seed: 292, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "shared"}, Then: 4},
				{Do: "lease-end", Request: Request{Who: "bat", Role: "rekey", Name: "shared"}},
				{Do: "logout", Request: Request{Who: "bat"}, Then: 1},
				{Do: "config", How: "delete"},
				{Do: "disk", At: "put revocation/", Bad: "crash"},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "time", For: 6 * time.Minute},
			},
		},
	},
	{
		"a promotion that was answered with another order's number is asked again as what it was", "record/orphan", false, History{
			Seed: 63, Manners: Manners{Dialect: certinexttest.Documented, ReportDelay: 30 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "draft", Request: Request{Who: "ann", Role: "web", Name: "n5"}},
				{Do: "ca", At: "create-ssl", Bad: "other-order", For: 10 * time.Second},
				{Do: "promote", Request: Request{Who: "ann", Role: "web", Name: "n5"}},
			},
		},
	},
	{
		"a draft that takes another order's number, beside an order, is a draft again", "rest/open", false, History{
			Seed: 43, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "create-ssl", Bad: "other-order", For: 1 * time.Second, Skip: 1},
				{Do: "order", Request: Request{Who: "bob", Role: "web", Name: "n2"}},
				{Do: "draft", Request: Request{Who: "bob", Role: "bare", Name: "n3"}},
			},
		},
	},
	{
		"who asks before Vault has handed back what it could not store asks for another one", "money/waited", false, History{
			Seed: 965, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "n6"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "once", Name: "n10"}, Hang: 12},
				{Do: "async", Request: Request{Who: "bob", Role: "once", Name: "n10"}},
			},
		},
	},
	{
		"a process that has not seen CERTInext's clock revokes nothing by its own", "use/revoked", false, History{
			Seed: 210, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n2"}},
				{Do: "lease-end", Request: Request{Who: "bat", Role: "web", Name: "n2"}},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "restart"},
				{Do: "time", For: 2 * time.Minute},
			},
		},
	},
	{
		"a clock that jumps while a certificate is handed over does not take its lease away", "lease/not-revoked", false, History{
			Seed: 391, Manners: Manners{Dialect: certinexttest.Documented, PEMLag: 3 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: false,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "common"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n3"}},
				{Do: "order", Request: Request{Who: "bob", Role: "bare", Name: "common"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "hasty", Name: "common"}, Hang: 4},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n8"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n3"}, Loss: "unleasable", Then: 1},
				{Do: "wire", At: "< cancel", Bad: "crash", Then: 3},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n9"}, Then: 16},
				{Do: "clock", For: 1440 * time.Hour},
			},
		},
	},
	{
		"a clock that jumps while an answer is made ends the reuse of that answer by its own time", "money/unheard", false, History{
			Seed: 308688, Manners: Manners{Dialect: certinexttest.Documented, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "draft", Request: Request{Who: "bob", Role: "web", Name: "n2"}},
				{Do: "order", Request: Request{Who: "bob", Role: "web", Name: "n3"}},
				{Do: "order", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "n5"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n6"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "hand", Name: "n7"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "shared"}},
				{Do: "restart"},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n3"}, Loss: "unleasable", Then: 18},
				{Do: "clock", For: 10 * time.Minute},
			},
		},
	},
	{
		"an order that is younger than the clock is not declared never placed at once", "money/again", false, History{
			Seed: 402750, Manners: Manners{ReportDelay: 30 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: false,
			Actions: []Action{
				{Do: "disk", At: "get revocation/", Bad: "slow", For: 30 * time.Second},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "n2"}},
				{Do: "wire", At: "< certificate", Bad: "crash"},
				{Do: "async", Request: Request{Who: "ann", Role: "bare", Name: "n1"}},
				{Do: "disk", At: "put order/closed/", Bad: "crash", Skip: 1},
				{Do: "cancel", Request: Request{Who: "bob", Role: "bare", Name: "n2"}},
				{Do: "wire", At: "< create-", Bad: "crash"},
				{Do: "order", Request: Request{Who: "bat", Role: "once", Name: "n4"}},
				{Do: "clock", For: -10 * time.Minute},
				{Do: "issue", Request: Request{Who: "ann", Role: "hand", Name: "n5", ID: "deploy-5"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "once", Name: "n4"}},
				{Do: "never-placed", Request: Request{Who: "bat", Role: "once", Name: "n4"}},
			},
		},
	},
	{
		"an order that the records show is gone on with when its absence is declared", "key/left", false, History{
			Seed: 404701, Manners: Manners{Dialect: certinexttest.Documented, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< create-", Bad: "text-200", For: 1 * time.Second, Skip: 2},
				{Do: "issue", Request: Request{Who: "bob", Role: "once", Name: "n2"}},
				{Do: "draft", Request: Request{Who: "bob", Role: "bare", Name: "n3"}},
				{Do: "draft", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
				{Do: "config", How: "delete"},
				{Do: "time", For: 7 * time.Hour},
			},
		},
	},
	{
		"an order that was given the number of another one by hand is in doubt again", "rest/open", false, History{
			Seed: 304621, Manners: Manners{ReportDelay: 30 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "> create-", Bad: "before", For: 2 * time.Minute, Skip: 2},
				{Do: "issue", Request: Request{Who: "bat", Role: "hasty", Name: "n3"}},
				{Do: "wire", At: "< create-", Bad: "before"},
				{Do: "order", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
				{Do: "order", Request: Request{Who: "bat", Role: "web", Name: "n4"}},
				{Do: "adopt", Request: Request{Who: "bat", Role: "web", Name: "n4"}},
				{Do: "cancel", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
			},
		},
	},
	{
		"a lease that Vault hands back while storage fails is handed back", "money/again", false, History{
			Seed: 412301, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put cert/", Bad: "after", For: 1 * time.Second, Skip: 1},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2"}, Loss: "unleasable"},
				{Do: "time", For: 6 * time.Minute},
			},
		},
	},
	{
		"an order whose number is another one that is over is looked for", "record/orphan", false, History{
			Seed: 311668, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "hasty", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "hasty", Name: "n3"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "once", Name: "n4"}},
				{Do: "ca", At: "orders-report", Bad: "middleman-after", For: 1 * time.Second, Skip: 2},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "shared"}},
				{Do: "async", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "bare", Name: "n6"}},
				{Do: "time", For: 2 * time.Minute},
				{Do: "sync"},
				{Do: "async", Request: Request{Who: "bob", Role: "rekey", Name: "n8"}},
				{Do: "async", Request: Request{Who: "bat", Role: "web", Name: "n9"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "bare", Name: "n6"}, Then: 2},
				{Do: "ca", At: "create-ssl", Bad: "other-order", For: 1 * time.Second, Times: 6},
				{Do: "wire", At: "< create-", Bad: "crash", Skip: 2},
				{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n7"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "bare", Name: "n10"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n11"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n11"}},
				{Do: "lease-end", Request: Request{Who: "tok", Role: "web", Name: "n11"}},
			},
		},
	},
	{
		"what was handed over by a clock that was ahead is given again", "money/repeated", false, History{
			Seed: 503154, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "shared"}, How: "force", Then: 3},
				{Do: "clock", For: -10 * time.Minute},
				{Do: "async", Request: Request{Who: "ann", Role: "inside", Name: "shared"}},
			},
		},
	},
	{
		"a clock that jumps while a lease ends leaves it in doubt", "lease/ghost", false, History{
			Seed: 604649, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n3"}},
				{Do: "lease-end", Request: Request{Who: "bob", Role: "web", Name: "n3"}, Then: 1},
				{Do: "clock", For: 1440 * time.Hour},
			},
		},
	},
	{
		"a number that was set right while storage failed is stored with the certificate", "record/adopted-twice", false, History{
			Seed: 600769, Manners: Manners{ReportDelay: 30 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n3"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n5"}},
				{Do: "reissue", Request: Request{Who: "bat", Role: "rekey", Name: "n5"}},
				{Do: "collect", Request: Request{Who: "bat", Role: "rekey", Name: "n5"}, How: "reissued"},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
				{Do: "ca", At: "create-ssl", Bad: "other-order", For: 10 * time.Second, Times: 2},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n6"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n9"}, Then: 29},
				{Do: "disk", At: "put order/open/", Bad: "before"},
			},
		},
	},
	{
		"an answer by a clock that was set back does not shorten the reuse of the one before", "money/repeated", false, History{
			Seed: 702564, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put cert/", Bad: "before", For: 30 * time.Second, Skip: 1},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n4"}},
				{Do: "clock", For: -10 * time.Minute},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n4"}},
			},
		},
	},
	{
		"a certificate that was handed back is not lost to two false statuses", "money/again", false, History{
			Seed: 704126, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "ca", Bad: "wrong-status", For: 1 * time.Second, Skip: 1},
				{Do: "ca", How: "named", At: "track", Bad: "wrong-status", Skip: 2},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n4"}, Loss: "unleasable"},
				{Do: "time", For: 6 * time.Minute},
			},
		},
	},
	{
		"an order that the records show with a valid certificate is not over", "money/again", false, History{
			Seed: 800789, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 1 * time.Hour}, Orderly: false,
			Actions: []Action{
				{Do: "ca", At: "create-ssl", Bad: "server-error", For: 10 * time.Second},
				{Do: "draft", Request: Request{Who: "ann", Role: "bare", Name: "n2", ID: "draft-2"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "hasty", Name: "shared", ID: "deploy-4"}},
				{Do: "lease-end", Request: Request{Who: "bat", Role: "once", Name: "n3"}},
				{Do: "ca", How: "named", At: "track", Bad: "wrong-status", Skip: 2},
				{Do: "wire", At: "> orders-report", Bad: "crash"},
				{Do: "ca", Bad: "wrong-status", For: 10 * time.Second},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n5"}},
				{Do: "time", For: 1 * time.Hour},
			},
		},
	},
	{
		"a lease that Vault hands back while the clock jumps ends no other one", "use/revoked", false, History{
			Seed: 900389, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
				{Do: "collect", Request: Request{Who: "ann", Role: "web", Name: "n2"}, Loss: "unleasable", Then: 6},
				{Do: "clock", For: 1440 * time.Hour},
			},
		},
	},
	{
		"a check of the config ends, however slow CERTInext is", "call/never-ends", false, History{
			Seed: 1003059, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< ", Bad: "slow", For: 2 * time.Minute, Times: 3},
				{Do: "read", How: "config/check"},
			},
		},
	},
	{
		"a stored certificate is not over by the clock of a process that has not seen CERTInext's", "money/again", false, History{
			Seed: 1104701, Manners: Manners{Dialect: certinexttest.Documented, IssueDelay: 90 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "clock"},
				{Do: "issue", Request: Request{Who: "tok", Role: "rekey", Name: "n11"}},
				{Do: "time", For: 1 * time.Hour},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "restart"},
				{Do: "issue", Request: Request{Who: "tok", Role: "rekey", Name: "n11"}},
			},
		},
	},
	{
		"a number that another order has is not an order's own", "record/orphan", false, History{
			Seed: 1203506, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 1 * time.Hour, Approval: true}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "create-ssl", Bad: "other-order", For: 1 * time.Second, Times: 6},
				{Do: "order", Request: Request{Who: "bat", Role: "web", Name: "common"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "shared"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n4"}},
				{Do: "cancel", Request: Request{Who: "bat", Role: "rekey", Name: "n4"}},
			},
		},
	},
	{
		"a certificate is handed over although CERTInext does not tell the time", "answer/fault", false, History{
			Seed: 1304149, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "shared"}},
				{Do: "order", Request: Request{Who: "ann", Role: "bare", Name: "shared", ID: "deploy"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "bare", Name: "shared", ID: "deploy"}},
				{Do: "restart"},
				{Do: "collect", Request: Request{Who: "tok", Role: "bare", Name: "shared"}, Then: 2},
				{Do: "wire", At: "> ", Bad: "slow", For: 2 * time.Minute, Times: 3},
				{Do: "order", Request: Request{Who: "ann", Role: "bare", Name: "shared", ID: "deploy"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "bare", Name: "shared", ID: "deploy"}},
			},
		},
	},
	{
		"a lease that somebody ends while the clock is two months ahead is over", "lease/ghost", false, History{
			Seed: 1404677, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "once", Name: "n1"}},
				{Do: "collect", Request: Request{Who: "tok", Role: "once", Name: "n1"}, Then: 1},
				{Do: "issue", Request: Request{Who: "tok", Role: "once", Name: "n1"}, Then: 5},
				{Do: "collect", Request: Request{Who: "tok", Role: "once", Name: "n1"}, Then: 1},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "lease-end", Request: Request{Who: "tok", Role: "once", Name: "n1"}},
			},
		},
	},
	{
		"what storage was slow to take counts from when it was told, after a crash", "money/repeated", false, History{
			Seed: 1400588, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put cert/", Bad: "slow", For: 30 * time.Second, Times: 3},
				{Do: "order", Request: Request{Who: "ann", Role: "bare", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "n4"}},
				{Do: "disk", At: "get order/closed/", Bad: "crash"},
				{Do: "pass"},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "n4"}},
			},
		},
	},
	{
		"a certificate whose order is about to be revoked is not handed over again", "use/revoked", false, History{
			Seed: 1500332, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "rekey", Name: "n4"}},
				{Do: "reissue", Request: Request{Who: "tok", Role: "rekey", Name: "n4"}},
				{Do: "collect", Request: Request{Who: "tok", Role: "rekey", Name: "n4"}, How: "reissued"},
				{Do: "lease-end", Request: Request{Who: "tok", Role: "rekey", Name: "n4"}},
				{Do: "wire", At: "< revoke", Bad: "json-403", For: 20 * time.Second},
				{Do: "order", Request: Request{Who: "tok", Role: "rekey", Name: "n4"}},
				{Do: "logout", Request: Request{Who: "tok"}},
			},
		},
	},
	{
		"an operator is believed although storage took the word late", "money/named", false, History{
			Seed: 1601108, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put order/closed/", Bad: "before"},
				{Do: "ca", Bad: "server-error-after", For: 70 * time.Second},
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "n6", ID: "deploy-6"}},
				{Do: "config", How: "delete"},
				{Do: "never-placed", Request: Request{Who: "ann", Role: "inside", Name: "n6", ID: "deploy-6"}},
			},
		},
	},
	{
		"a lease that Vault hands back after the clock has jumped by minutes is not an end", "money/waited", false, History{
			Seed: 1708631, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: false,
			Actions: []Action{
				{Do: "disk", At: "get ", Bad: "leaves", Skip: 2},
				{Do: "issue", Request: Request{Who: "bat", Role: "once", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "once", Name: "n1"}},
				{Do: "disk", At: "get revocation/", Bad: "after", For: 30 * time.Second, Skip: 1, Times: 3},
				{Do: "issue", Request: Request{Who: "bat", Role: "once", Name: "n1"}},
				{Do: "ca-clock", For: 3 * time.Minute},
				{Do: "issue", Request: Request{Who: "bat", Role: "once", Name: "n1"}},
				{Do: "disk", At: "get role/", Bad: "before", For: 1 * time.Second},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "once", Name: "n1"}},
				{Do: "order", Request: Request{Who: "bat", Role: "once", Name: "n1"}},
				{Do: "order", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "order", Request: Request{Who: "bat", Role: "web", Name: "n3"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "n4"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n5"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n5"}},
				{Do: "time", For: 9 * time.Hour},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n5"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "n4"}, Loss: "unleasable"},
				{Do: "issue", Request: Request{Who: "bob", Role: "inside", Name: "shared"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n5"}},
				{Do: "adopt", Request: Request{Who: "bat", Role: "web", Name: "n3"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n3"}},
				{Do: "read", How: "config/check"},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "n4"}, Loss: "unleasable", Then: 3},
				{Do: "order", Request: Request{Who: "ann", Role: "inside", Name: "n4"}, Then: 2},
			},
		},
	},
	{
		"an order that the records show as waiting is not over", "money/again", false, History{
			Seed: 2001714, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 2 * time.Minute, Approval: true}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "cancel", Bad: "wrong-status", For: 70 * time.Second, Times: 6},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n5"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n5"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n6"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n6"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "rekey", Name: "n3"}},
				{Do: "ca", How: "named", At: "track", Bad: "wrong-status", Skip: 1},
				{Do: "time", For: 6 * time.Minute},
			},
		},
	},
	{
		"the records are read again after the clock was set back", "rest/open", false, History{
			Seed: 2005057, Manners: Manners{ReportDelay: 30 * time.Second, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "ca", At: "create-ssl", Bad: "other-order", For: 70 * time.Second},
				{Do: "issue", Request: Request{Who: "ann", Role: "hasty", Name: "n7"}},
			},
		},
	},
	{
		"a certificate from a future that never came is waited for no longer than any other", "key/left", false, History{
			Seed: 73, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "order", Request: Request{Who: "bat", Role: "hand", Name: "n3"}},
				{Do: "wire", At: "> cancel", Bad: "before"},
				{Do: "cancel", Request: Request{Who: "bat", Role: "hand", Name: "n3"}},
				{Do: "validate"},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "time", For: 7 * time.Hour},
			},
		},
	},
	{
		"a synchronization takes no certificate that the report does not name", "record/foreign", false, History{
			Seed: 176, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "certificate", Bad: "wrong-key", For: 1 * time.Second, Skip: 2},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
				{Do: "sync"},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n8"}},
			},
		},
	},
	{
		"a key that was erased is not handed over as none, and no clock that nobody has compared erases one", "answer/content", false, History{
			Seed: 21276, Manners: Manners{IssueDelay: 90 * time.Second, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put order/closed/", Bad: "before", For: 30 * time.Second},
				{Do: "issue", Request: Request{Who: "tok", Role: "inside", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n3"}, How: "force"},
				{Do: "time", For: 20 * time.Second},
				{Do: "failover"},
				{Do: "pass", Then: 4},
				{Do: "clock", For: 1440 * time.Hour},
			},
		},
	},
	{
		"a lie that was seen through is not the first look of the process that takes over", "money/repeated", false, History{
			Seed: 20775, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}, How: "force"},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "time", For: 1 * time.Hour},
				{Do: "ca", At: "token", Bad: "wrong-status", For: 70 * time.Second},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}, Then: 1},
				{Do: "failover"},
				{Do: "issue", Request: Request{Who: "ann", Role: "once", Name: "n2"}, Hang: 6},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}, How: "force"},
				{Do: "issue", Request: Request{Who: "bob", Role: "once", Name: "n3", ID: "deploy"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "once", Name: "n2"}},
				{Do: "ca", How: "named", At: "track", Bad: "wrong-status", Skip: 2},
				{Do: "failover"},
				{Do: "time", For: 20 * time.Second},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
			},
		},
	},
	{
		"a synchronization takes no certificate that the report does not name, hours later", "record/foreign", false, History{
			Seed: 21821, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "orders-report", Bad: "latency", For: 70 * time.Second},
				{Do: "sync"},
				{Do: "issue", Request: Request{Who: "bat", Role: "inside", Name: "n1"}},
				{Do: "ca", Bad: "malformed-json", For: 70 * time.Second},
				{Do: "order", Request: Request{Who: "tok", Role: "bare", Name: "shared"}},
				{Do: "ca", At: "certificate", Bad: "wrong-key", For: 1 * time.Second},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"who waits for an order that an operator has given away in error is excused", "wish/never-answered", false, History{
			Seed: 20820, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "draft", Request: Request{Who: "ann", Role: "bare", Name: "n2"}, Then: 1},
				{Do: "wire", At: "> ", Bad: "expired-200", For: 20 * time.Second, Skip: 2, Times: 3},
				{Do: "wire", At: "< create-", Bad: "before"},
				{Do: "order", Request: Request{Who: "bob", Role: "web", Name: "n3"}},
				{Do: "order", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "adopt", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
			},
		},
	},
	{
		"a word that storage took, and answered with a fault, was given", "money/again", false, History{
			Seed: 20388, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "delete order/open/", Bad: "before", For: 30 * time.Second, Skip: 1},
				{Do: "wire", At: "< create-", Bad: "before"},
				{Do: "order", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n5"}, Hang: 3},
				{Do: "config", How: "delete"},
				{Do: "never-placed", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
			},
		},
	},
	{
		"an order from a future that never came proves nothing of another one", "record/orphan", false, History{
			Seed: 30036, Manners: Manners{ReportDelay: 30 * time.Second, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "issue", Request: Request{Who: "ann", Role: "once", Name: "n11"}, Then: 2},
				{Do: "wire", At: "< create-", Bad: "before", For: 20 * time.Second, Skip: 1},
				{Do: "time", For: 1 * time.Hour},
				{Do: "issue", Request: Request{Who: "ann", Role: "bare", Name: "n12"}},
			},
		},
	},
	{
		"a name that is another request's at this moment is refused as it is a moment later", "answer/content", false, History{
			Seed: 60121, Manners: Manners{IssueDelay: 2 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "common", ID: "deploy"}, Then: 5},
				{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n5", ID: "deploy"}},
				{Do: "collect", Request: Request{Who: "ann", Role: "web", Name: "n5", ID: "deploy"}},
			},
		},
	},
	{
		"a chain that was cut off on its way is not taken for the chain", "answer/content", false, History{
			Seed: 2329916, Manners: Manners{Dialect: certinexttest.Documented, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "rekey", Name: "n1"}, Then: 2},
				{Do: "ca", At: "certificate", Bad: "malformed-json", For: 1 * time.Second, Skip: 1, Then: 3},
				{Do: "ca", At: "certificate", Bad: "root-first", For: 70 * time.Second, Skip: 1},
			},
		},
	},
	{
		"a number that an operator gave another order does not keep its owner waiting", "wish/never-answered", false, History{
			Seed: 32, Manners: Manners{Dialect: certinexttest.Documented, ReportDelay: 30 * time.Second, TokenTTL: 2 * time.Minute, Approval: true}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< create-", Bad: "before", Times: 2},
				{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n3"}},
				{Do: "order", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "adopt", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "cancel", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "time", For: 1 * time.Hour},
			},
		},
	},
	{
		"an answer that was handed back is nobody's, though the plugin died then", "lease/unstored", false, History{
			Seed: 2480203, Manners: Manners{IssueDelay: 2 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n1"}, How: "force"},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n1"}, How: "force", Loss: "unleasable", Then: 23},
				{Do: "disk", At: "get role/", Bad: "after", For: 1 * time.Second, Skip: 2, Then: 1},
				{Do: "issue", Request: Request{Who: "ann", Role: "hand", Name: "n2"}, Then: 3},
				{Do: "restart"},
			},
		},
	},
	{
		"a lease that was stored while the clock was behind runs on when it is right", "use/revoked", false, History{
			Seed: 2500078, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: -1440 * time.Hour},
				{Do: "issue", Request: Request{Who: "bat", Role: "inside", Name: "n1"}},
			},
		},
	},
	{
		"a key is erased although the process has not read its order before the account changed", "key/stranded", false, History{
			Seed: 2500092, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "n1"}},
				{Do: "config", How: "number"},
				{Do: "restart"},
				{Do: "time", For: 1 * time.Hour},
			},
		},
	},
	{
		"a draft that was promoted before a snapshot was restored is not declared never placed", "money/never-placed", false, History{
			Seed: 2507001, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "draft", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
				{Do: "snapshot"},
				{Do: "promote", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
				{Do: "rollback"},
				{Do: "never-placed", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
			},
		},
	},
	{
		"an entry is of the version that the restored snapshot has it in", "future/rewritten", false, History{
			Seed: 2502602, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n6"}},
				{Do: "snapshot"},
				{Do: "future", At: "order/open/"},
				{Do: "rollback"},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"an entry that a restored snapshot has of a later version is read by that version", "wish/never-answered", false, History{
			Seed: 2503303, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "get role/", Bad: "before", For: 30 * time.Second, Skip: 1},
				{Do: "issue", Request: Request{Who: "bob", Role: "once", Name: "common", ID: "deploy-4"}},
				{Do: "future", At: "order/closed/"},
				{Do: "snapshot"},
				{Do: "present"},
				{Do: "rollback"},
			},
		},
	},
	{
		"a certificate that was synchronized after a snapshot was restored was not in flight before", "money/waited", false, History{
			Seed: 2502602, Manners: Manners{Dialect: certinexttest.V1, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "orders-report", Bad: "wrong-status", For: 1 * time.Second, Skip: 1},
				{Do: "order", Request: Request{Who: "bat", Role: "web", Name: "n103"}},
				{Do: "snapshot"},
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n104"}},
				{Do: "time", For: 9 * time.Hour},
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n104"}},
				{Do: "rollback"},
				{Do: "sync", Request: Request{Who: "tok", Role: "bare", Name: "n101"}, How: "serial"},
			},
		},
	},
	{
		"an order that its client has cancelled is over, though a restored snapshot does not know it", "money/again", false, History{
			Seed: 2507457, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "misissue", Bad: "missing-name"},
				{Do: "wire", At: "> revoke", Bad: "empty-204"},
				{Do: "snapshot"},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n107"}},
				{Do: "cancel", Request: Request{Who: "bat", Role: "web", Name: "n107"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n107"}},
				{Do: "rollback"},
			},
		},
	},
	{
		"a wrong number in a restored record says nothing of the order that got it later", "record/orphan", false, History{
			Seed: 2503823, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "n101"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n2"}},
				{Do: "order", Request: Request{Who: "ann", Role: "bare", Name: "n3"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "inside", Name: "n4"}},
				{Do: "order", Request: Request{Who: "bob", Role: "bare", Name: "n6"}},
				{Do: "ca", At: "create-ssl", Bad: "other-order", For: 70 * time.Second, Times: 6},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n7"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n8"}},
				{Do: "async", Request: Request{Who: "ann", Role: "hasty", Name: "n108"}},
				{Do: "snapshot"},
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n109"}},
				{Do: "rollback"},
			},
		},
	},
	{
		"a draft is discarded in its own account, after a snapshot was restored, too", "rest/open", false, History{
			Seed: 2505961, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "config", How: "number"},
				{Do: "draft", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
				{Do: "snapshot"},
				{Do: "promote", Request: Request{Who: "bob", Role: "web", Name: "n4"}},
				{Do: "rollback"},
			},
		},
	},
	{
		"a lease that was stored while the clock was behind runs on after a restart, too", "use/revoked", false, History{
			Seed: 2504706, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: -1440 * time.Hour},
				{Do: "issue", Request: Request{Who: "tok", Role: "late", Name: "n3"}},
				{Do: "time", For: 9 * time.Hour},
				{Do: "restart"},
				{Do: "time", For: 6 * time.Minute},
				{Do: "restart"},
				{Do: "issue", Request: Request{Who: "tok", Role: "late", Name: "n3"}},
			},
		},
	},
	{
		"a certificate that was handed over is not revoked by a stranger who deletes its order", "privacy/acted", false, History{
			Seed: 2509972, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "draft", Request: Request{Who: "ann", Role: "web", Name: "n1", ID: "draft-1"}},
				{Do: "cancel", Request: Request{Who: "ann", Role: "web", Name: "n1", ID: "draft-1"}},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n3"}},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "renew", Request: Request{Who: "bat", Role: "rekey", Name: "n3"}, Then: 12},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1", ID: "draft-1"}, Then: 4},
				{Do: "steal", Request: Request{Who: "ann", Role: "web", Name: "n1", ID: "draft-1"}, How: "cancel"},
			},
		},
	},
	{
		"an order goes on when config holds its account again, though the plugin has died meanwhile", "key/left", false, History{
			Seed: 2511599, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: false,
			Actions: []Action{
				{Do: "misissue", Bad: "uri-name"},
				{Do: "disk", At: "put cert/", Bad: "crash"},
				{Do: "config", How: "region"},
				{Do: "config", How: "write"},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n102"}},
			},
		},
	},
	{
		"a key without its account is erased by what has passed, whatever the clock shows", "clock/erased", false, History{
			Seed: 2506123, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n3"}},
				{Do: "config", How: "delete"},
				{Do: "clock", For: -1440 * time.Hour},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"an answer by a clock that was set back keeps a key without its account, too", "clock/erased", false, History{
			Seed: 2511562, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "clock", For: -1440 * time.Hour},
				{Do: "config", How: "number"},
				{Do: "time", For: 3 * time.Minute},
				{Do: "config", How: "write"},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "config", How: "number"},
				{Do: "time", For: 10 * time.Minute},
			},
		},
	},
	{
		"a key without its account that nobody collects is erased by what has passed", "clock/erased", false, History{
			Seed: 2500014, Orderly: true,
			Actions: []Action{
				{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "time", For: 6 * time.Minute},
				{Do: "config", How: "delete"},
				{Do: "clock", For: -1440 * time.Hour},
				{Do: "time", For: 240 * time.Hour},
			},
		},
	},
	{
		"a key without its account that nobody collects is kept for its pickup window", "clock/erased", false, History{
			Seed: 2500014, Orderly: true,
			Actions: []Action{
				{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n1"}},
				{Do: "time", For: 6 * time.Minute},
				{Do: "config", How: "delete"},
				{Do: "time", For: 9 * time.Hour},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "time", For: 9 * time.Hour},
			},
		},
	},
	{
		"a reissue that CERTInext does not know needs no key, whatever the clock shows", "clock/erased", false, History{
			Seed: 2717159, Manners: Manners{Dialect: certinexttest.Documented, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "clock", For: -1440 * time.Hour},
				{Do: "issue", Request: Request{Who: "bob", Role: "rekey", Name: "n6"}},
				{Do: "reissue", Request: Request{Who: "bob", Role: "rekey", Name: "n6"}},
			},
		},
	},
	{
		"a role that a later version has written is not deleted", "future/rewritten", false, History{
			Seed: 2728424, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "future", At: "role/"},
				{Do: "role", Request: Request{Role: "web"}, How: "delete"},
			},
		},
	},
	{
		"a lease that is renewed while the clock is set lasts as long as Vault was told", "lease/not-revoked", false, History{
			Seed: 2733330, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "web", Name: "n2"}},
				{Do: "lease-renew", Request: Request{Who: "tok", Role: "web", Name: "n2"}, For: 1 * time.Hour, Then: 2},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "pass"},
			},
		},
	},
	{
		"an order that CERTInext refuses for its key when asked again can be settled", "rest/open", false, History{
			Seed: 2801027, Manners: Manners{Dialect: certinexttest.Documented, TokenTTL: 1 * time.Hour, NewKeysOnly: true}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n6", Key: 6}},
				{Do: "ca", At: "create-ssl", Bad: "lost-reply", For: 10 * time.Second, Skip: 2},
				{Do: "time", For: 6 * time.Minute},
				{Do: "issue", Request: Request{Who: "bat", Role: "web", Name: "n9"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "bare", Name: "n10"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n6", Key: 6}},
			},
		},
	},
	{
		"a draft that was promoted before a snapshot was restored is not believed to be discarded", "record/orphan", false, History{
			Seed: 2536039, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "draft", Request: Request{Who: "bob", Role: "bare", Name: "n2"}},
				{Do: "snapshot"},
				{Do: "promote", Request: Request{Who: "bob", Role: "bare", Name: "n2"}},
				{Do: "rollback"},
				{Do: "wire", At: "> cancel", Bad: "empty-204"},
				{Do: "cancel", Request: Request{Who: "bob", Role: "bare", Name: "n2"}},
			},
		},
	},
	{
		"an order without its account is held when its stored certificate is", "rest/open", false, History{
			Seed: 2730441, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put cert/", Bad: "after", For: 30 * time.Second, Skip: 2},
				{Do: "issue", Request: Request{Who: "ann", Role: "hasty", Name: "n2"}},
				{Do: "misissue", Bad: "extra-name"},
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n1"}, Then: 1},
				{Do: "collect", Request: Request{Who: "ann", Role: "hasty", Name: "n2"}},
				{Do: "config", How: "number"},
			},
		},
	},
	{
		"a key without its account is erased although its order had lost the account before", "key/stranded", false, History{
			Seed: 2733408, Manners: Manners{Dialect: certinexttest.Documented, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "n3"}, Hang: 5, Then: 32},
				{Do: "config", How: "delete"},
				{Do: "restart"},
				{Do: "time", For: 20 * time.Second},
				{Do: "config", How: "spelling"},
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "n3"}},
				{Do: "snapshot"},
				{Do: "clock", For: 10 * time.Minute},
				{Do: "rollback"},
				{Do: "revoke", Request: Request{Who: "bob", Role: "bare", Name: "n3"}, How: "order"},
			},
		},
	},
	{
		"an order that waited for its account is looked at once that is back", "wish/never-answered", false, History{
			Seed: 2555664, Manners: Manners{ReportDelay: 30 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "wire", At: "< create-", Bad: "before", Times: 2},
				{Do: "order", Request: Request{Who: "bat", Role: "web", Name: "n2"}},
				{Do: "order", Request: Request{Who: "bob", Role: "web", Name: "n2"}},
				{Do: "adopt", Request: Request{Who: "bob", Role: "web", Name: "n2"}},
				{Do: "cancel", Request: Request{Who: "bob", Role: "web", Name: "n2"}},
				{Do: "config", How: "delete"},
				{Do: "time", For: 7 * time.Hour},
			},
		},
	},
	{
		"a wrong number that is not known yet is corrected by CERTInext's records", "record/orphan", false, History{
			Seed: 2526317, Manners: Manners{Dialect: certinexttest.V1, IssueDelay: 90 * time.Second, ReportDelay: 30 * time.Second, ReportPage: 2, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "bob", Role: "web", Name: "n5"}},
				{Do: "neighbour", Request: Request{Who: "bob", Role: "rekey", Name: "n103"}, How: "order"},
				{Do: "issue", Request: Request{Who: "bob", Role: "rekey", Name: "n103"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "bare", Name: "n101"}},
				{Do: "ca", At: "create-ssl", Bad: "other-order"},
				{Do: "order", Request: Request{Who: "tok", Role: "bare", Name: "n102"}},
				{Do: "clock", For: -10 * time.Minute},
				{Do: "cancel", Request: Request{Who: "tok", Role: "bare", Name: "n102"}},
			},
		},
	},
	{
		"an order that a restored snapshot brought back was over before", "money/waited", false, History{
			Seed: 2546951, Manners: Manners{IssueDelay: 90 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "hasty", Name: "n7"}},
				{Do: "snapshot"},
				{Do: "time", For: 9 * time.Hour},
				{Do: "issue", Request: Request{Who: "bat", Role: "hasty", Name: "n7"}},
				{Do: "rollback"},
			},
		},
	},
	{
		"a write that was under way when a snapshot was restored pauses nothing", "money/paused", false, History{
			Seed: 2574362, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "snapshot"},
				{Do: "config", How: "paused", Then: 8},
				{Do: "rollback"},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n5"}},
			},
		},
	},
	{
		"an order that was reissued before a snapshot was restored ends", "rest/open", false, History{
			Seed: 2567590, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bat", Role: "rekey", Name: "n101"}, Then: 10},
				{Do: "snapshot"},
				{Do: "reissue", Request: Request{Who: "bat", Role: "rekey", Name: "n101"}},
				{Do: "rollback"},
			},
		},
	},
	{
		"a key whose order was closed before the clock jumped may be erased later", "clock/erased", false, History{
			Seed: 2809580, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "delete order/open/", Bad: "before", For: 1 * time.Second, Times: 3},
				{Do: "issue", Request: Request{Who: "bob", Role: "rekey", Name: "n2"}},
				{Do: "time", For: 6 * time.Minute},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "time", For: 7 * time.Hour},
			},
		},
	},
	{
		"a delivery whose undoing a crash puts off is one for as long as its window", "money/again", false, History{
			Seed: 2814060, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n2"}},
				{Do: "issue", Request: Request{Who: "tok", Role: "hasty", Name: "n2"}},
				{Do: "wire", At: "< create-", Bad: "denied-200", For: 1 * time.Second},
				{Do: "order", Request: Request{Who: "ann", Role: "inside", Name: "n3"}},
				{Do: "disk", At: "put cert/", Bad: "slow", For: 30 * time.Second, Skip: 3, Times: 3},
				{Do: "time", For: 2 * time.Minute},
				{Do: "collect", Request: Request{Who: "ann", Role: "inside", Name: "n3"}},
				{Do: "async", Request: Request{Who: "bat", Role: "inside", Name: "shared"}, Then: 3},
				{Do: "issue", Request: Request{Who: "bob", Role: "bare", Name: "shared"}, Hang: 25},
				{Do: "logout", Request: Request{Who: "tok"}, Then: 9},
				{Do: "disk", At: "put revocation/", Bad: "crash"},
			},
		},
	},
	{
		"an order that was approved before a snapshot was restored is not sent again", "money/sent-twice", false, History{
			Seed: 1, Manners: Manners{ReportDelay: 24 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "order", Request: Request{Who: "ann", Role: "asked", Name: "n1"}},
				{Do: "snapshot"},
				{Do: "decide", How: "approve", Request: Request{Who: "ann", Role: "asked", Name: "n1"}},
				{Do: "rollback"},
				{Do: "decide", How: "approve", Request: Request{Who: "ann", Role: "asked", Name: "n1"}},
			},
		},
	},
	{
		"an order that was approved before a snapshot was restored does not expire", "record/orphan", false, History{
			Seed: 38, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "order", Request: Request{Who: "bat", Role: "asked", Name: "n101"}},
				{Do: "snapshot"},
				{Do: "decide", Request: Request{Who: "bat", Role: "asked", Name: "n101"}, How: "approve"},
				{Do: "rollback"},
				{Do: "time", For: 31 * time.Hour},
			},
		},
	},
	{
		"nothing is rejected that records may not show yet", "record/orphan", false, History{
			Seed: 73, Manners: Manners{ReportDelay: 30 * time.Second, TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "async", Request: Request{Who: "tok", Role: "asked", Name: "n101"}},
				{Do: "snapshot"},
				{Do: "decide", Request: Request{Who: "tok", Role: "asked", Name: "n101"}, How: "approve"},
				{Do: "rollback"},
				{Do: "decide", Request: Request{Who: "tok", Role: "asked", Name: "n101"}, How: "reject"},
			},
		},
	},
	{
		"a clock that is 60 days ahead buys no other subscription", "money/named", false, History{
			Seed: 481, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "lasting", Name: "n2"}},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "renew", Request: Request{Who: "ann", Role: "lasting", Name: "n2"}},
				{Do: "time", For: 288 * time.Hour},
				{Do: "issue", Request: Request{Who: "ann", Role: "lasting", Name: "n2"}},
			},
		},
	},
	{
		"a clock that is ahead forgets no successor that is to be made", "ahead/waits", false, History{
			Seed: 1119, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "abe", Role: "ahead", Name: "n201"}},
				{Do: "clock", For: 1440 * time.Hour},
				{Do: "pass"},
			},
		},
	},
	{
		"a reissue that CERTInext refuses ahead is one new order", "ahead/twice", false, History{
			Seed: 23, Manners: Manners{Dialect: certinexttest.Documented, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "abe", Role: "going", Name: "n202"}},
			},
		},
	},
	{
		"to order is to order, where certificates are reused, too", "money/repeated", false, History{
			Seed: 1165, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "shared", Name: "n2"}},
				{Do: "time", For: 6 * time.Minute},
				{Do: "order", Request: Request{Who: "ann", Role: "shared", Name: "n2"}},
			},
		},
	},
	{
		"an order for which another key's certificate comes for a day is over", "money/again", false, History{
			Seed: 463, Manners: Manners{IssueDelay: 40 * time.Second, PEMLag: 3 * time.Second, TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "ca", At: "cancel", Bad: "wrong-key", For: 70 * time.Second, Skip: 2, Times: 6},
				{Do: "issue", Request: Request{Who: "amy", Role: "spare", Name: "n201"}},
				{Do: "time", For: 384 * time.Hour},
				{Do: "issue", Request: Request{Who: "amy", Role: "spare", Name: "n201"}},
				{Do: "time", For: 72 * time.Hour},
			},
		},
	},
	{
		"a certificate whose answer was lost with its process counts as handed over", "ahead/unasked", false, History{
			Seed: 423, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "disk", At: "put cert/", Bad: "crash"},
				{Do: "issue", Request: Request{Who: "abe", Role: "spare", Name: "n202"}},
				{Do: "time", For: 408 * time.Hour},
			},
		},
	},
	{
		"the newest certificate of another account is renewed ahead", "ahead/waits", false, History{
			Seed: 275, Manners: Manners{TokenTTL: 1 * time.Hour}, Orderly: true,
			Actions: []Action{
				{Do: "order", Request: Request{Who: "amy", Role: "going", Name: "n202"}},
				{Do: "time", For: 360 * time.Hour},
				{Do: "config", How: "number"},
			},
		},
	},
	{
		"an order's own charge is no reissue's by a clock that was behind", "spend/books", false, History{
			Seed: 498, Manners: Manners{TokenTTL: 1 * time.Hour, Priced: true}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "ann", Role: "lasting", Name: "n1"}},
				{Do: "issue", Request: Request{Who: "ann", Role: "lasting", Name: "n1"}, Then: 5},
				{Do: "disk", At: "put cert/", Bad: "leaves"},
				{Do: "time", For: 6 * time.Minute},
				{Do: "clock", For: -1440 * time.Hour},
				{Do: "reissue", Request: Request{Who: "ann", Role: "lasting", Name: "n1"}},
			},
		},
	},
	{
		"what was renewed by its serial number is reused no more", "money/repeated", false, History{
			Seed: 5020116, Manners: Manners{TokenTTL: 2 * time.Minute}, Orderly: true,
			Actions: []Action{
				{Do: "issue", Request: Request{Who: "bob", Role: "shared", Name: "n1"}},
				{Do: "renew", Request: Request{Who: "bob", Role: "shared", Name: "n1"}},
				{Do: "time", For: 9 * time.Hour},
				{Do: "issue", Request: Request{Who: "bob", Role: "shared", Name: "n1"}},
			},
		},
	},
}

// TestCases: what was broken once stays mended, and what is open says so until it is.
func TestCases(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out := run(t, c.history, printed("SIM_TRACE"), printed("SIM_LOG"))
			if c.open {
				require.True(t, out.breaks(c.broke), "%s is mended: it is not open any more", c.broke)
				return
			}
			require.Empty(t, out.Broken)
		})
	}
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// parking is a server that parks orders without any of the parts.
func parking(d certinexttest.Dialect) *certinexttest.Server {
	srv := verified(d)
	srv.Demands.ParkWithout = []string{
		certinexttest.PartOrganization, certinexttest.PartTechnicalContact, certinexttest.PartGroup,
	}
	return srv
}

// Whatever is missing comes later, and in any order; then the order goes on.
func TestParkedOrderGoesOnWithWhatItLacked(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		c := &clock{time.Now().UTC().Truncate(time.Second)}
		srv := parking(d)
		srv.Now = c.now
		r, admin := adminRig(t, srv)
		supply := func(id string, body m) answer { return admin.post("/orders/"+id+"/supply", body) }
		id := r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
		if d == certinexttest.Documented {
			r.post(sslPath+"/"+id+"/agreement", m{"agreement": dvOrder("www.example.com")["agreement"]}).must(204)
		}
		require.Equal(t, "pending-approval", r.status(id))
		require.Equal(t, []any{"organization", "technical-contact", "group"}, admin.get("/orders/" + id).must(200)["missing"])
		if d == certinexttest.Live {
			v := r.get(sslPath + "/" + id).must(200)
			require.Equal(t, "Pending System RA", v["certificateState"])
			require.Equal(t, "Order Accepted", v["orderState"])
			row := r.get(api + "/reports/orders").must(200)["content"].([]any)[0].(m)
			require.Equal(t, "Pending System RA", row["certificateStatus"])
		}

		require.Equal(t, 404, supply("1", m{"group": certinexttest.DefaultGroup}).status)
		for what, body := range map[string]m{
			"nothing":                  {},
			"a group that is not ours": {"group": "1"},
			"an organization likewise": {"organization": "1"},
			"a contact without a name": {"technicalContact": m{"email": "a@example.com"}},
			"one without an address":   {"technicalContact": m{"name": "A", "email": "example.com"}},
			"an unknown part":          {"colour": "red"},
		} {
			require.Equal(t, 400, supply(id, body).status, what)
			require.Len(t, admin.get("/orders/" + id).must(200)["missing"], 3, what)
		}
		c.advance(10 * time.Minute)
		supply(id, m{"group": certinexttest.DefaultGroup, "technicalContact": m{"name": "A", "email": "a@example.com"}}).must(204)
		require.Equal(t, "pending-approval", r.status(id))
		again := supply(id, m{"group": certinexttest.DefaultGroup})
		require.Equal(t, 400, again.status)
		require.Contains(t, string(again.body), "does not wait for its group")
		supply(id, m{"organization": certinexttest.DefaultOrganization}).must(204)
		require.Equal(t, "issued", r.status(id))
		o := admin.get("/orders/" + id).must(200)
		require.NotContains(t, o, "missing")
		require.Equal(t, certinexttest.DefaultGroup, o["group"])
		require.Equal(t, certinexttest.DefaultOrganization, o["organization"])
		require.Equal(t, c.at.Format(time.RFC3339), o["issuedAt"], "not before it was complete")
		require.Equal(t, 400, supply(id, m{"group": certinexttest.DefaultGroup}).status, "it has ended")
	})
}

func TestWhoParksAndWhoDoesNot(t *testing.T) {
	complete := merge(dvOrder("www.example.com"), m{
		"groupNumber": certinexttest.DefaultGroup, "technicalPointOfContact": m{"name": "T", "email": "t@example.com"},
		"organization": m{"organizationNumber": certinexttest.DefaultOrganization, "preVetted": true},
	})
	for part, change := range map[string]m{
		"nothing": nil, "group": {"groupNumber": nil}, "organization": {"organization": nil},
		"technical-contact": {"technicalPointOfContact": nil},
	} {
		t.Run("v2 without "+part, func(t *testing.T) {
			r := newRig(t, parking(certinexttest.Live))
			id := r.order(merge(merge(complete, m{"csr": csr(t, newKey(t), "www.example.com")}), change))
			requireParked(t, r, id, part)
		})
	}
	v1Complete := merge(v1Order("www.example.com"), m{
		"delegationInformation":   m{"groupNumber": certinexttest.DefaultGroup},
		"technicalPointOfContact": m{"tpcName": "T", "tpcEmail": "t@example.com"},
	})
	for name, c := range map[string]struct {
		part   string
		change m
	}{
		"nothing": {"nothing", nil},
		"a contact in the outer place": {"nothing", m{
			"technicalPointOfContact": nil,
			"additionalInformation":   m{"remarks": "r", "technicalPointOfContact": m{"pocName": "T", "pocEmail": "t@example.com"}},
		}},
		"a group in its delegation": {"group", m{"delegationInformation": nil, "groupNumber": certinexttest.DefaultGroup}},
		"a contact":                 {"technical-contact", m{"technicalPointOfContact": nil}},
		"an organization":           {"organization", m{"organizationDetails": nil}},
	} {
		t.Run("v1 without "+name, func(t *testing.T) {
			r := newRig(t, parking(certinexttest.Live))
			number := r.buy(merge(merge(v1Complete, m{"csr": csr(t, newKey(t), "www.example.com")}), c.change))
			if c.part == "organization" {
				require.Equal(t, "2/24", r.ids(number), "its control is to be shown anew")
				r.srv.VerifyDomain("www.example.com")
			}
			requireParked(t, r, number, c.part)
		})
	}
	t.Run("private PKI has none of the parts", func(t *testing.T) {
		r := newRig(t, parking(certinexttest.Live))
		id := r.post(privatePath, merge(privateOrder("h.local"), m{"csr": csr(t, newKey(t), "h.local")})).must(201)["orderId"].(string)
		require.Equal(t, "issued", r.get(privatePath + "/" + id).must(200)["status"])
	})
}

// requireParked holds an order of either version to be parked for a part, and for "nothing" issued.
func requireParked(t *testing.T, r *rig, id, part string) {
	t.Helper()
	o, known := r.srv.Order(id)
	require.True(t, known)
	if part == "nothing" {
		require.Equal(t, "issued", o.Status)
		require.Empty(t, o.Missing)
		return
	}
	require.Equal(t, "pending-approval", o.Status)
	require.Equal(t, []string{part}, o.Missing)
	v := r.tracked(id)
	require.Equal(t, "8", v["orderStatusId"])
	require.Equal(t, "Pending System RA", v["certificateStatus"])
	require.NoError(t, r.srv.Approve(id), "a person of the CA may let it pass")
	require.Equal(t, "issued", r.status(id))
}

// An OV certificate names an organization: where orders are parked for it, nothing but an
// organization lets one go on.
func TestParkedOVOrderNeedsAnOrganization(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.Demands.ParkWithout = []string{certinexttest.PartOrganization}
	srv.ApprovalDelay = -1
	r := newRig(t, srv)
	order := m{"productVariant": "ov", "organization": nil, "csr": csr(t, newKey(t), "www.example.com")}
	v2 := r.order(merge(dvOrder("www.example.com"), order))
	v1 := r.buy(merge(v1Order("www.example.com"), m{
		"productCode": "846", "organizationDetails": nil, "csr": csr(t, newKey(t), "www.example.com"),
	}))
	srv.VerifyDomain("www.example.com")
	for _, id := range []string{v2, v1} {
		require.NoError(t, srv.Approve(id))
		require.Equal(t, "pending-approval", r.status(id))
		require.Equal(t, "8/2", r.ids(id))
		require.NotContains(t, r.get(sslPath + "/" + id).must(200)["verifications"], "organization")
		require.NoError(t, srv.Supply(id, certinexttest.Supplement{Organization: certinexttest.UnvettedOrganization}))
		require.Equal(t, "pending-organization-verification", r.status(id))
	}
	require.NoError(t, srv.Vet(certinexttest.UnvettedOrganization))
	for _, id := range []string{v2, v1} {
		require.Equal(t, "issued", r.status(id))
		require.NotEmpty(t, r.certificate(id).Subject.Organization)
	}
}

// Nothing is parked unless a setting says so, and then OV is refused without an organization.
func TestNothingIsParkedByDefault(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	require.Error(t, r.srv.Supply(id, certinexttest.Supplement{Group: certinexttest.DefaultGroup}))
	r.post(sslPath, merge(dvOrder("www.example.com"), m{"productVariant": "ov"})).refused(422, "EMS-1180")
	rule, source := r.brokenBy()
	require.Equal(t, "organization-needed", rule)
	require.Equal(t, "seen on the live service", source)
}

// The gateway's documentation asks for the particulars of each OV and EV order, the vendor's
// collection for those of organizations that are still to be vetted.
func TestV1FullParticulars(t *testing.T) {
	block := m{
		"domainName": "www.example.com", "autoSecureWWW": "0", "streetAddress1": "3 Example Street", "streetAddress2": "Floor 4",
		"locality": "Boston", "state": "Massachusetts", "countryCode": "US", "postalCode": "02108", "companyRegistrationNumber": "77",
	}
	person := m{"name": "P", "email": "p@example.com"}
	ov := merge(v1Order("www.example.com"), m{"productCode": "846", "certificateInformation": block})
	ev := merge(ov, m{"productCode": "850", "contractSignerInfo": person, "certificateApproverInfo": person})
	without := func(order m, member string) m {
		return merge(order, m{"certificateInformation": merge(block, m{member: ""})})
	}
	const everyone, evOnly = true, false
	for name, c := range map[string]struct {
		lacks func(order m) m
		code  string
		of    bool
	}{
		"a street":             {func(o m) m { return without(o, "streetAddress1") }, "EMS-1180", everyone},
		"a locality":           {func(o m) m { return without(o, "locality") }, "EMS-1180", everyone},
		"a state":              {func(o m) m { return without(o, "state") }, "EMS-1180", everyone},
		"a country":            {func(o m) m { return without(o, "countryCode") }, "EMS-1180", everyone},
		"a postal code":        {func(o m) m { return without(o, "postalCode") }, "EMS-1180", everyone},
		"a second street":      {func(o m) m { return without(o, "streetAddress2") }, "EMS-1180", evOnly},
		"a registration":       {func(o m) m { return without(o, "companyRegistrationNumber") }, "EMS-1180", evOnly},
		"a contract signer":    {func(o m) m { return merge(o, m{"contractSignerInfo": nil}) }, "EMS-1220", evOnly},
		"an approver":          {func(o m) m { return merge(o, m{"certificateApproverInfo": nil}) }, "EMS-1221", evOnly},
		"the signer's address": {func(o m) m { return merge(o, m{"contractSignerInfo": m{"name": "P"}}) }, "EMS-1223", evOnly},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withEVOrganization())
			r.buy(c.lacks(ov))
			r.buy(c.lacks(ev))
			r.srv.Configure(func(s *certinexttest.Server) { s.Demands.FullParticulars = true })
			r.buy(ov)
			r.buy(ev)
			if c.of == everyone {
				r.call("GenerateOrderSSL", m{"orderDetails": c.lacks(ov)}).fails(c.code)
			} else {
				r.buy(c.lacks(ov))
			}
			r.call("GenerateOrderSSL", m{"orderDetails": c.lacks(ev)}).fails(c.code)
			rule, source := r.brokenBy()
			require.Equal(t, "full-particulars", rule)
			require.Contains(t, source, "gateway")
		})
	}
}

// withEVOrganization is a server whose organization is vetted for EV.
func withEVOrganization() *certinexttest.Server {
	srv := verified(certinexttest.Live)
	srv.Organizations = []certinexttest.Organization{{
		Number: certinexttest.DefaultOrganization, Name: "Example Corporation", CountryCode: "US", ValidationFor: "2", Vetted: true,
	}}
	return srv
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"
)

// drawnFaults are the faults that strike one call.
type drawnFaults []*activeFault

func (d drawnFaults) has(kind FaultKind) bool {
	for _, f := range d {
		if f.Kind == kind {
			return true
		}
	}
	return false
}

// before plays the faults that come before the call is processed. It reports
// whether the call ends there.
func (d drawnFaults) before(s *Server, w http.ResponseWriter, c *call) (done bool) {
	for _, f := range d {
		switch f.Kind {
		case FaultLatency:
			if !sleep(c.r.Context(), f.Delay) {
				panic(http.ErrAbortHandler)
			}
		case FaultDropped:
			panic(http.ErrAbortHandler)
		case FaultTokenDeath:
			s.KillTokens()
		case FaultRateLimit, FaultServerError, FaultMetaError, FaultHTML, FaultSpring,
			FaultMiddleman, FaultRefusal:
			f.reply(s, c).write(w)
			return true
		}
	}
	return false
}

// after plays the faults that come after the call was processed, and writes
// what is left of the reply.
func (d drawnFaults) after(s *Server, w http.ResponseWriter, c *call, rep reply) {
	for _, f := range d {
		switch f.Kind {
		case FaultSlowReply:
			if !sleep(c.r.Context(), f.Delay) {
				panic(http.ErrAbortHandler)
			}
		case FaultLostReply:
			panic(http.ErrAbortHandler)
		case FaultServerErrorAfter, FaultMetaErrorAfter, FaultMiddlemanAfter,
			FaultRefusalAfter:
			rep = f.reply(s, c)
		case FaultWrongStatus, FaultOtherOrder:
			rep = s.tellLie(f, c, rep)
		case FaultMalformedJSON:
			rep.body = append(bytes.Clone(rep.body[:len(rep.body)/2]), "}]~"...)
		case FaultOversized:
			rep.body = append(bytes.Repeat([]byte{' '}, orDefault(f.Size, 16<<20)), rep.body...)
		case FaultTruncated:
			rep.truncate(w)
		}
	}
	rep.write(w)
}

// truncate announces the whole body, sends half of it and hangs up.
func (p reply) truncate(w http.ResponseWriter) {
	w.Header().Set("Content-Length", strconv.Itoa(len(p.body)+1))
	p.writeHeader(w)
	_, _ = w.Write(p.body[:len(p.body)/2])
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// reply is the error a fault answers with.
func (f Fault) reply(s *Server, c *call) reply {
	switch f.Kind {
	case FaultRateLimit:
		p := &problem{
			status: orDefault(f.Status, http.StatusTooManyRequests), slug: "too-many-requests",
			detail: "Too many requests", reason: tooMany,
		}
		if f.RetryAfter > 0 {
			p.header = http.Header{"Retry-After": {f.retryAfter(s.now())}}
		}
		return s.refuseCall(p, c)
	case FaultHTML:
		status := orDefault(f.Status, http.StatusBadGateway)
		page := "<html>\r\n<head><title>" + strconv.Itoa(status) + " " + http.StatusText(status) +
			"</title></head>\r\n<body><center><h1>" + http.StatusText(status) +
			"</h1></center></body>\r\n</html>\r\n"
		return reply{status: status, contentType: "text/html", body: []byte(page)}
	case FaultMetaError, FaultMetaErrorAfter:
		if c.body == nil && c.readBody() == nil {
			_ = c.openEnvelope() // for the txn to answer, if there is one
		}
		return s.v1().envelope(c, "0", "EMS-939", "Something went wrong", nil)
	case FaultMiddleman, FaultMiddlemanAfter:
		return f.middleman()
	case FaultRefusal, FaultRefusalAfter:
		return f.refusalReply(s, c)
	case FaultSpring:
		return springReply(
			orDefault(f.Status, http.StatusInternalServerError), "", c.r.URL.Path, s.now(),
		)
	default:
		return s.refuseCall(&problem{
			status: orDefault(f.Status, http.StatusServiceUnavailable), slug: "internal-error",
			detail: "Service is unavailable", reason: injected,
		}, c)
	}
}

// retryAfter is delta-seconds or an HTTP date; RFC 9110 §10.2.3 allows both.
func (f Fault) retryAfter(now time.Time) string {
	if f.RetryAfterDate {
		return now.Add(f.RetryAfter).Format(http.TimeFormat)
	}
	return strconv.Itoa(int(f.RetryAfter.Seconds()))
}

// sleep waits for d and reports whether the caller is still there. One who
// leaves in the moment in which the wait is over was there.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	}
	select {
	case <-t.C:
		return true
	default:
		return false
	}
}

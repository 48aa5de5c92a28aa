// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/hashicorp/go-hclog"
)

// A quietLogger logs errors without CERTInext's words: see [fault.Logged]. The engine logs by the
// methods that it has.
type quietLogger struct{ hclog.Logger }

// newQuietLogger returns a logger for the engine's packages; nil when log is nil.
func newQuietLogger(log hclog.Logger) hclog.Logger {
	if log == nil {
		return nil
	}
	return quietLogger{log}
}

func (q quietLogger) Log(level hclog.Level, msg string, args ...any) {
	q.Logger.Log(level, msg, quiet(args)...)
}
func (q quietLogger) Trace(msg string, args ...any) { q.Logger.Trace(msg, quiet(args)...) }
func (q quietLogger) Debug(msg string, args ...any) { q.Logger.Debug(msg, quiet(args)...) }
func (q quietLogger) Info(msg string, args ...any)  { q.Logger.Info(msg, quiet(args)...) }
func (q quietLogger) Warn(msg string, args ...any)  { q.Logger.Warn(msg, quiet(args)...) }
func (q quietLogger) Error(msg string, args ...any) { q.Logger.Error(msg, quiet(args)...) }

// quiet returns the arguments of a log line with the text of each error that may be logged.
func quiet(args []any) []any {
	said := make([]any, len(args))
	for i, arg := range args {
		if err, is := arg.(error); is {
			arg = fault.Logged(err)
		}
		said[i] = arg
	}
	return said
}

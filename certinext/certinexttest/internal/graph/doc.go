// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package graph writes Go values as JSON and reads them back into values of the same types, fields
// that are not exported included. What two pointers share is shared again afterwards. It knows
// nothing of what the values mean.
//
// A text is {"objects": [...], "root": ...}. A pointer is the number of what it points to in
// objects, and null for nil. A structure is an object with each of its fields, a map a list of
// pairs, a list of bytes is base64. Types that have a [Codec] are base64 of what that writes. A
// lock is left out, and is free afterwards; a function stays what it is in the value that is read
// into.
//
// Reading is strict: each field has to be there, and no other. A text that another version of the
// types has written is refused with an [Error] that names the field.
package graph

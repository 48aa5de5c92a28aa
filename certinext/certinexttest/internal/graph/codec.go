// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package graph

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

// A Codec says how the values of one type are written, where their fields do not.
type Codec struct {
	of    reflect.Type
	write func(v reflect.Value) ([]byte, error)
	read  func(text []byte, into reflect.Value) error
}

// Of makes a codec for T.
func Of[T any](write func(*T) ([]byte, error), read func([]byte) (T, error)) Codec {
	return Codec{
		of: reflect.TypeFor[T](),
		write: func(v reflect.Value) ([]byte, error) {
			return write(v.Addr().Interface().(*T))
		},
		read: func(text []byte, into reflect.Value) error {
			v, err := read(text)
			if err == nil {
				into.Set(reflect.ValueOf(&v).Elem())
			}
			return err
		},
	}
}

// An Error says where in a value something is that cannot be written or read.
type Error struct {
	// Path leads to it: fields, and numbers in lists.
	Path    string
	Problem string
}

// Error names the place.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Problem) }

func wrong(path, format string, args ...any) error {
	return &Error{path, fmt.Sprintf(format, args...)}
}

func byType(codecs []Codec) map[reflect.Type]Codec {
	table := make(map[reflect.Type]Codec)
	for _, c := range codecs {
		table[c.of] = c
	}
	return table
}

// isSkipped tells what of a structure is not part of its value.
func isSkipped(f reflect.StructField) bool {
	return f.Name == "_" || f.Type == reflect.TypeFor[sync.Mutex]() || f.Type.Kind() == reflect.Func
}

// fieldOf is a field of a structure that can be read and set, exported or not. The structure has to
// be addressable.
func fieldOf(structure reflect.Value, i int) reflect.Value {
	f := structure.Field(i)
	// The type is the field's own, and the caller holds the structure.
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// addressable is a copy of v that is.
func addressable(v reflect.Value) reflect.Value {
	held := reflect.New(v.Type()).Elem()
	held.Set(v)
	return held
}

// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package terms

import (
	"container/heap"
	"iter"
	"time"
)

// An Agenda holds what is to be done at a certain time. Asking whether anything is due costs
// nothing while nothing is, however much is on it. The zero value is empty. It is not safe for
// concurrent use.
type Agenda[T any] struct{ items items[T] }

// Add puts something on the agenda.
func (a *Agenda[T]) Add(at time.Time, what T) {
	heap.Push(&a.items, item[T]{at, a.items.next, what})
	a.items.next++
}

// Due takes off what is due first, and says since when. Of things for the same time the one that
// was added first is first.
func (a *Agenda[T]) Due(now time.Time) (what T, at time.Time, ok bool) {
	if len(a.items.list) == 0 || a.items.list[0].at.After(now) {
		return what, at, false
	}
	first := heap.Pop(&a.items).(item[T])
	return first.what, first.at, true
}

// All are what is on the agenda, in no order.
func (a *Agenda[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, i := range a.items.list {
			if !yield(i.what) {
				return
			}
		}
	}
}

type item[T any] struct {
	at     time.Time
	number int // of those for the same time
	what   T
}

// items are a heap.
type items[T any] struct {
	list []item[T]
	next int
}

func (i items[T]) Len() int { return len(i.list) }

func (i items[T]) Less(a, b int) bool {
	x, y := i.list[a], i.list[b]
	if x.at.Equal(y.at) {
		return x.number < y.number
	}
	return x.at.Before(y.at)
}

func (i items[T]) Swap(a, b int) { i.list[a], i.list[b] = i.list[b], i.list[a] }

func (i *items[T]) Push(x any) { i.list = append(i.list, x.(item[T])) }

func (i *items[T]) Pop() any {
	last := len(i.list) - 1
	x := i.list[last]
	i.list[last] = item[T]{}
	i.list = i.list[:last]
	return x
}

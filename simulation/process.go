// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// A process is one life of the plugin, on the storage of the mount.
type process struct {
	number  int
	held    bool
	since   time.Time
	world   *world
	backend logical.Backend
	system  *system
	storage *view
	dead    atomic.Bool
	ended   atomic.Bool // its clean-up has finished
	cancel  context.CancelFunc
	ctx     context.Context // ends when the process dies
}

// actorKey is the context key of the call that an operation is carried out for.
type actorKey struct{}

func actorOf(ctx context.Context) string {
	if c, ok := ctx.Value(actorKey{}).(*call); ok {
		return c.actor
	}
	return "engine"
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(actorKey{}).(*call)
	return c
}

// start starts a plugin process. A standby only serves reads, and has no background pass.
func (w *world) start(standby bool) *process {
	w.processes++
	p := &process{number: w.processes, since: time.Now(), world: w, held: w.upkeep.held}
	p.system = &system{world: w, StaticSystemView: logical.StaticSystemView{
		DefaultLeaseTTLVal: 24 * time.Hour,
		MaxLeaseTTLVal:     32 * 24 * time.Hour,
		EntityVal:          &logical.Entity{ID: "somebody", Name: "somebody"},
	}}
	if standby {
		p.system.ReplicationStateVal = consts.ReplicationPerformanceStandby
	}
	p.storage = &view{world: w, proc: p}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	conf := &logical.BackendConfig{Logger: w.logger(), System: p.system, StorageView: p.storage}
	b, err := certinextsecrets.FactoryWith(certinextsecrets.Options{
		HTTPClient: &http.Client{Transport: &wire{world: w, proc: p}},
		Now:        w.pluginNow,
		NewID:      w.newID,
		Shuffle:    w.ids.Shuffle,
		Rand:       newDrawer(w.sched.seed, p.number),
		Resolvers:  []string{"127.0.0.1:9"},
		Hold:       p.held,
	})(p.ctx, conf)
	if err != nil {
		panic(err)
	}
	before := w.unscheduled
	w.unscheduled = true // what a process reads before it serves anybody
	err = b.Initialize(p.ctx, &logical.InitializationRequest{Storage: p.storage})
	w.unscheduled = before
	if err != nil {
		panic(err)
	}
	p.backend = b
	return p
}

// kill ends a process at once: its operations in progress have no further effect, and their results
// are lost.
func (w *world) kill(p *process) {
	synctest.Wait() // or how far its calls have come would depend on chance
	p.dead.Store(true)
	p.cancel()
	synctest.Wait()
	for _, op := range w.sched.ready() {
		if op.proc == p {
			w.sched.release(op)
			synctest.Wait()
		}
	}
	go func() {
		p.backend.Cleanup(context.Background())
		p.ended.Store(true)
		w.sched.stir()
	}()
}

// restart replaces the active process with a new one.
func (w *world) restart() {
	w.kill(w.active)
	w.active = w.start(false)
	w.procs = append(w.procs, w.active)
}

// failover kills the active process and makes the standby active. Without a standby it restarts the
// plugin.
func (w *world) failover() {
	if w.standby == nil {
		w.restart()
		return
	}
	w.kill(w.active)
	w.active, w.standby = w.standby, nil
	w.procs = append(w.procs, w.active)
	w.active.system.ReplicationStateVal = 0
}

// A drawer is the random source of one process, so that what a dying process draws does not affect
// another one.
type drawer struct {
	mu  sync.Mutex
	rng *rand.ChaCha8
}

func newDrawer(seed uint64, process int) *drawer {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(process)) //nolint:gosec // counted from 1
	return &drawer{rng: rand.NewChaCha8(key)}
}

// Read fills b.
func (d *drawer) Read(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Read(b)
}

// invalidate tells the standby that the active node has changed a key, as Vault does.
func (w *world) invalidate(by *process, key string) {
	if w.standby != nil && by != w.standby {
		w.standby.backend.InvalidateKey(w.standby.ctx, key)
	}
}

func (w *world) logger() hclog.Logger {
	if w.log == nil {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: w.log, TimeFn: w.pluginNow})
}

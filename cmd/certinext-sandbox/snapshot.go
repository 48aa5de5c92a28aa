// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// restoreSnapshot has the server go on from the file of -restore.
func (o *options) restoreSnapshot() error {
	file, err := os.Open(o.restore) //nolint:gosec // whoever starts it names the file
	if err != nil {
		return fmt.Errorf("-restore: %w", err)
	}
	defer file.Close()
	if err := o.server.Restore(file); err != nil {
		return fmt.Errorf("-restore %s: %w", o.restore, err)
	}
	return nil
}

// writeSnapshot writes the file of -snapshot-on-exit, readable by its owner only. It is there whole
// or not at all.
func (o *options) writeSnapshot() error {
	file, err := o.unfinishedSnapshot()
	if err != nil {
		return err
	}
	err = errors.Join(o.server.Snapshot(file), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), o.snapshot)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("-snapshot-on-exit %s: %w", o.snapshot, err)
	}
	return nil
}

// unfinishedSnapshot is a new file beside that of -snapshot-on-exit.
func (o *options) unfinishedSnapshot() (*os.File, error) {
	folder, name := filepath.Split(o.snapshot)
	file, err := os.CreateTemp(cmp.Or(folder, "."), name+".unfinished-*")
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			at.Path = o.snapshot
		}
		return nil, whyUnwritten("snapshot-on-exit", err)
	}
	return file, nil
}

// checkSnapshot finds out whether there can be a snapshot, before there is anything to lose.
func (o *options) checkSnapshot() error {
	if o.snapshot == "" {
		return nil
	}
	//nolint:gosec // whoever starts it names the file
	if at, err := os.Stat(o.snapshot); err == nil && !at.Mode().IsRegular() {
		return fmt.Errorf("-snapshot-on-exit %s: is no file; name one, which is replaced if it is "+
			"there", o.snapshot)
	}
	file, err := o.unfinishedSnapshot()
	if err != nil {
		return err
	}
	//nolint:gosec // it is the one that was just made
	return whyUnwritten("snapshot-on-exit", errors.Join(file.Close(), os.Remove(file.Name())))
}

// checkFiles refuses one file for two things, of which the later would destroy the earlier.
func (o *options) checkFiles() error {
	named := []struct{ flag, path string }{
		{"config", o.config},
		{"restore", o.restore},
		{"tls-root-file", o.tlsRootFile},
		{"snapshot-on-exit", o.snapshot},
	}
	var problems []error
	for i, written := range named[2:] {
		for _, other := range named[:2+i] {
			goesOn := written.flag == "snapshot-on-exit" && other.flag == "restore"
			if written.path != "" && isSameFile(written.path, other.path) && !goesOn {
				problems = append(problems, fmt.Errorf("-%s %s: is the file of -%s; name another",
					written.flag, written.path, other.flag))
			}
		}
	}
	return errors.Join(problems...)
}

func isSameFile(a, b string) bool {
	if b == "" {
		return false
	}
	if at, err := os.Stat(a); err == nil {
		other, err := os.Stat(b)
		return err == nil && os.SameFile(at, other)
	}
	inFull, err := filepath.Abs(a)
	other, noOther := filepath.Abs(b)
	return err == nil && noOther == nil && inFull == other
}

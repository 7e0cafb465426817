package sqldb

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Place has a file made beside its place, takes it to disk, and gives it its name in one step. Nothing is ever replaced, and
// a process that ends on the way leaves nothing under the name: an empty file there would pass for a new database. Only its
// owner reads it. Errors: fs.ErrExist when something is there; fill's; those of the file system.
func Place(file string, fill func(part string) error) (err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(&fs.PathError{Op: "make", Path: file, Err: fs.ErrExist}, err)
	}
	part := file + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there: it is left of an attempt that did not end, unless one is under way; remove it", part)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(part)) }()
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(part); err != nil {
		return err
	}
	if err := Durable(part); err != nil {
		return err
	}
	if err := os.Link(part, file); err != nil { // unlike a renaming, it replaces nothing
		return err
	}
	return Durable(file)
}

// PlaceCopy makes a file that was looked at the database at place, where none may be, nor anything that belonged to one. sum
// is what Digest said of the file. Errors: those of Place.
func PlaceCopy(place, file, sum string) error {
	for _, left := range []string{place + "-wal", place + "-shm", place + "-journal"} {
		if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there: it belongs to a database that was in this place; move it away first", left)
		}
	}
	err := Place(place, func(part string) error {
		copied, err := copyFile(part, file)
		if err == nil && copied != sum {
			err = errors.New("the backup changed while it was read")
		}
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("a database is in this place: move it away first (%w)", err)
	}
	return err
}

// copyFile writes what one file holds into another that is there, and returns the SHA-256 of it in hexadecimal.
func copyFile(to, from string) (sum string, err error) {
	in, err := os.Open(from) //nolint:gosec // the operator names the file
	if err != nil {
		return "", err
	}
	defer in.Close()                                       //nolint:errcheck // only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0) //nolint:gosec // the same
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, out.Close())
}

// Digest returns the SHA-256 of a file, in hexadecimal, and its size in bytes.
func Digest(file string) (sum string, size int64, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return "", 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

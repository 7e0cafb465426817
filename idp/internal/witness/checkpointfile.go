package witness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	separator     = "\n\n\n" // never inside a note
	maxCheckpoint = 1 << 20
)

// mark is how every whole checkpoint ends: a note ends with a line end of its own.
var mark = []byte("\n" + separator)

// patience is how long Append waits for another process that is at the file.
const patience = 30 * time.Second

// Append adds a checkpoint to a file outside the database, and to disk. What a writer that was cut off left behind the last
// whole checkpoint was never kept: it goes, so that nothing is glued to it. A whole one stays, whatever it says. It waits half
// a minute for another process that is at the file.
func Append(file string, text []byte) error {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	return appendTo(ctx, file, text)
}

func appendTo(ctx context.Context, file string, text []byte) (err error) {
	if len(text)+len(separator) >= maxCheckpoint || !bytes.HasSuffix(text, []byte("\n")) {
		return errCheckpoint
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := lock(ctx, f); err != nil { // until it is closed
		return err
	}
	end, err := whole(f)
	if err != nil {
		return err
	}
	if err := unfinished(f, end, checkpointTitle); err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	if _, err := f.WriteAt(append(bytes.Clone(text), separator...), end); err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if end == 0 {
		return syncDir(filepath.Dir(file))
	}
	return nil
}

// whole returns where the last whole checkpoint of a file ends.
func whole(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	from := max(0, size-maxCheckpoint)
	tail := make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return 0, err
	}
	i := bytes.LastIndex(tail, mark)
	switch {
	case i >= 0:
		return from + int64(i+len(mark)), nil
	case from > 0:
		return 0, errCheckpoint // so long a rest is of no writer of ours
	}
	return 0, nil
}

// Last verifies the last whole checkpoint of a file; ok is false when there is none. It takes the same time
// however long the file is.
func Last(file string, k *Key) (c Checkpoint, ok bool, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	defer f.Close() //nolint:errcheck // only read
	end, err := whole(f)
	if err != nil || end == 0 {
		return c, false, err
	}
	from := max(0, end-2*maxCheckpoint)
	text := make([]byte, end-from-int64(len(separator)))
	if _, err := f.ReadAt(text, from); err != nil {
		return c, false, err
	}
	if i := bytes.LastIndex(text, mark); i >= 0 {
		text = text[i+len(mark):]
	}
	if c, err = k.Open(text); err != nil {
		return c, false, fmt.Errorf("the last checkpoint: %w", err)
	}
	return c, true, nil
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadAll verifies every checkpoint of a file, oldest first. A file that is not there holds none. Errors: the
// number of the first that cannot be verified; an unfinished last one, of a writer that was cut off, is passed over.
func ReadAll(file string, k *Key) ([]Checkpoint, error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return readAll(f, k)
}

func readAll(r io.Reader, k *Key) (out []Checkpoint, err error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 2*maxCheckpoint)
	sc.Split(func(data []byte, end bool) (int, []byte, error) {
		if i := bytes.Index(data, mark); i >= 0 {
			return i + len(mark), data[:i+1], nil
		}
		if end {
			return len(data), nil, nil
		}
		return 0, nil, nil
	})
	for sc.Scan() {
		c, err := k.Open(sc.Bytes())
		if err != nil {
			return out, fmt.Errorf("checkpoint %d: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	return out, sc.Err()
}

package witness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"ellis.example/idp/internal/chain"
)

// exported is a record as a line of an export: JSON, the event as its writer hashed it.
type exported struct {
	Writer string          `json:"writer"`
	Seq    int64           `json:"seq"`
	Hash   []byte          `json:"hash"`
	Event  json.RawMessage `json:"event"`
}

// encodeLine writes a record as a line. Errors: *chain.Broken for a body that nobody of ours wrote.
func encodeLine(r chain.Record) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(exported{r.Writer, r.Seq, r.Hash[:], r.Body}); err != nil {
		return nil, &chain.Broken{Writer: r.Writer, Seq: r.Seq, Why: "it is no JSON"}
	}
	return b.Bytes(), nil
}

// The parts of a line as encodeLine writes it, around writer, number, hash and event.
var lineParts = [...][]byte{[]byte(recordStart), []byte(`","seq":`), []byte(`,"hash":"`), []byte(`","event":`), []byte("}\n")}

// cutLine reads a line as encodeLine writes it, without a look at the event: its hash tells whether that is what was written. A
// line that was written otherwise is not ok, and may be good.
func cutLine(line []byte) (r chain.Record, ok bool) {
	line, ok = bytes.CutPrefix(line, lineParts[0])
	writer, line, is := bytes.Cut(line, lineParts[1])
	seq, line, was := bytes.Cut(line, lineParts[2])
	sum, line, has := bytes.Cut(line, lineParts[3])
	body, ends := bytes.CutSuffix(line, lineParts[4])
	if !ok || !is || !was || !has || !ends || bytes.ContainsAny(writer, `"\`) || len(sum) != base64.StdEncoding.EncodedLen(len(r.Hash)) {
		return r, false
	}
	var raw [len(r.Hash) + 1]byte // what is decoded may be one longer than a hash
	n, err := base64.StdEncoding.Decode(raw[:], sum)
	if err != nil || n != len(r.Hash) {
		return r, false
	}
	if r.Seq, err = strconv.ParseInt(string(seq), 10, 64); err != nil {
		return r, false
	}
	r.Writer, r.Body, r.Hash = name(string(writer)), body, chain.Hash(raw[:n])
	return r, true
}

func decodeLine(line []byte) (r chain.Record, err error) {
	if r, ok := cutLine(line); ok {
		return r, nil
	}
	var x exported
	if err := json.Unmarshal(line, &x); err != nil || len(x.Hash) != len(r.Hash) {
		return r, errors.Join(errors.New("not a record"), err)
	}
	return chain.Record{Writer: x.Writer, Seq: x.Seq, Body: x.Event, Hash: chain.Hash(x.Hash)}, nil
}

// Exporter keeps a copy of a log outside the database: one line a record, only ever appended to. After a restore it tells
// what was lost. It is safe for concurrent use, also by several processes with one file.
type Exporter struct {
	Log  Log
	File string

	mu    sync.Mutex
	size  int64 // of what was read or written so far
	ends  map[string]chain.Head
	disk  func(*os.File) error // takes it to disk; nil: toDisk
	dirty bool                 // some of that may not be on disk: an earlier process may have ended between writing it and seeing to it
}

// Once appends what the log has and the file has not, and takes it to disk. It returns how many records that were. Errors:
// *chain.Broken when what the log has does not follow what the file has; those of the log and of the file; ctx's, also while
// another process is at the file.
func (x *Exporter) Once(ctx context.Context) (added int64, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	heads, err := x.Log.Heads(ctx)
	if err != nil {
		return 0, err
	}
	f, err := openLocked(ctx, x.File)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := x.catchUp(f); err != nil {
		return 0, err
	}
	if added, err = x.appendAll(ctx, f, heads); err != nil {
		x.ends = nil // what reached the file is read again
		return added, err
	}
	if x.dirty = x.dirty || added > 0; !x.dirty {
		return 0, nil
	}
	take := toDisk
	if x.disk != nil {
		take = x.disk
	}
	if err := take(f); err != nil {
		return added, err
	}
	x.dirty = false
	return added, nil
}

// toDisk makes a file and its name durable.
func toDisk(f *os.File) error { return errors.Join(f.Sync(), syncDir(filepath.Dir(f.Name()))) }

// recordStart is how each line begins.
const recordStart = `{"writer":"`

// errForeign keeps a file that is something else from being cut: a key file has no line end, either.
var errForeign = errors.New("the file is none of ours: what stands at its end was not begun by us")

// unfinished checks that what is left behind the last whole part of a file is the beginning of one. After a crash a file
// system may leave zeros in place of what had not reached the disk.
func unfinished(f *os.File, from int64, start string) error {
	begun := make([]byte, len(start))
	n, err := f.ReadAt(begun, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !strings.HasPrefix(start, strings.TrimRight(string(begun[:n]), "\x00")) {
		return errForeign
	}
	return nil
}

// catchUp reads what is new in the file, and cuts off a last line that a writer did not finish.
func (x *Exporter) catchUp(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if x.ends == nil || info.Size() < x.size {
		x.ends, x.size = map[string]chain.Head{}, 0
	}
	if info.Size() > x.size {
		if _, err := f.Seek(x.size, io.SeekStart); err != nil {
			return err
		}
		n, err := readLines(f, func(r chain.Record) error { return follow(x.ends, r) })
		x.size += n
		x.dirty = x.dirty || n > 0
		if err != nil {
			return err
		}
		if err := unfinished(f, x.size, recordStart); err != nil {
			return err
		}
		if err := f.Truncate(x.size); err != nil {
			return err
		}
	}
	_, err = f.Seek(x.size, io.SeekStart)
	return err
}

func (x *Exporter) appendAll(ctx context.Context, f *os.File, heads []chain.Head) (added int64, err error) {
	w := bufio.NewWriterSize(f, 1<<16)
	for _, h := range heads {
		if x.ends[h.Writer].Seq >= h.Seq {
			continue // also of a restored database, which has lost what the file has
		}
		err := x.Log.Walk(ctx, h.Writer, x.ends[h.Writer].Seq, func(r chain.Record) error {
			if err := follow(x.ends, r); err != nil {
				return err
			}
			line, err := encodeLine(r)
			if err != nil {
				return err
			}
			n, err := w.Write(line)
			added, x.size = added+1, x.size+int64(n)
			return err
		})
		if err != nil {
			return added, errors.Join(err, w.Flush())
		}
	}
	return added, w.Flush()
}

// follow checks that a record comes right after what was seen of its writer.
func follow(ends map[string]chain.Head, r chain.Record) error {
	at, seen := ends[r.Writer]
	if !seen {
		at.Writer = r.Writer
	}
	next, err := chain.Follow(at, r)
	if err == nil {
		ends[r.Writer] = next
	}
	return err
}

// readLines calls each for every whole line and returns how many bytes they are.
func readLines(r io.Reader, each func(chain.Record) error) (n int64, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	for line := 1; ; line++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return n, nil // what is left was not finished
		}
		if err != nil {
			return n, err
		}
		rec, err := decodeLine(text)
		if err == nil {
			err = each(rec)
		}
		if err != nil {
			return n, fmt.Errorf("line %d: %w", line, err)
		}
		n += int64(len(text))
	}
}

// ReadExport verifies an export and calls each for its records, each writer's in order. It returns where every chain of it
// ends. Errors: what each returns; *chain.Broken; those of the file.
func ReadExport(file string, each func(chain.Record) error) (ends map[string]chain.Head, err error) {
	ends, _, err = readExport(file, each)
	return ends, err
}

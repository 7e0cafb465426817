package witness

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	"golang.org/x/mod/sumdb/note"

	"ellis.example/idp/internal/chain"
)

// standing is where chains stand, by writer.
type standing map[string]chain.Head

func stand(heads []chain.Head) standing {
	s := make(standing, len(heads))
	for _, h := range heads {
		s[h.Writer] = h
	}
	return s
}

// heads are those of all writers, by name.
func (s standing) heads() (out []chain.Head) {
	for _, w := range slices.Sorted(maps.Keys(s)) {
		out = append(out, s[w])
	}
	return out
}

const standingDomain = "ellis audit heads v1\x00"

// sum is a hash over all of it.
func (s standing) sum() (out chain.Hash) {
	h := sha256.New()
	_, _ = io.WriteString(h, standingDomain) // a hash takes everything
	for _, head := range s.heads() {
		_, _ = io.WriteString(h, headLine(head))
	}
	return chain.Hash(h.Sum(nil))
}

// lacks reports whether a chain has not come as far as in other, or not the same way.
func (s standing) lacks(other standing) bool {
	for w, h := range other {
		if at := s[w]; at.Seq < h.Seq || (at.Seq == h.Seq && at != h) {
			return true
		}
	}
	return false
}

// with is where chains stand that have come as far as in either.
func (s standing) with(other standing) standing {
	out := maps.Clone(s)
	for w, h := range other {
		if h.Seq > out[w].Seq {
			out[w] = h
		}
	}
	return out
}

// statement is the text of a checkpoint: all heads, or those that moved and a sum over what follows from them and from the
// statements before it in its file. So it stays small however many writers there were; decision 11 says how.
type statement struct {
	Checkpoint
	follows bool       // what stood before still stands, where Heads say nothing else
	writers int        // how many it covers; only where it follows
	sum     chain.Hash // of all that it covers; only where it follows
}

const (
	titleStem    = "ellis audit checkpoint v"
	titleAll     = titleStem + "1"
	titleFollows = titleStem + "2"
	restoredLine = "restored" // followed by the epoch
	coveredLine  = "covered"  // followed by how many writers and their sum

	maxHeads = 256 << 10 // bytes of heads in one statement
)

func headLine(h chain.Head) string {
	return h.Writer + " " + strconv.FormatInt(h.Seq, 10) + " " + base64.StdEncoding.EncodeToString(h.Hash[:]) + "\n"
}

func (s statement) text() string {
	title := titleAll
	if s.follows {
		title = titleFollows
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", title, s.Origin, s.At.UTC().Format(time.RFC3339Nano))
	if s.Epoch > 0 {
		fmt.Fprintf(&b, "%s %d\n", restoredLine, s.Epoch)
	}
	if s.follows {
		fmt.Fprintf(&b, "%s %d writers %s\n", coveredLine, s.writers, base64.StdEncoding.EncodeToString(s.sum[:]))
	}
	for _, h := range s.Heads {
		b.WriteString(headLine(h))
	}
	return b.String()
}

// Sign returns the text of a checkpoint of all heads, for Append. Where they are very many, it is several checkpoints, each of
// which adds to those before it. Errors: of what could not be read back.
func (k *Key) Sign(c Checkpoint) ([]byte, error) { return k.sign(c, nil) }

// sign returns what c adds to a file in which before stands, and to nothing where that is nil.
func (k *Key) sign(c Checkpoint, before standing) (out []byte, err error) {
	at := maps.Clone(before)
	if at == nil {
		at = standing{}
	}
	s, left := statement{Checkpoint: c, follows: before != nil}, c.Heads
	for first := true; first || len(left) > 0; first = false {
		s.Heads, left = part(left)
		for _, h := range s.Heads {
			at[h.Writer] = h
		}
		if s.follows = s.follows || !first; s.follows {
			s.writers, s.sum = len(at), at.sum()
		}
		text, err := note.Sign(&note.Note{Text: s.text()}, k.signer)
		if err != nil {
			return nil, err
		}
		if !k.reads(text, s) {
			return nil, errUnreadable
		}
		if !first {
			out = append(out, separator...)
		}
		out = append(out, text...)
	}
	return out, nil
}

// part takes as many heads as one statement holds.
func part(heads []chain.Head) (one, left []chain.Head) {
	n, size := 0, 0
	for n < len(heads) && (n == 0 || size < maxHeads) {
		size += len(headLine(heads[n]))
		n++
	}
	return heads[:n], heads[n:]
}

var (
	errCheckpoint = errors.New("not a checkpoint")
	errUnreadable = errors.New("what is to be signed could not be read back: a writer's name or number is none")
)

// reads reports whether text says what a statement says.
func (k *Key) reads(text []byte, s statement) bool {
	got, err := k.open(text)
	return err == nil && got.Epoch == s.Epoch && got.Origin == s.Origin && got.At.Equal(s.At) && slices.Equal(got.Heads, s.Heads)
}

// open verifies and reads a statement.
func (k *Key) open(text []byte) (statement, error) {
	n, err := note.Open(text, note.VerifierList(k.verifier))
	if err != nil {
		return statement{}, err
	}
	return parseStatement(n.Text)
}

// parseStatement reads what text writes, and nothing else.
func parseStatement(text string) (s statement, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || (lines[0] != titleAll && lines[0] != titleFollows) {
		return s, errCheckpoint
	}
	s.Origin, s.follows = name(lines[1]), lines[0] == titleFollows
	if s.At, err = time.Parse(time.RFC3339Nano, lines[2]); err != nil {
		return s, errCheckpoint
	}
	rest := lines[3:]
	if n, is := strings.CutPrefix(append(rest, "")[0], restoredLine+" "); is {
		if s.Epoch, err = strconv.ParseInt(n, 10, 64); err != nil || s.Epoch < 1 {
			return s, errCheckpoint
		}
		rest = rest[1:]
	}
	if s.follows {
		if err := s.parseCovered(append(rest, "")[0]); err != nil {
			return s, err
		}
		rest = rest[1:]
	}
	for _, l := range rest {
		h, err := parseHead(l)
		if err != nil {
			return s, err
		}
		s.Heads = append(s.Heads, h)
	}
	if s.text() != text {
		return s, errCheckpoint
	}
	return s, nil
}

func (s *statement) parseCovered(line string) (err error) {
	f := strings.Split(line, " ")
	if len(f) != 4 || f[0] != coveredLine {
		return errCheckpoint
	}
	if s.writers, err = strconv.Atoi(f[1]); err != nil {
		return errCheckpoint
	}
	s.sum, err = parseHash(f[3])
	return err
}

func parseHead(line string) (h chain.Head, err error) {
	f := strings.Split(line, " ")
	if len(f) != 3 {
		return h, errCheckpoint
	}
	h.Writer = name(f[0])
	if h.Seq, err = strconv.ParseInt(f[1], 10, 64); err != nil || h.Seq < 1 {
		return h, errCheckpoint
	}
	h.Hash, err = parseHash(f[2])
	return h, err
}

// name is a part of a text that does not keep all of it in memory, and mostly the same for the same name.
func name(part string) string { return unique.Make(part).Value() }

func parseHash(text string) (out chain.Hash, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(out) {
		return out, errCheckpoint
	}
	return chain.Hash(raw), nil
}

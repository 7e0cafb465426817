package witness

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"ellis.example/idp/internal/chain"
)

// Checkpoint says where every chain stood at one moment. Its text is a signed note (C2SP signed-note): whoever holds one
// from outside the database can tell whether what it covers is still there.
type Checkpoint struct {
	Origin string // issuer
	At     time.Time
	Heads  []chain.Head
	// Epoch is set in the checkpoint of a restore that was accepted, and in no other: what earlier ones know beyond these
	// heads was lost by it.
	Epoch int64
}

const (
	checkpointTitle = "ellis audit checkpoint v1"
	restoredLine    = "restored" // followed by the epoch
)

// Key signs and verifies checkpoints.
type Key struct {
	signer   note.Signer
	verifier note.Verifier
}

// algEd25519 is the note signature type of Ed25519.
const algEd25519 = 1

// NewKey derives the key from a 256-bit secret. name is the issuer's host.
func NewKey(name string, seed []byte) (*Key, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("a checkpoint key needs 256 bits")
	}
	key := ed25519.NewKeyFromSeed(seed)
	public := append([]byte{algEd25519}, key.Public().(ed25519.PublicKey)...)
	hash := sha256.Sum256(append([]byte(name+"\n"), public...))
	id := binary.BigEndian.Uint32(hash[:4])
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, seed...))))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(public)))
	if err != nil {
		return nil, err
	}
	return &Key{signer, verifier}, nil
}

// Sign returns the text of a checkpoint.
func (k *Key) Sign(c Checkpoint) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", checkpointTitle, c.Origin, c.At.UTC().Format(time.RFC3339Nano))
	if c.Epoch > 0 {
		fmt.Fprintf(&b, "%s %d\n", restoredLine, c.Epoch)
	}
	for _, h := range c.Heads {
		fmt.Fprintf(&b, "%s %d %s\n", h.Writer, h.Seq, base64.StdEncoding.EncodeToString(h.Hash[:]))
	}
	return note.Sign(&note.Note{Text: b.String()}, k.signer)
}

var errCheckpoint = errors.New("not a checkpoint")

// Open verifies and reads a checkpoint.
func (k *Key) Open(text []byte) (Checkpoint, error) {
	n, err := note.Open(text, note.VerifierList(k.verifier))
	if err != nil {
		return Checkpoint{}, err
	}
	return parseCheckpoint(n.Text)
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != checkpointTitle {
		return c, errCheckpoint
	}
	c.Origin = lines[1]
	if c.At, err = time.Parse(time.RFC3339Nano, lines[2]); err != nil {
		return c, errCheckpoint
	}
	rest := lines[3:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], restoredLine+" ") {
		if c.Epoch, err = strconv.ParseInt(strings.TrimPrefix(rest[0], restoredLine+" "), 10, 64); err != nil || c.Epoch < 1 {
			return c, errCheckpoint
		}
		rest = rest[1:]
	}
	for _, l := range rest {
		h, err := parseHead(l)
		if err != nil {
			return c, err
		}
		c.Heads = append(c.Heads, h)
	}
	return c, nil
}

func parseHead(line string) (h chain.Head, err error) {
	f := strings.Split(line, " ")
	if len(f) != 3 {
		return h, errCheckpoint
	}
	h.Writer = f[0]
	raw, err := base64.StdEncoding.Strict().DecodeString(f[2])
	if err != nil || len(raw) != len(h.Hash) {
		return h, errCheckpoint
	}
	copy(h.Hash[:], raw)
	if h.Seq, err = strconv.ParseInt(f[1], 10, 64); err != nil || h.Seq < 1 {
		return h, errCheckpoint
	}
	return h, nil
}

// Lost counts the records that a checkpoint knows and the heads of a log do not.
func (c Checkpoint) Lost(heads []chain.Head) (n int64) {
	have := map[string]int64{}
	for _, h := range heads {
		have[h.Writer] = h.Seq
	}
	for _, h := range c.Heads {
		n += max(0, h.Seq-have[h.Writer])
	}
	return n
}

// Behind says where the log lacks what the checkpoint signed, or "": then the database is older, as a restored copy is, or
// went another way since. Only what was signed is looked at; Verify follows the whole.
func (c Checkpoint) Behind(ctx context.Context, log Log) (string, error) {
	heads, err := log.Heads(ctx)
	if err != nil {
		return "", err
	}
	have := map[string]int64{}
	for _, h := range heads {
		have[h.Writer] = h.Seq
	}
	for _, h := range c.Heads {
		if have[h.Writer] < h.Seq {
			return fmt.Sprintf("writer %s: checkpoint at %d, database at %d", h.Writer, h.Seq, have[h.Writer]), nil
		}
		same, err := holds(ctx, log, h)
		if err != nil {
			return "", err
		}
		if !same {
			return fmt.Sprintf("writer %s: record %d is not the one that was signed", h.Writer, h.Seq), nil
		}
	}
	return "", nil
}

var errSeen = errors.New("seen")

// holds reports whether a writer's record of a number is there and is the one that was signed.
func holds(ctx context.Context, log Log, h chain.Head) (same bool, err error) {
	err = log.Walk(ctx, h.Writer, h.Seq-1, func(r chain.Record) error {
		same = r.Seq == h.Seq && r.Hash == h.Hash
		return errSeen // one is enough
	})
	if errors.Is(err, errSeen) {
		err = nil
	}
	return same, err
}

// Checkpointer signs checkpoints of a log from time to time.
type Checkpointer struct {
	Log    Log
	Key    *Key
	Origin string
	File   string
	Now    func() time.Time

	// SetBack is called when the log ends before what was signed last; nothing is signed then. Accepted is called once that
	// was accepted, as the file says: signing goes on. Either may be nil.
	SetBack, Accepted func()

	last map[string]int64
}

// ErrSetBack says that a log has lost what a checkpoint of it signed.
var ErrSetBack = errors.New("the database has lost what was recorded before: it was set back to an earlier state")

// Once signs a checkpoint if anything was recorded since the last one.
func (c *Checkpointer) Once(ctx context.Context) error {
	heads, err := c.Log.Heads(ctx)
	if err != nil {
		return err
	}
	now := map[string]int64{}
	moved := false
	for _, h := range heads {
		now[h.Writer] = h.Seq
		moved = moved || c.last[h.Writer] != h.Seq
	}
	if set, err := c.setBack(ctx, now); err != nil || set {
		return errors.Join(err, ErrSetBack)
	}
	if !moved {
		return nil
	}
	text, err := c.Key.Sign(Checkpoint{Origin: c.Origin, At: c.Now(), Heads: heads})
	if err != nil {
		return err
	}
	if err := appendTo(ctx, c.File, text); err != nil {
		return err
	}
	c.last = now
	return nil
}

// setBack reports whether the log ends before what was signed last, unless it was accepted as it is.
func (c *Checkpointer) setBack(ctx context.Context, now map[string]int64) (bool, error) {
	behind := false
	for writer, seq := range c.last {
		behind = behind || now[writer] < seq
	}
	if !behind {
		return false, nil
	}
	after, kept, err := Last(c.File, c.Key)
	if err == nil && kept && after.Epoch > 0 {
		var missing string
		if missing, err = after.Behind(ctx, c.Log); err == nil && missing == "" {
			call(c.Accepted)
			return false, nil
		}
	}
	call(c.SetBack)
	return true, err
}

func call(f func()) {
	if f != nil {
		f()
	}
}

package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"ellis.example/caseservice/internal/cases"
)

// sealer makes MACs under a key derived from the service's own. Each purpose has its own space of texts.
type sealer struct{ key []byte }

// sum is the MAC of parts, each with its length, so that no two lists of parts share one.
func (s sealer) sum(purpose string, parts ...string) []byte {
	m := hmac.New(sha256.New, s.key)
	var n [4]byte
	for _, p := range append([]string{purpose}, parts...) {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		_, _ = m.Write(n[:]) // hash writes never fail
		_, _ = m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// A cursor is a place in a list and a MAC that binds it to whose list it is. It tells nothing that its owner was not told,
// and nobody can make one (a forged position would be a guess at somebody's data).
const (
	cursorTag = 16
	maxCursor = 512

	listCursor  = "cases"
	eventCursor = "events"
)

var cursorText = base64.RawURLEncoding.Strict()

// seal makes the cursor of a place, bound to whose list it is.
func (s sealer) seal(purpose, place string, bound ...string) string {
	tag := s.sum("cursor "+purpose, append(bound, place)...)[:cursorTag]
	return cursorText.EncodeToString(append(tag, place...))
}

// open returns the place of a cursor that was made for this list. Errors: errCursor.
func (s sealer) open(purpose, text string, bound ...string) (string, error) {
	if len(text) > maxCursor || strings.ContainsAny(text, "\r\n") { // the decoder skips line breaks
		return "", errCursor
	}
	raw, err := cursorText.DecodeString(text)
	if err != nil || len(raw) < cursorTag {
		return "", errCursor
	}
	place := string(raw[cursorTag:])
	if !hmac.Equal(raw[:cursorTag], s.sum("cursor "+purpose, append(bound, place)...)[:cursorTag]) {
		return "", errCursor
	}
	return place, nil
}

// sealPosition makes the cursor behind a case in sub's list.
func (s sealer) sealPosition(sub string, at cases.Position) string {
	place := binary.BigEndian.AppendUint64(nil, uint64(at.UpdatedAt.UnixMicro()))
	return s.seal(listCursor, string(append(place, at.ID...)), sub)
}

// openPosition reads it. Errors: errCursor.
func (s sealer) openPosition(sub, text string) (p cases.Position, err error) {
	place, err := s.open(listCursor, text, sub)
	if err != nil || len(place) <= 8 {
		return p, errCursor
	}
	at := binary.BigEndian.Uint64([]byte(place[:8]))
	return cases.Position{UpdatedAt: time.UnixMicro(int64(at)).UTC(), ID: place[8:]}, nil
}

// sealSeq makes the cursor behind an event of a case.
func (s sealer) sealSeq(sub, caseID string, seq int64) string {
	return s.seal(eventCursor, string(binary.BigEndian.AppendUint64(nil, uint64(seq))), sub, caseID)
}

// openSeq reads it. Errors: errCursor.
func (s sealer) openSeq(sub, caseID, text string) (int64, error) {
	place, err := s.open(eventCursor, text, sub, caseID)
	if err != nil || len(place) != 8 {
		return 0, errCursor
	}
	return int64(binary.BigEndian.Uint64([]byte(place))), nil
}

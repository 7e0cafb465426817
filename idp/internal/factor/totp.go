package factor

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/unit"
)

const (
	stepSeconds = 30
	skew        = 1 // steps before and after (RFC 6238 §5.2)
	seedLen     = 20
	// enrolmentLifetime is how long a shown seed waits for its first code.
	enrolmentLifetime = 15 * time.Minute
)

// Faults of one-time codes.
var (
	ErrCodeFormat       = fault.New(fault.Invalid, "code_format", "write the six digits that the app shows").At("code")
	ErrCodeWrong        = fault.New(fault.Invalid, "code_wrong", "this code is not right; look at the app again").At("code")
	ErrCodeUsed         = fault.New(fault.Invalid, "code_used", "this code was used already; wait for the next one").At("code")
	ErrEnrolmentExpired = fault.New(fault.Gone, "enrolment_expired", "this code to scan has expired; here is a new one")
)

var seedText = base32.StdEncoding.WithPadding(base32.NoPadding)

// TOTP is an enrolled authenticator app (RFC 6238).
type TOTP struct {
	ID        string // "otp_…"
	Account   string
	Label     string
	Sealed    []byte // the seed, sealed for this row of the account
	CreatedAt time.Time
	UsedAt    time.Time
}

// Enrolment is a seed on its way to an authenticator app.
type Enrolment struct {
	Secret string // base32
	URI    string // otpauth://
	Token  string // sealed; comes back with the first code
}

type pendingSeed struct {
	Seed []byte `json:"s"`
	Till int64  `json:"t"`
}

// Begin makes a seed for an account. Nothing is stored: the token carries the seed, sealed for that account.
func Begin(s *seal.Sealer, account, issuer, name string, now time.Time) (Enrolment, error) {
	seed := make([]byte, seedLen)
	_, _ = rand.Read(seed) // never fails
	body, err := json.Marshal(pendingSeed{seed, now.Add(enrolmentLifetime).Unix()})
	if err != nil {
		return Enrolment{}, err
	}
	token, err := s.Seal(body, "totp enrolment "+account)
	if err != nil {
		return Enrolment{}, err
	}
	return describe(seed, issuer, name, base64.RawURLEncoding.EncodeToString(token)), nil
}

func describe(seed []byte, issuer, name, token string) Enrolment {
	secret := seedText.EncodeToString(seed)
	q := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	uri := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + name, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	return Enrolment{Secret: secret, URI: uri.String(), Token: token}
}

// Resume reads an enrolment that was shown before, so that a mistyped code does not cost a new scan. Errors:
// ErrEnrolmentExpired.
func Resume(s *seal.Sealer, account, token, issuer, name string, now time.Time) (Enrolment, error) {
	seed, err := openEnrolment(s, account, token, now)
	if err != nil {
		return Enrolment{}, err
	}
	return describe(seed, issuer, name, token), nil
}

func openEnrolment(s *seal.Sealer, account, token string, now time.Time) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, ErrEnrolmentExpired.Because(err)
	}
	body, err := s.Open(raw, "totp enrolment "+account)
	if err != nil {
		return nil, ErrEnrolmentExpired.Because(err)
	}
	var p pendingSeed
	if err := json.Unmarshal(body, &p); err != nil || now.Unix() >= p.Till {
		return nil, ErrEnrolmentExpired
	}
	return p.Seed, nil
}

// Enrolled is an enrolment whose first code was right.
type Enrolled struct {
	TOTP TOTP
	Step int64      // that the code used up
	Once unit.Spend // a seed that was shown is enrolled once: its caller commits this with the rest
}

// Finish checks the first code of an enrolment and returns what to store. Errors: ErrEnrolmentExpired, ErrCodeFormat,
// ErrCodeWrong.
func Finish(s *seal.Sealer, account, token, code string, now time.Time) (Enrolled, error) {
	seed, err := openEnrolment(s, account, token, now)
	if err != nil {
		return Enrolled{}, err
	}
	step, err := matchStep(seed, code, now)
	if err != nil {
		return Enrolled{}, err
	}
	t, err := NewTOTP(s, account, seedText.EncodeToString(seed), now)
	// by the seed and not by the token, whose text can be written in more than one way
	once := unit.Spend{Kind: "enrolment", Key: unit.Key(account, string(seed)), Ref: t.ID, Until: now.Add(2 * enrolmentLifetime)}
	return Enrolled{TOTP: t, Step: step, Once: once}, err
}

// NewTOTP seals a known seed (base32) for an account. Errors: a fault that names what is wrong with the seed.
func NewTOTP(s *seal.Sealer, account, secret string, now time.Time) (TOTP, error) {
	seed, err := seedText.DecodeString(strings.ToUpper(strings.TrimRight(strings.TrimSpace(secret), "=")))
	if err != nil || len(seed) < 16 || len(seed) > 64 {
		return TOTP{}, fault.New(fault.Invalid, "totp_secret", "write the seed as base32, 128 to 512 bits").Because(err)
	}
	id := ident.New("otp")
	owner, _ := SeedOwner(id, account)
	sealed, err := s.Seal(seed, owner)
	return TOTP{ID: id, Account: account, Sealed: sealed, CreatedAt: now}, err
}

// SeedOwner is what a seed is bound to where it is sealed: its row and its account. older is what seeds were bound to before,
// the account alone; rewrapping brings them over.
func SeedOwner(id, account string) (owner, older string) {
	return "totps\x00" + id + "\x00" + account, "totp " + account
}

func (t TOTP) seed(s *seal.Sealer) ([]byte, error) {
	owner, older := SeedOwner(t.ID, t.Account)
	seed, err := s.Open(t.Sealed, owner)
	if err != nil {
		return s.Open(t.Sealed, older)
	}
	return seed, nil
}

// Match is a right code: which authenticator made it, for which time step.
type Match struct {
	ID   string
	Step int64
}

// CheckTOTP finds the authenticator that shows code at now. last is the last step that the account used: a step counts
// once over all of its authenticators. Errors: ErrCodeFormat, ErrCodeWrong, ErrCodeUsed.
func CheckTOTP(s *seal.Sealer, list []TOTP, last int64, code string, now time.Time) (Match, error) {
	code, err := digits(code)
	if err != nil {
		return Match{}, err
	}
	for _, t := range list {
		seed, err := t.seed(s)
		if err != nil {
			return Match{}, err
		}
		if step, err := matchStep(seed, code, now); err == nil {
			if step <= last {
				return Match{}, ErrCodeUsed
			}
			return Match{t.ID, step}, nil
		}
	}
	return Match{}, ErrCodeWrong
}

// matchStep returns the time step whose code is code. Every step of the window is looked at, so that the time taken does
// not tell which.
func matchStep(seed []byte, code string, now time.Time) (int64, error) {
	code, err := digits(code)
	if err != nil {
		return 0, err
	}
	current := now.Unix() / stepSeconds
	found := int64(-1)
	for step := current - skew; step <= current+skew; step++ {
		want, err := hotp.GenerateCodeCustom(seedText.EncodeToString(seed), uint64(max(step, 0)), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	if found < 0 {
		return 0, ErrCodeWrong
	}
	return found, nil
}

// digits reads six ASCII digits; spaces, which some apps show, do not count.
func digits(s string) (string, error) {
	s = strings.Join(strings.Fields(s[:min(len(s), 64)]), "")
	if len(s) != 6 || strings.Trim(s, "0123456789") != "" {
		return "", ErrCodeFormat
	}
	return s, nil
}

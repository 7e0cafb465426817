package launch

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The keys that the services read from files, by name of the file.
const (
	kek     = "kek"
	pepper  = "pepper"
	codeKey = "code-key"
	session = "session-key"
)

const keySize = 32 // bytes

// Prepare makes the data folder of c and the keys in it that are missing. Nobody else can read them.
func (c Config) Prepare() error {
	if err := os.MkdirAll(filepath.Join(c.Dir, "secrets"), 0o700); err != nil {
		return err
	}
	for _, name := range []string{kek, pepper, codeKey, session} {
		k := make([]byte, keySize)
		_, _ = rand.Read(k) // it never fails
		err := writeNew(c.SecretFile(name), base64.StdEncoding.EncodeToString(k)+"\n")
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// writeNew writes a file that must not be there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

package redistest_test

import (
	"os"
	"testing"

	"ellis.example/idp/internal/store/redisstore/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

func TestServer_LosesEverythingByFlushAndByCrash(t *testing.T) {
	t.Parallel()
	s := redistest.Own(t)
	for name, lose := range map[string]func() error{
		"flush": s.FlushAll,
		"crash": func() error {
			if err := s.Kill(); err != nil {
				return err
			}
			return s.Restart()
		},
	} {
		if _, err := s.Do("SET", "a", "1"); err != nil {
			t.Fatal(name, err)
		}
		if err := lose(); err != nil {
			t.Fatal(name, err)
		}
		if n, err := s.Do("EXISTS", "a"); err != nil || n != int64(0) {
			t.Fatal(name, n, err)
		}
	}
}

func TestServer_PausedAnswersNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Own(t)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() { _, err := s.Do("PING"); asked <- err }()
	select {
	case err := <-asked:
		t.Fatal("a paused server answers:", err)
	default:
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
}

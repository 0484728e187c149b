package dynconf_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/rocketkit/rocketkit/dynconf"
)

// What a program follows is applied whole or not at all, and what is refused shows in its Status.
func ExampleFollower() {
	billing := dynconf.ID{Tenant: "red", Group: "billing"}
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", ed25519.SeedSize))) // in earnest: ed25519.GenerateKey
	source := dynconf.NewMemory()
	write := func(rev int64, spec string) {
		text, err := dynconf.Document{Rev: rev, By: "deploy", Spec: json.RawMessage(spec)}.Encode(billing, private)
		if err != nil {
			fmt.Println(err)
		}
		source.Set(billing, text)
	}

	f := dynconf.NewFollower(dynconf.Config{
		ID:     billing,
		Source: source,
		Keys:   []ed25519.PublicKey{private.Public().(ed25519.PublicKey)},
		Logger: slog.New(slog.DiscardHandler),
		Apply: func(spec json.RawMessage, _ bool) error {
			if strings.Contains(string(spec), "-1") {
				return errors.New("workers: -1 is below 1")
			}
			fmt.Println("apply", string(spec))
			return nil
		},
	})
	write(1, `{"workers": 16}`)
	f.Start(context.Background()) // then Run, as long as the program does
	write(2, `{"workers": -1}`)
	f.Start(context.Background())

	s := f.Status()
	fmt.Println("rev", s.Rev, "by", s.By)
	fmt.Println("rev", s.ErrorRev, "is", s.Reason, "-", s.Error)
	// Output:
	// apply {"workers":16}
	// rev 1 by deploy
	// rev 2 is invalid - workers: -1 is below 1
}

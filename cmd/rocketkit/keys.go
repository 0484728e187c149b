package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/dynconf"
)

func keysCommand(shared *connection) *cobra.Command {
	command := &cobra.Command{
		Use:   "keys",
		Short: "Keys that sign settings",
		Args:  noArguments,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(keysNewCommand(shared))
	return command
}

func keysNewCommand(*connection) *cobra.Command {
	return &cobra.Command{
		Use:   "new <file>",
		Short: "Make a key that signs settings",
		Long: `Make a key that signs settings, in a new file that only you can read. The public key goes to standard output: services that
have it in ROCKETKIT_SETTINGS_KEYS, one of several joined by ',', take only settings that such a key has signed, and those
without the bounds that hold for unsigned ones. Whoever has the file changes their settings.`,
		Example: `  rocketkit keys new operators.key    # which is what --key-file takes`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("%s takes the file that is to be made; see %[1]s --help", command.CommandPath())
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			public, err := newKey(args[0])
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(command.ErrOrStderr(), "Wrote the private key %s to %s: sign with --key-file, and keep it where secrets are kept.\n"+
				"Services take only signed settings once their ROCKETKIT_SETTINGS_KEYS has this public key:\n", dynconf.KeyID(public), args[0])
			_, _ = fmt.Fprintln(command.OutOrStdout(), base64.StdEncoding.EncodeToString(public))
			return nil
		},
	}
}

const pemType = "PRIVATE KEY" // of PKCS #8, as openssl writes it too

// newKey makes a key in a file that must not exist.
func newKey(file string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, usage("%s exists, and may be a key that is in use: name another file", file)
	}
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("Signs rocketkit's settings. Key %s, public key %s\n", dynconf.KeyID(public), base64.StdEncoding.EncodeToString(public))
	_, err = f.Write(append([]byte(text), pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})...))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(file))
	}
	return public, nil
}

// readKey reads the key of --key-file; nil where there is none.
func readKey(file string) (ed25519.PrivateKey, error) {
	if file == "" {
		return nil, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, usage("--key-file: %w", err)
	}
	if others := info.Mode().Perm() & 0o077; others != 0 {
		return nil, usage("--key-file: %s can be read or changed by others (mode %#o): run chmod 600 on it, and make a new key if somebody may have", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("--key-file: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, usage("--key-file: %s is no private key that rocketkit keys new has made", file)
	}
	read, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, usage("--key-file: %s: %w", file, err)
	}
	key, ok := read.(ed25519.PrivateKey)
	if !ok {
		return nil, usage("--key-file: %s is no Ed25519 key: make one by rocketkit keys new", file)
	}
	return key, nil
}

func keyID(key ed25519.PrivateKey) string {
	public, _ := key.Public().(ed25519.PublicKey) // it is one
	return dynconf.KeyID(public)
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/remoting"
)

const (
	addressTimeout = 3 * time.Second // as the Java client has it, for the whole answer
	maxAddresses   = 64 << 10        // bytes of an answer
)

// addressServer tells by HTTP which name servers there are (Java's DefaultTopAddressing): a first line with their
// addresses, joined by ';'.
type addressServer struct {
	url    string
	shown  string // the URL without a password in it
	client *http.Client
}

// newAddressServer makes one; nil without a URL. Nothing is sent. No dial outlasts life.
func newAddressServer(life context.Context, address string, dial remoting.DialFunc) *addressServer {
	if address == "" {
		return nil
	}
	shown := address
	if u, err := url.Parse(address); err == nil {
		shown = u.Redacted()
	}
	return &addressServer{url: address, shown: shown, client: &http.Client{
		Timeout: addressTimeout,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, addressTimeout) // the Transport's own doesn't end with the request
				defer cancel()
				defer context.AfterFunc(life, cancel)()
				return dial(ctx, network, address)
			},
			DisableKeepAlives:      true, // it is asked every two minutes
			MaxResponseHeaderBytes: maxAddresses,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("too many redirects")
			}
			if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
				return errors.New("it redirects from https to http")
			}
			return nil
		},
	}}
}

// String names the server in errors.
func (s *addressServer) String() string { return "address server " + s.shown }

// fetch asks for the list once. It isn't empty when there is no error.
func (s *addressServer) fetch(ctx context.Context) ([]string, error) {
	list, err := s.get(ctx)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // its text would repeat the URL
			err = wrapped.Err
		}
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	return list, nil
}

func (s *addressServer) get(ctx context.Context) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAddresses+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAddresses {
		return nil, fmt.Errorf("it answers with more than %d bytes", maxAddresses)
	}
	return parseAddresses(string(body))
}

// parseAddresses reads an answer: all of it, or nothing.
func parseAddresses(body string) ([]string, error) {
	line, _, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(body, "\r", "\n")), "\n")
	var list []string
	for address := range strings.SplitSeq(line, ";") {
		address = strings.TrimSpace(address)
		if address == "" || slices.Contains(list, address) {
			continue
		}
		if why := BadAddress(address); why != "" {
			return nil, fmt.Errorf("it answers %.80q, which %s: a line of host:port, joined by ';', is wanted", address, why)
		}
		list = append(list, address)
	}
	if len(list) == 0 {
		return nil, errors.New("it answers with no name server")
	}
	return list, nil
}

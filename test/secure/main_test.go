package secure

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

const (
	operator       = "operator"
	operatorSecret = "the operator's secret"
)

// rocketmq is a real cluster with mutual TLS and ACLs.
var rocketmq testcluster.Suite

// files are the certificates of its servers, which clients may show as well.
var files *testcluster.TLS

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rocketkit-certificates-")
	if err == nil {
		err = configure(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	rocketmq.Main(m)
}

func configure(dir string) error {
	authority, err := testcluster.NewAuthority()
	if err != nil {
		return err
	}
	if files, err = authority.Write(dir, "server", testcluster.Leaf{}); err != nil {
		return err
	}
	files.DemandClients = true
	rocketmq.Config.TLS = files
	rocketmq.Config.BrokerProperties, err = accessControl()
	return err
}

// accessControl turns a broker's ACL 2.0 on, with one user who may do everything.
func accessControl() (map[string]string, error) {
	user, err := json.Marshal(map[string]string{"username": operator, "password": operatorSecret})
	if err != nil {
		return nil, err
	}
	inner, err := json.Marshal(map[string]string{"accessKey": "brokers", "secretKey": "the brokers' secret"})
	if err != nil {
		return nil, err
	}
	const in = "org.apache.rocketmq.auth."
	return map[string]string{
		"authenticationEnabled":                "true",
		"authenticationProvider":               in + "authentication.provider.DefaultAuthenticationProvider",
		"authenticationMetadataProvider":       in + "authentication.provider.LocalAuthenticationMetadataProvider",
		"initAuthenticationUser":               string(user),
		"innerClientAuthenticationCredentials": string(inner),
		"authorizationEnabled":                 "true",
		"authorizationProvider":                in + "authorization.provider.DefaultAuthorizationProvider",
		"authorizationMetadataProvider":        in + "authorization.provider.LocalAuthorizationMetadataProvider",
		"autoCreateSubscriptionGroup":          "false",
		"recallMessageEnable":                  "true",
	}, nil
}

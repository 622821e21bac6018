// Package story tells the same story with every Go client: its checks in order, a line each.
package story

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Patience is how long something that must come may take on a slow machine.
const Patience = 30 * time.Second

// Many is how many keys lie over all shards.
const Many = 300

// Place is where the client has to go: PROGRAM PORT GUARDED_PORT TLS_PORT AUTHORITY PREFIX RESP.
type Place struct {
	Open, Guarded, Secure string // addresses
	TLS                   *tls.Config
	Prefix                string
	RESP                  int
}

// Key is a name of our own: no other client uses it.
func (p *Place) Key(name string) string { return p.Prefix + ":" + name }

// Tagged is a key that lies on the same shard as all tagged ones.
func (p *Place) Tagged(name string) string { return "{" + p.Prefix + "}:" + name }

// Check is one part of the story.
type Check struct {
	Name string
	Run  func(*Place) error
}

// Run tells the story and ends the process: with 0 if all is as it must be.
func Run(checks []Check) {
	place := arguments()
	for _, check := range checks {
		if err := check.Run(place); err != nil {
			fmt.Printf("failed %s: %v\n", check.Name, err)
			os.Exit(1)
		}
		fmt.Println("ok", check.Name)
	}
	os.Exit(0)
}

func arguments() *Place {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: PROGRAM PORT GUARDED_PORT TLS_PORT AUTHORITY PREFIX RESP")
		os.Exit(2)
	}
	authority, err := os.ReadFile(os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	resp, _ := strconv.Atoi(os.Args[6])
	return &Place{
		Open: "127.0.0.1:" + os.Args[1], Guarded: "127.0.0.1:" + os.Args[2], Secure: "127.0.0.1:" + os.Args[3],
		TLS: &tls.Config{RootCAs: roots}, Prefix: os.Args[5], RESP: resp,
	}
}

// Same says what is not as it must be.
func Same(what string, got, want any) error {
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		return fmt.Errorf("%s: %s, not %s", what, g, w)
	}
	return nil
}

// First is the first error of several.
func First(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

package producer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/producer"
)

func TestCloseWaitsForSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		release := make(chan struct{})
		f.answer = func(sent) (int32, string) {
			<-release
			return 0, ""
		}
		p := f.producer("", producer.Config{})
		sends := make(chan error, 3)
		for range cap(sends) {
			go func() {
				_, err := p.Send(t.Context(), order)
				sends <- err
			}()
		}
		synctest.Wait()

		err := p.Close(within(t, time.Second))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "sends still under way: 3") {
			t.Errorf("Close with its context ended: %v", err)
		}
		for _, send := range []func() error{
			func() error { _, err := p.Send(t.Context(), order); return err },
			func() error { _, err := p.SendBatch(t.Context(), []producer.Message{order}); return err },
		} {
			if err := send(); !errors.Is(err, rocketkit.ErrClosed) || producer.Retryable(err) {
				t.Errorf("a send after Close: %v, retryable %t", err, producer.Retryable(err))
			}
		}

		closed := make(chan error, 1)
		go func() { closed <- p.Close(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Fatalf("Close returned %v with sends under way", err)
		default:
		}
		close(release)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		for range cap(sends) {
			select {
			case err := <-sends:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Second):
				t.Fatal("a send is lost")
			}
		}
	})
}

func TestCloseOfAnUnusedProducer(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	p := f.producer("", producer.Config{})
	for range 2 {
		if err := p.Close(t.Context()); err != nil || f.count(&f.dials) != 0 {
			t.Errorf("%v after %d dials", err, f.count(&f.dials))
		}
	}
}

func TestClosedClient(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	client := f.client("")
	p, err := producer.New(client, producer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = p.Send(t.Context(), order)
	if !errors.Is(err, rocketkit.ErrClosed) || producer.Retryable(err) {
		t.Errorf("%v, retryable %t", err, producer.Retryable(err))
	}
	if want := "producer: send orders: the Client: already closed"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTwoProducersOfOneGroup(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	client := f.client("")
	for range 2 {
		p, err := producer.New(client, producer.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(t.Context())
		if _, err := p.Send(t.Context(), order); err != nil {
			t.Error(err)
		}
	}
}

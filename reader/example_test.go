package reader_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/reader"
)

// Example is a job that adds numbers up and keeps, with the sum, the positions it has read to. The second run goes on
// from there. It runs on an in-process cluster; a job has its Config from rocketkit.FromEnv instead.
func Example() {
	cluster, err := mqtest.Start(mqtest.Config{Topics: map[string]int{"numbers": 4}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())

	var state checkpoint
	for _, numbers := range [][]int{{1, 2, 3, 4}, {5, 6, 7, 8}} {
		sendNumbers(client, numbers)
		if state, err = run(client, state, len(numbers)); err != nil {
			log.Fatal(err)
		}
		fmt.Println("sum:", state.Sum)
	}
	// Output:
	// sum: 10
	// sum: 36
}

// checkpoint is what the job stores, as one.
type checkpoint struct {
	Sum       int
	Positions map[rocketkit.Queue]int64
}

// run reads n numbers, beginning where state was taken.
func run(client *rocketkit.Client, state checkpoint, n int) (checkpoint, error) {
	r, err := reader.New(client, reader.Config{Topic: "numbers", Positions: state.Positions, Start: reader.Earliest()})
	if err != nil {
		return state, err
	}
	for m, err := range r.Messages(context.Background()) {
		if err != nil {
			return state, err
		}
		var number int
		if _, err := fmt.Sscan(string(m.Body()), &number); err != nil {
			return state, err
		}
		state = checkpoint{Sum: state.Sum + number, Positions: r.Positions()} // exact: it includes m
		if n--; n == 0 {
			break
		}
	}
	return state, nil
}

func sendNumbers(client *rocketkit.Client, numbers []int) {
	p, err := producer.New(client, producer.Config{Group: "counter"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())
	for _, number := range numbers {
		if _, err := p.Send(context.Background(), producer.Message{Topic: "numbers", Body: fmt.Append(nil, number)}); err != nil {
			log.Fatal(err)
		}
	}
}

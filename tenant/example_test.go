package tenant_test

import (
	"fmt"

	"github.com/rocketkit/rocketkit/tenant"
)

func Example() {
	red, err := tenant.New("red")
	if err != nil {
		fmt.Println(err)
		return
	}
	topic, _ := red.Topic("orders")
	letters, _ := red.DeadLetter("billing")
	_, theirs := red.LogicalTopic("blue%orders")
	_, err = red.Topic("blue%orders")

	fmt.Println(topic)
	fmt.Println(letters)
	fmt.Println(theirs)
	fmt.Println(err)
	// Output:
	// red%orders
	// %DLQ%red%billing
	// false
	// tenant: topic "blue%orders" contains '%', which on the broker ends a tenant's name: give the logical name alone and let the tenant come from the settings
}

package dynconf

import "context"

// Source is where a group's document comes from.
type Source interface {
	// Watch calls found with the text of id's document as it is, and again whenever it may have changed, from one goroutine
	// at a time, until ctx ends; then it returns. An empty text says that there is no document. An err says that the source can't be
	// read; Watch goes on trying, and calls found again once it can. What found does with it isn't the source's business.
	Watch(ctx context.Context, id ID, found func(text string, err error))

	// String names the source for people: "name servers", "file /etc/settings.json".
	String() string
}

package mqtest

import "github.com/rocketkit/rocketkit/internal/protocol"

// properties is a message's properties while a broker works on them. They keep their order, unlike in Java, whose order
// is that of a hash map.
type properties []property

type property struct{ name, value string }

// readProperties takes a block apart as Java does: what has no value is dropped, and of two of a name the last counts.
func readProperties(block protocol.Properties) properties {
	var p properties
	for name, value := range block.All() {
		if value != "" {
			p.set(name, value)
		}
	}
	return p
}

func (p properties) get(name string) string {
	for _, q := range p {
		if q.name == name {
			return q.value
		}
	}
	return ""
}

func (p *properties) set(name, value string) {
	for i := range *p {
		if (*p)[i].name == name {
			(*p)[i].value = value
			return
		}
	}
	*p = append(*p, property{name, value})
}

func (p *properties) drop(name string) {
	for i := range *p {
		if (*p)[i].name == name {
			*p = append((*p)[:i:i], (*p)[i+1:]...)
			return
		}
	}
}

func (p properties) block() protocol.Properties {
	var b []byte
	for _, q := range p {
		b = protocol.AppendProperty(b, q.name, q.value)
	}
	return b
}

package main

import "testing"

func TestPoolSet(t *testing.T) {
	r := newRig(t)
	for range 3 {
		r.billing("", nil)
	}
	r.run("pool", "show", "-g", "billing")
	r.run("pool", "set", "-g", "billing", "-t", "oders", "--workers", "32")
	r.run("pool", "set", "-g", "biling", "-t", "oders", "--workers", "32")
	r.run("pool", "set", "-g", "billing", "-t", "orders", "--workers", "32", "--max", "64", "--dry-run")
	r.run("pool", "set", "-g", "billing", "-t", "orders", "--workers", "32", "--max", "64")
	r.answer("y\n", "pool", "set", "-g", "billing", "-t", "orders", "--workers", "32", "--max", "64", "--for", "30m")
	r.run("pool", "set", "-g", "billing", "-t", "orders", "--workers", "32", "--max", "64", "--for", "31m", "--yes")
	r.run("pool", "set", "-g", "billing", "-t", "refunds", "--workers", "2", "--yes")
	r.run("pool", "set", "-g", "billing", "-t", "refunds", "--workers", "200", "--yes", "--for", "never")
	r.run("pool", "show", "-g", "billing")
	r.run("pool", "set", "-g", "billing", "--undo", "--yes")
	r.run("pool", "set", "-g", "billing", "-t", "refunds", "--pause", "--yes", "-o", "json", "--for", "2h")
	r.run("pool", "show", "-g", "billing", "-o", "json")
	r.run("conf", "get", "-g", "billing")
	r.run("conf", "delete", "-g", "billing", "--yes")
	r.run("conf", "get", "-g", "billing")
}

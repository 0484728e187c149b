//go:build !linux

package main

import "time"

// Another process's aren't told here.

func processorTime(int) time.Duration { return 0 }

func residentMemory(int) int64 { return 0 }

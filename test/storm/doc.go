// Package storm starts and stops consumers by the dozen, over and over, in one process and under load, and looks at what is
// left of them: goroutines, connections, memory. make storm runs it at full length; the tests of make test are short.
package storm

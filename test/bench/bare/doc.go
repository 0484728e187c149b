// Package bare holds what rocketkit is measured against beside other clients: the least that has to be done. A pull loop that reads
// frames and throws them away, a send loop that writes frames made beforehand, and a worker pool with nothing around it.
package bare

package pluginhost

import (
	"math/bits"
	"sync/atomic"
)

// breaker stops the asking of a plugin that misses its deadlines: after five in a
// row, or more than half of the last twenty. It opens again by one question, the
// canary, once the plugin has answered a PING.
//
// The last twenty outcomes are bits, the newest lowest; above them is the state. A
// success while nothing is remembered changes nothing, and costs a load.
type breaker struct{ word atomic.Uint32 }

const (
	breakerRow    = 5
	breakerWindow = 20

	outcomes = 1<<breakerWindow - 1
	open     = 1 << 30 // nobody asks
	ajar     = 1 << 31 // the next one may
)

// enter says whether a question may be asked. Canary is to be told to leave.
func (b *breaker) enter() (ok, canary bool) {
	for {
		w := b.word.Load()
		switch {
		case w&ajar != 0:
			if b.word.CompareAndSwap(w, w&^ajar|open) {
				return true, true
			}
		case w&open != 0:
			return false, false
		default:
			return true, false
		}
	}
}

// leave notes how a question ended, and says whether that opened the breaker.
func (b *breaker) leave(canary, late bool) (opened bool) {
	for {
		w := b.word.Load()
		if !canary && w&(open|ajar) != 0 || !late && w == 0 {
			return false // asked before it opened; or nothing to note
		}
		next := uint32(0)
		switch {
		case canary && late:
			next = w&outcomes | open
		case canary:
		default:
			next = w << 1 & outcomes
			if late {
				next |= 1
			}
			if next&(1<<breakerRow-1) == 1<<breakerRow-1 || bits.OnesCount32(next) > breakerWindow/2 {
				next = open
			}
		}
		if b.word.CompareAndSwap(w, next) {
			return next&open != 0
		}
	}
}

// isOpen says whether questions are refused.
func (b *breaker) isOpen() bool { return b.word.Load()&(open|ajar) != 0 }

// answered lets a canary in, after a PING that was answered.
func (b *breaker) answered() {
	for {
		w := b.word.Load()
		if w&open == 0 || b.word.CompareAndSwap(w, w&^open|ajar) {
			return
		}
	}
}

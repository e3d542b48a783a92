// Package benchmark is what the programs that compare Sallyport with others have in
// common: their command line's frame, the processes that they start, what they
// say of the machine, and the file that they keep their figures in. Linux only.
package benchmark

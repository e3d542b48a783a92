package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestDriveEnds(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name   string
		most   int
		length time.Duration
		unit   error
		units  int
		wall   time.Duration
		err    error
	}{
		{name: "by count", most: 6, length: time.Hour, units: 6, wall: 3 * time.Second},
		{name: "by time", most: 1000, length: 5 * time.Second, units: 10, wall: 5 * time.Second},
		{name: "by time, units under way counted", most: 1000, length: 4500 * time.Millisecond, units: 10, wall: 5 * time.Second},
		{name: "by error", most: 6, length: time.Hour, unit: broken, err: broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				unit := func() error { time.Sleep(time.Second); return test.unit }
				units, wall, err := drive(t.Context(), []worker{unit, unit}, test.most, test.length)
				if units != test.units || wall != test.wall || !errors.Is(err, test.err) {
					t.Errorf("drive = %d, %s, %v, want %d, %s, %v", units, wall, err, test.units, test.wall, test.err)
				}
			})
		})
	}
}

func TestDriveInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		unit := func() error { time.Sleep(time.Second); return nil }
		if _, _, err := drive(ctx, []worker{unit}, 1000, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drive: %v, want the context's error", err)
		}
	})
}

package report

import (
	"math"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// sample is a run of thirty seconds whose server stalls in its twelfth, with
// latencies slow times as long as they could be.
func sample(slow float64) *loadtest.Result {
	us := func(v float64) time.Duration { return time.Duration(v * slow * 1000).Round(time.Microsecond) }
	r := &loadtest.Result{
		Version: 1,
		Name:    "full handshakes, 64 clients",
		Started: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC),
		Plan: loadtest.Plan{
			Target: "https://127.0.0.1:8443/", Scenario: loadtest.Handshake, Protocol: loadtest.HTTP1, Profile: "go",
			Certificate: "client.crt", Key: "client.key", CA: "server-ca.pem",
			Pace: loadtest.Pace{Rate: 2000}, Connections: 64, Duration: 30 * time.Second, Timeout: 10 * time.Second,
		},
		Machine: loadtest.Machine{CPU: "AMD EPYC 7B13", Cores: 2, Kernel: "6.12.0", Go: "go1.26.8"},
		Wall:    30 * time.Second,
		Units:   loadtest.Units{Due: 60_000, Done: 59_868, Refused: 87, Failed: 15, Unfinished: 30, Resumed: 0, Rate: 1995.6, BytesIn: 3_831_552},
		Errors: []loadtest.ErrorCount{
			{Kind: "tls alert bad certificate", Refusal: true, Count: 87, Example: "remote error: tls: bad certificate"},
			{Kind: "timeout", Count: 15, Example: "read tcp 127.0.0.1:41234->127.0.0.1:8443: i/o timeout"},
		},
		Latency: spread(59_868, us(640), us(900_000), 2.1),
		Service: spread(59_868, us(640), us(48_000), 2.1),
		Refusal: spread(87, us(410), us(7_300), 1.2),
		Phases: map[string]loadtest.Distribution{
			"first_byte": spread(59_868, us(95), us(9_000), 1.2),
			"handshake":  spread(59_955, us(480), us(38_000), 1.4),
			"connect":    spread(59_970, us(31), us(2_100), 1.1),
		},
		Server:    &loadtest.Usage{PID: 4242, User: us(31_900_000), System: us(6_100_000), PerUnit: us(634), RSSBefore: 34 << 20, RSSPeak: 61 << 20, RSSAfter: 52 << 20},
		Generator: loadtest.Usage{PID: 4243, User: 24 * time.Second, System: 7 * time.Second, PerUnit: 517 * time.Microsecond, RSSBefore: 20 << 20, RSSPeak: 29 << 20, RSSAfter: 28 << 20},
		Capacity:  2410,
		Warnings:  []string{"the rate asked is 83 % of what the generator can do at all (2,410/s): some of the latency is its own"},
	}
	for i := range 30 {
		wave := 1 + 0.1*math.Sin(float64(i)*1.7)
		s := loadtest.Second{
			At: i, Asked: 2000, Done: int64(2000 - 4*(i%3)), P50: us(840 * wave), P99: us(3100 * wave * wave), Max: us(9000 * wave),
			Open: int64(60 + i%5), CPU: us(1_260_000 * wave), RSS: (40 + int64(i)) << 20,
		}
		switch i {
		case 12:
			s.Done, s.Failed, s.P50, s.P99, s.CPU = 900, 15, us(210_000), us(640_000), us(420_000)
		case 13:
			s.Done, s.P50, s.P99 = 3080, us(160_000), us(880_000)
		case 20, 21:
			s.Refused = 43
		}
		r.Seconds = append(r.Seconds, s)
	}
	return r
}

// brief is the part of a sample in which its server stalls.
func brief(slow float64) *loadtest.Result {
	r := sample(slow)
	r.Seconds = r.Seconds[11:14]
	for i := range r.Seconds {
		r.Seconds[i].At = i
	}
	return r
}

// spread is a distribution that rises from lo to hi, steeper at its end the
// larger shape is.
func spread(n int64, lo, hi time.Duration, shape float64) loadtest.Distribution {
	at := func(p float64) time.Duration {
		x := min(1, -math.Log10(1-min(p, 99.9999)/100)/4.5)
		return time.Duration(float64(lo) * math.Pow(float64(hi)/float64(lo), math.Pow(x, shape))).Round(100 * time.Nanosecond)
	}
	d := loadtest.Distribution{
		Count: n, Min: lo, Mean: at(60), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99), Max: hi,
	}
	for x := 0.0; x <= 5; x += 0.1 {
		p := 100 * (1 - math.Pow(10, -x))
		d.Curve = append(d.Curve, loadtest.Point{Percentile: p, Value: at(p)})
	}
	d.Curve = append(d.Curve, loadtest.Point{Percentile: 100, Value: hi})
	return d
}

// samples are the results on which golden files are made, by their names.
func samples() map[string]*loadtest.Result {
	closed := sample(0.7)
	closed.Name, closed.Plan.Pace = "keep-alive, closed loop", loadtest.Pace{}
	closed.Plan.Scenario, closed.Plan.Profile = loadtest.Request, "chrome"
	closed.Latency, closed.Refusal = closed.Service, loadtest.Distribution{}
	closed.Server, closed.Warnings, closed.Errors, closed.Capacity = nil, nil, nil, 0
	closed.Units = loadtest.Units{Due: 59_868, Done: 59_868, Rate: 1995.6}
	delete(closed.Phases, "connect")
	delete(closed.Phases, "handshake")
	for i := range closed.Seconds {
		s := &closed.Seconds[i]
		s.Asked, s.Refused, s.Failed, s.CPU, s.RSS = 0, 0, 0, 0, 0
	}

	one := sample(1)
	one.Name, one.Wall, one.Seconds, one.Warnings = "one second", time.Second, one.Seconds[:1], nil
	one.Units = loadtest.Units{Due: 2000, Done: 2000, Rate: 2000}
	one.Errors = nil

	refused := sample(1)
	refused.Name, refused.Plan.ExpectRefusal = "all refused", true
	refused.Latency, refused.Service, refused.Phases = loadtest.Distribution{}, loadtest.Distribution{}, nil
	refused.Refusal = spread(60_000, 410*time.Microsecond, 7*time.Millisecond, 1.2)
	refused.Units = loadtest.Units{Due: 60_000, Refused: 60_000}
	refused.Errors = refused.Errors[:1]
	refused.Errors[0].Count = 60_000
	for i := range refused.Seconds {
		s := &refused.Seconds[i]
		s.Done, s.Failed, s.Refused, s.P50, s.P99, s.Max = 0, 0, s.Done, 0, 0, 0
	}

	nothing := &loadtest.Result{Version: 1, Name: "nothing", Plan: loadtest.Plan{Target: "https://127.0.0.1:8443/", Scenario: loadtest.Request}}
	nothing.Units.Rate = math.NaN()
	nothing.Capacity = math.Inf(1)

	hostile := sample(1)
	hostile.Name = "<script>document.title = 'owned'</script>"
	hostile.Warnings = []string{"</style><img src=https://attacker.example/x>\x1b[2J"}
	hostile.Plan.Headers = map[string]string{"X": "</pre><script>document.title = 'owned'</script>"}
	hostile.Errors[0].Kind = `status 500"><img src=x onerror=alert(1)>`
	hostile.Errors[0].Example = "<script src=//attacker.example/x.js></script>\x1b]0;owned\a\r\n\u202egnp.exe"
	hostile.Phases["<b>phase</b>"] = hostile.Phases["connect"]

	return map[string]*loadtest.Result{
		"open": sample(1), "closed": closed, "one-second": one, "all-refused": refused, "nothing": nothing, "hostile": hostile,
	}
}

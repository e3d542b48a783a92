package peers
import ("testing";"os";"time";"strings";"strconv")
func TestTmpRun(t *testing.T) {
	o := Options{Sallyport: "/tmp/peers-sallyport", Dir: "../../out/peers", Log: os.Stderr, Quick: os.Getenv("QUICK") != ""}
	if p := os.Getenv("PEERS"); p != "" { o.Peers = strings.Split(p, ",") }
	if p := os.Getenv("SCEN"); p != "" { o.Scenarios = strings.Split(p, ";") }
	o.Rounds, _ = strconv.Atoi(os.Getenv("ROUNDS"))
	begin := time.Now()
	r, err := Run(t.Context(), o)
	if err != nil { t.Fatal(err) }
	r.Table(os.Stdout)
	r.WriteBench("/tmp/peers-edge.json")
	f, _ := os.Create("/tmp/peers-report.md"); r.Markdown(f); f.Close()
	t.Log(time.Since(begin))
}

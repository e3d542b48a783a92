// The page's own script: it puts in place what the edge sends, and draws the
// chart. The HTML comes from the edge's templates, which have escaped it.
"use strict";

const colours = ["#b4232a", "#e5822e", "#c9a227", "#7a5bbf", "#2f7fc1", "#d0508d", "#4a9d8f", "#8a6d3b", "#6b7785", "#a3b53a"];
const success = "#2f9e6b";
const chart = { plot: null, codes: "" };

// colour keeps to one outcome for as long as the page is open.
const given = new Map();
function colour(code) {
  if (code === "Success") return success;
  if (!given.has(code)) given.set(code, colours[given.size % colours.length]);
  return given.get(code);
}

// clock is a time of today as the visitor's clock shows it, whatever their country
// makes of dates.
function clock(time) {
  const two = (n) => String(n).padStart(2, "0");
  const t = new Date(time * 1000);
  return two(t.getHours()) + ":" + two(t.getMinutes()) + ":" + two(t.getSeconds());
}

function draw(history) {
  const box = document.getElementById("chart");
  const data = [history.times, ...history.series.map((s) => s.counts)];
  const codes = history.series.map((s) => s.code).join(" ");
  if (chart.plot && chart.codes === codes) {
    chart.plot.setData(data);
    return;
  }
  if (chart.plot) chart.plot.destroy();
  chart.codes = codes;
  const ink = getComputedStyle(document.body).color;
  const axis = { stroke: ink, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8884", width: 1 } };
  chart.plot = new uPlot({
    width: box.clientWidth,
    height: 220,
    padding: [null, 30, null, null], // the last time is written beyond its tick
    scales: { y: { range: (_, low, high) => [0, Math.max(5, high)] } },
    axes: [{ ...axis, space: 70, values: (_, times) => times.map(clock) }, { ...axis, size: 60 }],
    series: [{}, ...history.series.map((s) => ({ label: s.code, stroke: colour(s.code), width: 2, points: { show: false } }))],
  }, data, box);
  const legend = document.getElementById("legend");
  legend.replaceChildren(...history.series.map((s) => {
    const item = document.createElement("li");
    item.textContent = s.code;
    item.style.setProperty("--series", colour(s.code));
    return item;
  }));
}

// What somebody is about to press is not taken away from under them: its
// section waits until they have left it.
const waiting = new Map();
function place() {
  for (const [id, html] of waiting) {
    const section = document.getElementById(id);
    if (section.matches(":hover:has(form)") || section.contains(document.activeElement)) continue;
    section.innerHTML = html;
    waiting.delete(id);
  }
}

function show(event) {
  const update = JSON.parse(event.data);
  for (const [id, html] of Object.entries(update.sections)) waiting.set(id, html);
  place();
  draw(update.history);
}

const status = document.getElementById("connection");
const source = new EventSource("/page/stream");
source.addEventListener("open", () => { status.textContent = "live"; status.className = "good"; });
source.addEventListener("error", () => { status.textContent = "no answer, trying again"; status.className = "bad"; });
source.addEventListener("message", show);
addEventListener("resize", () => {
  if (chart.plot) chart.plot.setSize({ width: document.getElementById("chart").clientWidth, height: 220 });
});

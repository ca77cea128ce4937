"use strict";
(() => {
  const { x, end, phases, faults, charts } = JSON.parse(document.getElementById("data").textContent);
  if (!charts.length) return;
  const root = getComputedStyle(document.documentElement);
  const color = (name) => root.getPropertyValue(name).trim();
  const HEIGHT = 220;
  const PAPER = 640; // pixels; fits A4 and Letter between their margins
  const STRIP = 5;
  const BRIDGED = 2.5; // sampling intervals; a longer gap in a line is one in its data
  const STATUS = { WARN: "--c4", PAUSED: "--c5", REWIND: "--c3", UNKNOWN: "--c7", MISSING: "--c7" };
  const width = x.length > 1 ? x[1] - x[0] : 1;
  const seconds = (plot, [from, to]) => plot.posToVal(to, "x", true) - plot.posToVal(from, "x", true);
  const plots = [];
  let moving = false;

  const show = (min, max) => {
    if (moving) return;
    moving = true;
    for (const plot of plots) plot.setScale("x", { min, max });
    moving = false;
  };

  const band = (plot, span, fill) => {
    const { left, top, width, height } = plot.bbox;
    const from = Math.max(left, plot.valToPos(span.start, "x", true));
    const to = Math.min(left + width, plot.valToPos(span.end, "x", true));
    if (to <= left || from >= left + width) return null;
    plot.ctx.fillStyle = fill;
    plot.ctx.fillRect(from, top, Math.max(to - from, 1), height);
    return from;
  };

  const backdrop = (first) => (plot) => {
    const { ctx, bbox } = plot;
    const size = 11 * devicePixelRatio;
    ctx.save();
    ctx.font = `${size}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    let free = -Infinity;
    phases.forEach((phase, number) => {
      const from = band(plot, phase, number % 2 ? "transparent" : color("--phase"));
      if (from === null || !first || from < free) return;
      ctx.fillStyle = color("--soft");
      ctx.fillText(phase.name, from + 4, bbox.top + 2);
      free = from + ctx.measureText(phase.name).width + 10;
    });
    free = -Infinity;
    for (const fault of faults) {
      const from = band(plot, fault, color("--fault"));
      if (from === null || !first || from < free) continue;
      ctx.fillStyle = color("--fail");
      ctx.fillText(fault.name, from + 4, bbox.top + 4 + size);
      free = from + ctx.measureText(fault.name).width + 10;
    }
    ctx.restore();
  };

  const strips = (chart) => (plot) => {
    const rows = [...new Set(chart.spans.map((span) => span.name))];
    const { left, top, width, height } = plot.bbox;
    const tall = STRIP * devicePixelRatio;
    for (const span of chart.spans) {
      const from = Math.max(left, plot.valToPos(span.start_s, "x", true));
      const to = Math.min(left + width, plot.valToPos(span.end_s, "x", true));
      if (to < left || from > left + width) continue;
      plot.ctx.fillStyle = color(STATUS[span.status] || "--fail");
      const y = top + height - (rows.indexOf(span.name) + 1) * (tall + 1);
      plot.ctx.fillRect(from, y, Math.max(to - from, 2), tall);
    }
  };

  // Edges and extremes have the colour of the line before them.
  const lines = (chart) => {
    let hue = -1;
    const bands = [];
    const drawn = chart.series.map((one, number) => {
      if (one.kind === "line") hue += 1;
      const name = `--c${hue % 8}`;
      if (one.kind === "edge" && chart.series[number + 1]?.kind === "edge") {
        bands.push({ series: [number + 2, number + 1], fill: () => `${color(name)}2e` });
      }
      return {
        label: one.name,
        stroke: one.kind === "edge" ? "transparent" : () => color(name),
        width: one.kind === "line" ? 1.6 : 0.8,
        dash: one.kind === "extreme" ? [3, 3] : undefined,
        points: { show: one.kind === "line" && x.length < 120 ? undefined : false },
        gaps: (plot, _, __, ___, gaps) => gaps.filter((gap) => seconds(plot, gap) > BRIDGED * Math.max(width, 1)),
        value: (_, value) => (value == null ? "–" : value.toLocaleString("en", { maximumSignificantDigits: 4 })),
      };
    });
    return { drawn, bands };
  };

  const axis = (more) => ({
    stroke: () => color("--soft"),
    grid: { stroke: () => color("--rule"), width: 1 },
    ticks: { stroke: () => color("--rule"), width: 1 },
    font: "12px system-ui, sans-serif",
    ...more,
  });

  const draw = (holder) => {
    const number = Number(holder.dataset.chart);
    const chart = charts[number];
    const { drawn, bands } = lines(chart);
    const options = {
      width: holder.clientWidth,
      height: HEIGHT,
      cursor: { sync: { key: "run" }, drag: { x: true, y: false } },
      scales: { x: { time: false, min: 0, max: end }, y: { range: (_, low, high) => (low == null ? [0, 1] : [Math.min(0, low), high > 0 ? high * 1.08 : 1]) } },
      axes: [axis({ values: (_, ticks) => ticks.map((tick) => `${tick} s`) }), axis({ size: 62 })],
      series: [{ label: "s", value: (_, value) => (value == null ? "–" : value.toFixed(1)) }, ...drawn],
      bands,
      hooks: {
        drawClear: [backdrop(number === 0)],
        draw: [strips(chart)],
        setScale: [(plot, key) => key === "x" && plot.scales.x.min != null && show(plot.scales.x.min, plot.scales.x.max)],
      },
    };
    const plot = new uPlot(options, [x, ...chart.series.map((one) => one.values)], holder);
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", `${chart.title} over time: ${chart.series.map((one) => one.name).join(", ")}`);
    plot.over.addEventListener("dblclick", () => show(0, end));
    plots.push(plot);
  };

  const zoom = {
    in: (low, high) => [low + (high - low) / 4, high - (high - low) / 4],
    out: (low, high) => [low - (high - low) / 2, high + (high - low) / 2],
    left: (low, high) => [low - (high - low) / 4, high - (high - low) / 4],
    right: (low, high) => [low + (high - low) / 4, high + (high - low) / 4],
    reset: () => [0, end],
  };
  const move = (how) => {
    const { min, max } = plots[0].scales.x;
    let [low, high] = zoom[how](min, max);
    const wide = Math.min(high - low, end);
    low = Math.min(Math.max(low, 0), end - wide);
    show(low, low + wide);
  };

  document.querySelectorAll(".plot").forEach(draw);
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => move(button.dataset.zoom)));
  const fit = (width) => plots.forEach((plot) => plot.setSize({ width: width || plot.root.parentElement.clientWidth, height: HEIGHT }));
  // The style of paper is not in force yet when charts have to be drawn for it.
  const print = (on) => {
    document.documentElement.classList.toggle("print", on);
    fit(on ? PAPER : 0);
    plots.forEach((plot) => plot.redraw());
  };
  new ResizeObserver(() => document.documentElement.classList.contains("print") || fit(0)).observe(document.getElementById("charts"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((plot) => plot.redraw()));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  globalThis.report = { plots };
})();

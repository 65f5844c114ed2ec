"use strict";
// Pictures over time come alive: what the server drew is replaced by a chart that tells its values, zooms by drag and
// shares its cursor with the others of the page. `data-series` holds what is drawn:
// {x: [seconds], lines: [{name, y: [value or null]}], unit, whole, fan, level, marks: [{i, kind, tip}]}
(function () {
  const live = new Set();
  const probe = document.createElement("span");
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const DAY = 86400;

  // A canvas knows no custom properties: the browser is asked what they come to in the theme that is worn now.
  function ink(token, alpha = 1) {
    probe.style.color = `color-mix(in srgb, var(--${token}) ${100 * alpha}%, transparent)`;
    return getComputedStyle(probe).color;
  }

  function digits(value, most) {
    return value.toLocaleString("en-US", { maximumSignificantDigits: most, useGrouping: true });
  }

  function written(value, unit) {
    if (value == null) return "–";
    const size = Math.abs(value);
    let text;
    if (unit === "%") {
      text = value > 0 && value < 0.05 ? "<0.1" : value > 99.95 && value < 100 ? ">99.9" : digits(Math.round(value * 10) / 10, 6);
      return text.replace("-", "−") + " %";
    }
    const step = [[0.9995e12, 1e12, " tn"], [0.9995e9, 1e9, " bn"], [0.9995e6, 1e6, " M"], [1e4, 1e3, " k"]].find((each) => size >= each[0]);
    if (size >= 1e15 || (size > 0 && size < 1e-3)) text = value.toExponential(2);
    else if (step) text = digits(value / step[1], 3) + step[2];
    else text = digits(value, 4);
    return text.replace("-", "−") + unit;
  }

  function tick(value, told) {
    if (told.whole && value % 1) return "";
    return told.unit === "%" ? digits(value, 3) + " %" : written(value, told.unit);
  }

  function moment(seconds) {
    return new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
  }

  function dates(u, splits, axis, space, step) {
    return splits.map((seconds) => {
      const at = new Date(seconds * 1000);
      if (step < DAY && seconds % DAY !== 0) return at.toISOString().slice(11, 16);
      if (step > 300 * DAY) return String(at.getUTCFullYear());
      return step > 27 * DAY ? `${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}` : `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
    });
  }

  // From 0, unless differences would vanish; as the server draws it.
  function reach(told) {
    return function (u, low, high) {
      if (low == null) return [0, 1];
      if (told.level != null) [low, high] = [Math.min(low, told.level), Math.max(high, told.level)];
      const isNear = high > low && (low < 0 || high - low <= 0.4 * high);
      if (low >= 0 && (told.unit === "%" || !isNear)) return [0, high > 0 ? high * 1.08 : 1];
      return uPlot.rangeNum(low, high > low ? high : low + 1, 0.08, false);
    };
  }

  const SHAPES = {
    high: [[0, -6], [6, 0], [0, 6], [-6, 0]],
    medium: [[-4.5, -4.5], [4.5, -4.5], [4.5, 4.5], [-4.5, 4.5]],
    low: [[0, -5], [5, 4], [-5, 4]],
  };

  function drawMarks(u, told) {
    const context = u.ctx, ratio = devicePixelRatio;
    const middle = told.fan ? 2 : 0;
    context.save();
    for (const mark of told.marks || []) {
      const value = u.data[middle + 1][mark.i];
      const x = u.valToPos(u.data[0][mark.i], "x", true);
      if (value == null || x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1) continue;
      const y = u.valToPos(value, "y", true);
      const shape = SHAPES[mark.kind] || SHAPES.low;
      context.beginPath();
      shape.forEach(([right, down], i) => context[i ? "lineTo" : "moveTo"](x + right * ratio, y + down * ratio));
      context.closePath();
      context.fillStyle = ink(mark.kind);
      context.strokeStyle = ink("card");
      context.lineWidth = 1.5 * ratio;
      context.fill();
      context.stroke();
    }
    if (told.level != null) {
      const y = u.valToPos(told.level, "y", true);
      context.beginPath();
      context.setLineDash([5 * ratio, 4 * ratio]);
      context.moveTo(u.bbox.left, y);
      context.lineTo(u.bbox.left + u.bbox.width, y);
      context.strokeStyle = ink("dim");
      context.lineWidth = ratio;
      context.stroke();
    }
    context.restore();
  }

  function seriesOf(told) {
    return told.lines.map((line, i) => {
      const isMain = !told.fan || i === 2;
      return {
        label: line.name,
        spanGaps: false,
        width: isMain ? 1.6 : 0,
        stroke: () => ink("accent"),
        fill: told.fan ? undefined : (u) => (u.scales.y.min === 0 ? ink("accent", 0.1) : "transparent"),
        points: { show: isMain ? told.x.length <= 60 : false, size: 5, width: 1, stroke: () => ink("card"), fill: () => ink("accent") },
      };
    });
  }

  function bandsOf(told) {
    if (!told.fan) return [];
    return [
      { series: [5, 1], fill: () => ink("accent", 0.12) },
      { series: [4, 2], fill: () => ink("accent", 0.18) },
    ];
  }

  function optionsOf(told, host, tell) {
    const axis = { stroke: () => ink("dim"), font: "11px system-ui, sans-serif", grid: { stroke: () => ink("line"), width: 1 }, ticks: { show: false } };
    return {
      width: Math.max(host.clientWidth, 120),
      height: Math.max(host.clientHeight, 80),
      padding: [8, 16, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      legend: { show: false },
      cursor: { y: false, sync: { key: "page" }, drag: { x: true, y: false, dist: 8 }, points: { size: 9, width: 2, stroke: () => ink("card"), fill: () => ink("accent") } },
      scales: { x: { time: true }, y: { range: reach(told) } },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 26, values: dates },
        { ...axis, space: host.clientHeight < 160 ? 20 : 28, size: 52, gap: 4, values: (u, splits) => splits.map((value) => tick(value, told)) },
      ],
      series: [{}, ...seriesOf(told)],
      bands: bandsOf(told),
      hooks: {
        draw: [(u) => drawMarks(u, told)],
        setCursor: [tell],
        setScale: [(u, scale) => scale === "x" && zoomed(u)],
      },
    };
  }

  function isWhole(u) {
    const [first, last] = [u.data[0][0], u.data[0][u.data[0].length - 1]];
    return u.scales.x.min <= first && u.scales.x.max >= last;
  }

  // One zoom for all charts of a page.
  let isSpreading = false;
  function zoomed(u) {
    for (const each of live) if (each.u === u) each.reset.hidden = isWhole(u);
    if (isSpreading || u.scales.x.min == null) return;
    isSpreading = true;
    const { min, max } = u.scales.x;
    for (const { u: other } of live) {
      if (other === u) continue;
      const all = [other.data[0][0], other.data[0][other.data[0].length - 1]];
      const [low, high] = isWhole(u) ? all : [min, max];
      if (other.scales.x.min !== low || other.scales.x.max !== high) other.setScale("x", { min: low, max: high });
    }
    isSpreading = false;
  }

  function zoom(u, factor) {
    const { min, max } = u.scales.x;
    const first = u.data[0][0], last = u.data[0][u.data[0].length - 1];
    const centre = u.cursor.idx == null ? (min + max) / 2 : u.data[0][u.cursor.idx];
    const half = ((max - min) * factor) / 2;
    u.setScale("x", { min: Math.max(centre - half, first), max: Math.min(centre + half, last) });
  }

  function widen(u) {
    u.setScale("x", { min: u.data[0][0], max: u.data[0][u.data[0].length - 1] });
  }

  function step(u, by) {
    const { min, max } = u.scales.x;
    const shown = u.data[0].map((x, i) => i).filter((i) => u.data[0][i] >= min && u.data[0][i] <= max);
    if (!shown.length) return;
    const here = shown.indexOf(u.cursor.idx);
    const place = by === "first" ? 0 : by === "last" ? shown.length - 1 : here < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(Math.max(here + by, 0), shown.length - 1);
    const value = u.data[1][shown[place]];
    u.setCursor({ left: u.valToPos(u.data[0][shown[place]], "x"), top: value == null ? 10 : Math.max(u.valToPos(value, "y"), 0) }, true, true);
  }

  const KEYS = {
    ArrowLeft: (u) => step(u, -1),
    ArrowRight: (u) => step(u, 1),
    Home: (u) => step(u, "first"),
    End: (u) => step(u, "last"),
    "+": (u) => zoom(u, 0.5),
    "=": (u) => zoom(u, 0.5),
    "-": (u) => zoom(u, 2),
    Escape: widen,
    0: widen,
  };

  function onKey(u, event) {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(u);
  }

  function sentence(u, told, i) {
    if (i == null) return "";
    const known = told.lines.map((line, s) => (told.lines.length > 1 ? `${line.name} ` : "") + written(u.data[s + 1][i], told.unit));
    const mark = (told.marks || []).find((each) => each.i === i);
    return `${moment(u.data[0][i])}  ${known.join(" · ")}${mark ? ` · ${mark.tip}` : ""}`;
  }

  function made(name, kind) {
    const element = document.createElement(name);
    element.className = kind;
    return element;
  }

  function enliven(figure) {
    const picture = figure.querySelector("svg.chart");
    if (!picture || figure.dataset.live) return;
    const told = JSON.parse(figure.dataset.series);
    const host = made("div", "plot"), readout = figure.querySelector(".readout"), reset = made("button", "button small reset");
    const idle = readout.textContent;
    const tell = (said) => {
      readout.textContent = said || idle;
      readout.classList.toggle("told", Boolean(said));
    };
    reset.type = "button";
    reset.textContent = "Reset zoom";
    reset.hidden = true;
    host.tabIndex = 0;
    host.setAttribute("role", "group");
    host.setAttribute("aria-roledescription", "chart");
    host.setAttribute("aria-label", `${picture.getAttribute("aria-label")}. Arrow keys tell its values, plus and minus zoom, Escape shows all.`);
    picture.before(host);
    readout.after(reset);
    const data = [told.x, ...told.lines.map((line) => line.y)];
    const u = new uPlot(optionsOf(told, host, (plot) => tell(sentence(plot, told, plot.cursor.idx))), data, host);
    picture.setAttribute("hidden", "");
    figure.dataset.live = "true";
    const watch = new ResizeObserver(() => host.clientWidth && u.setSize({ width: host.clientWidth, height: host.clientHeight }));
    watch.observe(host);
    reset.addEventListener("click", () => (widen(u), host.focus()));
    host.addEventListener("keydown", (event) => event.target === host && onKey(u, event));
    // Of all the charts that move along only the one in hand speaks.
    host.addEventListener("focus", () => readout.setAttribute("aria-live", "polite"));
    host.addEventListener("blur", () => (readout.setAttribute("aria-live", "off"), u.setCursor({ left: -10, top: -10 }, true, true)));
    live.add({ u, figure, watch, reset });
  }

  function enlivenAll(root) {
    for (const figure of root.querySelectorAll("figure[data-series]")) enliven(figure);
  }

  function forget(root) {
    for (const each of live) {
      if (!root.contains(each.figure)) continue;
      each.watch.disconnect();
      each.u.destroy();
      live.delete(each);
    }
  }

  function repaint() {
    for (const { u } of live) u.redraw(false);
  }

  function begin() {
    probe.hidden = true;
    document.body.append(probe);
    enlivenAll(document);
    new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    document.addEventListener("htmx:load", (event) => enlivenAll(event.detail.elt));
    document.addEventListener("htmx:beforeCleanupElement", (event) => event.target instanceof Element && forget(event.target));
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();

// How an answer is shown: lines or bars over time, bars by value, a table.
const MOST = 8; // series: more cannot be told apart
const SVG = "http://www.w3.org/2000/svg";

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const label = (value) => (value === null || value === "" ? "(none)" : String(value));
const colour = (name) => {
  // What light-dark() comes to is known once it is used.
  const probe = element("span");
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

// One series for each value that the answer is broken down by: the largest.
function series(answer) {
  const found = new Map();
  for (const row of answer.rows) {
    const name = answer.by ? label(row[answer.by]) : answer.metric;
    if (!found.has(name)) found.set(name, { name, now: new Map(), before: new Map(), sum: 0 });
    const one = found.get(name);
    const value = row[answer.metric];
    const before = row[`${answer.metric}_previous`];
    const time = row.time === null ? null : Date.parse(row.time) / 1000;
    if (time === null) continue;
    one.now.set(time, value === null ? null : Number(value));
    if (before !== undefined) one.before.set(time, before === null ? null : Number(before));
    one.sum += Math.abs(Number(value ?? 0));
  }
  return [...found.values()].sort((a, b) => b.sum - a.sum).slice(0, MOST);
}

export function drawLines(view, answer, asBars) {
  const all = series(answer);
  const times = [...new Set(all.flatMap((one) => [...one.now.keys()]))].sort((a, b) => a - b);
  const compares = all.some((one) => one.before.size);
  const shown = compares ? all.slice(0, 4) : all;
  const grid = colour("--line");
  const ink = colour("--quiet");
  const bars = asBars ? { paths: uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false } } : {};
  const lines = shown.flatMap((one, index) => {
    const stroke = colour(`--s${index}`);
    const value = (_, number) => (number == null ? "–" : answer.number(number));
    const now = { label: one.name, stroke, width: 2, value, spanGaps: false, ...bars };
    if (asBars) now.fill = stroke;
    if (!compares) return [now];
    return [now, { label: `${one.name}, before`, stroke, width: 1.5, dash: [6, 5], value, points: { show: false } }];
  });
  const data = [
    times,
    ...shown.flatMap((one) => {
      const now = times.map((time) => one.now.get(time) ?? null);
      return compares ? [now, times.map((time) => one.before.get(time) ?? null)] : [now];
    }),
  ];
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  const width = Math.max(view.clientWidth, 240);
  const options = {
    width,
    height: width < 500 ? 260 : 360,
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "UTC"),
    scales: asBars ? { y: { range: (_, least, most) => [Math.min(0, least), Math.max(0, most)] } } : {},
    series: [{ label: "time", value: (_, time) => (time == null ? "–" : moment(time)) }, ...lines],
    axes: [{ ...axis, space: 95, values: (_, ticks) => ticks.map(moment) }, { ...axis, size: 70, values: (_, ticks) => ticks.map((tick) => compact(tick)) }],
  };
  const holder = element("div", undefined, {
    role: "img",
    "aria-label": `${answer.metric} over time, ${times.length} buckets, ${shown.length} series. The table view has the values.`,
  });
  view.replaceChildren(holder);
  const chart = new uPlot(options, data, holder);
  const observer = new ResizeObserver(() => {
    if (!holder.isConnected) return observer.disconnect();
    chart.setSize({ width: Math.max(view.clientWidth, 240), height: chart.height });
  });
  observer.observe(view);
}

export function drawBars(view, answer) {
  const rows = answer.rows.slice(0, 30);
  const most = Math.max(...rows.map((row) => Math.abs(Number(row[answer.metric] ?? 0))), 1e-9);
  const list = element("div", undefined, { class: "bars", role: "list" });
  for (const row of rows) {
    const item = element("div", undefined, { role: "listitem", class: "bar" });
    const name = answer.by ? label(row[answer.by]) : answer.metric;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("aria-hidden", "true");
    const rect = document.createElementNS(SVG, "rect");
    const share = (Math.abs(Number(row[answer.metric] ?? 0)) / most) * 100;
    rect.setAttribute("width", `${Math.max(share, 0.3)}%`);
    rect.setAttribute("height", "100%");
    rect.setAttribute("rx", "3");
    svg.append(rect);
    const value = row[answer.metric];
    item.append(dimension(name, row, answer), svg, element("span", value === null ? "–" : answer.number(value), { class: "number" }));
    list.append(item);
  }
  view.replaceChildren(list);
}

// A value of the dimension that the answer is broken down by: to look closer at it alone.
function dimension(name, row, answer) {
  if (!answer.by) return element("span", name);
  const button = element("button", name, { type: "button", class: "drill", title: `Only ${name}` });
  button.addEventListener("click", () => answer.drill(row[answer.by]));
  return button;
}

export function drawTable(view, answer) {
  const table = element("table");
  const caption = element("caption", `${answer.metric}${answer.unit ? `, in ${answer.unit}` : ""}`);
  const numeric = new Set(["integer", "decimal", "double"]);
  const kind = (column) => (numeric.has(column.type) ? { class: "number" } : {});
  const head = element("tr");
  for (const column of answer.columns) head.append(element("th", column.name, { scope: "col", ...kind(column) }));
  const body = element("tbody");
  for (const row of answer.rows.slice(0, 1000)) {
    const line = element("tr");
    for (const column of answer.columns) {
      const made = element("td", undefined, kind(column));
      const text = cell(row[column.name], column, answer);
      made.append(column.name === answer.by ? dimension(text, row, answer) : text);
      line.append(made);
    }
    body.append(line);
  }
  const top = element("thead");
  top.append(head);
  table.append(caption, top, body);
  // It scrolls sideways where it is narrow, also by keyboard.
  const holder = element("div", undefined, { tabindex: "0", role: "region", "aria-label": "Table" });
  holder.append(table);
  view.replaceChildren(holder);
}

function cell(value, column, answer) {
  if (value === null) return "–";
  if (column.type === "time") return value.endsWith("T00:00:00Z") ? value.slice(0, 10) : value;
  return ["integer", "decimal", "double"].includes(column.type) ? answer.number(value) : label(value);
}

function moment(seconds) {
  const text = new Date(seconds * 1000).toISOString();
  return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ");
}

function compact(value) {
  return new Intl.NumberFormat(undefined, { notation: "compact" }).format(value);
}

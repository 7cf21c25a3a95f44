// The page's state is its address: what is chosen is written there, and read from there.
import { drawBars, drawLines, drawTable } from "./views.js";

const form = document.querySelector("#question");
const at = (id) => document.getElementById(id);
const DAY = 86_400_000;
const ALL = "all";
let metrics = new Map();
let asked = 0; // the number of the newest question: older answers are not shown

async function get(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await response.json();
  if (!response.ok) throw new Error([body.title, body.detail, body.hint].filter(Boolean).join("\n"));
  return body;
}

function fill(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => new Option(text, value)));
  select.value = values.some(([value]) => value === chosen) ? chosen : values[0][0];
}

function read() {
  const state = Object.fromEntries(new FormData(form));
  state.compare = form.elements.compare.checked ? "1" : "";
  return state;
}

function restore() {
  const state = Object.fromEntries(new URLSearchParams(location.search));
  fill(form.elements.metric, [...metrics.keys()].map((name) => [name, name]), state.metric);
  const metric = metrics.get(form.elements.metric.value);
  fill(form.elements.grain, [["", "none"], ...metric.grains.map((g) => [g, g])], state.grain ?? "");
  fill(
    form.elements.by,
    [["", "nothing"], ...metric.dimensions.map((d) => [d.name, d.name])],
    state.by ?? "",
  );
  for (const name of ["from", "to", "where"]) form.elements[name].value = state[name] ?? "";
  form.elements.range.value = state.range ?? ALL;
  form.elements.view.value = state.view ?? "line";
  form.elements.compare.checked = state.compare === "1";
  if (!("grain" in state) && metric.grains.includes("day")) form.elements.grain.value = "day";
  show();
}

function show() {
  const own = form.elements.range.value === "own";
  document.querySelectorAll(".own").forEach((part) => part.classList.toggle("shown", own));
  const metric = metrics.get(form.elements.metric.value);
  const told = metric.dimensions.map((d) => (d.values ? `${d.name} (${d.values.join(", ")})` : d.name));
  at("filter-help").textContent = told.length ? `A filter is over: ${told.join(", ")}.` : "";
}

function write(state) {
  const kept = Object.entries(state).filter(([name, value]) => value || name === "grain");
  history.replaceState(null, "", `?${new URLSearchParams(kept)}`);
}

// The last so many days that there is something of, or all of them.
function range(state, definition) {
  if (state.range === "own") {
    return { from: state.from && `${state.from}T00:00:00Z`, to: state.to && `${state.to}T00:00:00Z` };
  }
  if (!definition.last) return {};
  const end = new Date(Math.floor(Date.parse(definition.last) / DAY) * DAY + DAY);
  const start =
    state.range === ALL
      ? new Date(Math.floor(Date.parse(definition.first) / DAY) * DAY)
      : new Date(end.getTime() - Number(state.range) * DAY);
  return { from: start.toISOString(), to: end.toISOString() };
}

function parameters(state, definition) {
  const { from, to } = range(state, definition);
  const compares = state.compare && from && to;
  return new URLSearchParams(
    Object.entries({
      from,
      to,
      grain: state.grain,
      by: state.by,
      where: state.where,
      compare: compares ? "previous_period" : "",
      fill: state.grain && from && to && state.view !== "table" ? "null" : "",
      order: !state.grain && state.by ? `-${state.metric}` : "",
      limit: 5000,
    }).filter(([, value]) => value),
  );
}

async function ask() {
  const state = read();
  const number = ++asked;
  write(state);
  at("error").hidden = true;
  at("view").setAttribute("aria-busy", "true");
  at("status").textContent = "Loading …";
  try {
    const name = encodeURIComponent(state.metric);
    const definition = await get(`v1/metrics/${name}`);
    const query = parameters(state, definition);
    const whole = new URLSearchParams(query);
    for (const part of ["grain", "by", "order", "fill"]) whole.delete(part);
    const [answer, total] = await Promise.all([
      get(`v1/metrics/${name}/query?${query}`),
      get(`v1/metrics/${name}/query?${whole}`),
    ]);
    if (number !== asked) return;
    at("export").href = `v1/metrics/${name}/query.csv?${query}`;
    tell(state, definition, answer, total);
  } catch (error) {
    if (number !== asked) return;
    at("view").replaceChildren();
    at("status").textContent = "";
    at("error").textContent = error.message || "The service cannot be reached.";
    at("error").hidden = false;
  } finally {
    if (number === asked) at("view").setAttribute("aria-busy", "false");
  }
}

function tell(state, definition, answer, total) {
  document.title = `${state.metric} – Triptych metrics`;
  at("title").textContent = state.metric;
  at("description").textContent = definition.description;
  const [row] = total.rows;
  const now = row && row[state.metric];
  const before = row && row[`${state.metric}_previous`];
  at("total").textContent = now == null ? "" : `${number(now)} ${definition.unit}`;
  at("change").textContent = change(now, before);
  const rows = answer.rows.filter((each) => each[state.metric] != null || each[`${state.metric}_previous`] != null);
  const more = answer.next ? ` The first ${answer.rows.length} rows are shown.` : "";
  at("status").textContent = rows.length ? `${rows.length} values.${more}` : "There is nothing to show: nothing matches.";
  const [table] = answer.tables;
  const when = new Date(table.committed_at).toLocaleString();
  at("freshness").textContent = `From ${table.name}, version ${table.version}, committed ${when}; data up to ${definition.last ?? "–"}.`;
  const view = at("view");
  if (!rows.length) return view.replaceChildren();
  const told = { ...answer, metric: state.metric, by: state.by, unit: definition.unit, number };
  if (state.view === "table") return drawTable(view, { ...told, rows });
  if (state.grain) return drawLines(view, told, state.view === "bar");
  return drawBars(view, { ...told, rows });
}

function number(value) {
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 }).format(Number(value));
}

function change(now, before) {
  if (now == null || before == null || !Number(before)) return "";
  const share = (Number(now) - Number(before)) / Math.abs(Number(before));
  const told = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1, signDisplay: "always" });
  return `${told.format(share)} against the period before`;
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  at("theme").value = name;
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  write(read());
  if (event.target.name === "metric") restore();
  show();
  ask();
});
window.addEventListener("popstate", () => { restore(); ask(); });
at("theme").addEventListener("change", (event) => {
  localStorage.setItem("theme", event.target.value);
  theme(event.target.value);
  ask();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);

theme(localStorage.getItem("theme") ?? "");
try {
  const listed = await get("v1/metrics");
  metrics = new Map(listed.metrics.map((metric) => [metric.name, metric]));
  restore();
  await ask();
} catch (error) {
  at("error").textContent = error.message;
  at("error").hidden = false;
}

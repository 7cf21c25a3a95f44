// The page's state is its address: what is chosen is written there, and read from there.
import { all, below, clause, proposed } from "./filters.js";
import { Refused, download, forget, get, hasKey, keep } from "./service.js";
import { drawBars, drawLines, drawTable } from "./views.js";

const form = document.querySelector("#question");
const at = (id) => document.getElementById(id);
const DAY = 86_400_000;
const ALL = "all";
let metrics = new Map();
let only = []; // clauses, all of which have to be true
let types = new Map(); // of the metric's dimensions
let asked = 0; // the number of the newest question: older answers are not shown

function fill(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => new Option(text, value)));
  select.value = values.some(([value]) => value === chosen) ? chosen : values[0][0];
}

function read() {
  const state = Object.fromEntries(new FormData(form));
  state.compare = form.elements.compare.checked ? "1" : "";
  state.only = only;
  return state;
}

function restore() {
  const address = new URLSearchParams(location.search);
  const state = Object.fromEntries(address);
  only = address.getAll("only");
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
  at("filter-help").textContent = told.length ? `Conditions are over: ${told.join(", ")}.` : "";
  document.querySelector(".only").hidden = !told.length;
  fill(at("dimension"), [["", "…"], ...metric.dimensions.map((d) => [d.name, d.name])], at("dimension").value);
  at("clauses").replaceChildren(...only.map(chip));
}

function chip(text) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.setAttribute("aria-label", `Remove the filter ${text}`);
  button.addEventListener("click", () => {
    choose({ only: only.filter((each) => each !== text) });
    at("dimension").focus();
  });
  item.append(button);
  return item;
}

// Something was chosen elsewhere than in the form's fields.
function choose({ only: clauses = only, by }) {
  only = [...new Set(clauses)];
  if (by !== undefined) form.elements.by.value = by;
  write(read());
  show();
  ask();
}

function dimension(name) {
  const declared = metrics.get(form.elements.metric.value).dimensions.find((each) => each.name === name);
  return { ...declared, type: types.get(name) };
}

async function propose() {
  const chosen = at("dimension").value;
  at("values").replaceChildren();
  if (!chosen) return;
  try {
    const values = await proposed(form.elements.metric.value, dimension(chosen));
    if (at("dimension").value !== chosen) return;
    at("values").replaceChildren(...values.map((value) => new Option("", String(value))));
  } catch (error) {
    fail(error);
  }
}

function add() {
  const name = at("dimension").value;
  if (!name) return at("dimension").focus();
  const text = at("value").value;
  const made = clause(dimension(name), text === "" ? null : text, at("comparison").value === "not");
  at("value").value = "";
  choose({ only: [...only, made] });
}

// Only this value, broken down by what lies below it.
function drill(value) {
  const state = read();
  const deeper = below(metrics.get(state.metric), state.by);
  choose({ only: [...only, clause(dimension(state.by), value)], by: deeper });
}

function write(state) {
  const { only: clauses, ...plain } = state;
  const kept = Object.entries(plain).filter(([name, value]) => value || name === "grain");
  const address = new URLSearchParams([...kept, ...clauses.map((each) => ["only", each])]);
  history.replaceState(null, "", `?${address}`);
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
      where: all([...state.only, state.where]),
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
    types = new Map(definition.dimensions.map((each) => [each.name, each.type]));
    at("export").href = `v1/metrics/${name}/query.csv?${query}`;
    tell(state, definition, answer, total);
  } catch (error) {
    if (number === asked) fail(error);
  } finally {
    if (number === asked) at("view").setAttribute("aria-busy", "false");
  }
}

function fail(error) {
  at("view").replaceChildren();
  at("status").textContent = "";
  const refused = error instanceof Refused;
  at("access").hidden = !refused;
  form.hidden = at("answer").hidden = refused;
  const told = refused ? at("refusal") : at("error");
  const first = refused && !hasKey(); // nothing was refused yet: it is asked for
  told.textContent = first ? "" : error.message || "The service cannot be reached.";
  at("error").hidden = refused;
  if (refused) at("key").focus();
}

function tell(state, definition, answer, total) {
  document.title = `${state.metric} – Triptych metrics`;
  const shown = formatted(definition.format);
  at("title").textContent = state.metric;
  at("description").textContent = definition.description;
  const [row] = total.rows;
  const now = row && row[state.metric];
  const before = row && row[`${state.metric}_previous`];
  at("total").textContent = now == null ? "" : `${shown(now)} ${definition.unit}`;
  at("change").textContent = change(now, before);
  const rows = answer.rows.filter((each) => each[state.metric] != null || each[`${state.metric}_previous`] != null);
  const more = answer.next ? ` The first ${answer.rows.length} rows are shown.` : "";
  at("status").textContent = rows.length ? `${rows.length} values.${more}` : "There is nothing to show: nothing matches.";
  const [table] = answer.tables;
  const when = new Date(table.committed_at).toLocaleString();
  at("freshness").textContent = `From ${table.name}, version ${table.version}, committed ${when}; data up to ${definition.last ?? "–"}.`;
  const view = at("view");
  if (!rows.length) return view.replaceChildren();
  const told = { ...answer, metric: state.metric, by: state.by, unit: definition.unit, number: shown, drill };
  if (state.view === "table") return drawTable(view, { ...told, rows });
  if (state.grain) return drawLines(view, told, state.view === "bar");
  return drawBars(view, { ...told, rows });
}

// As the metric declares that its values are shown.
function formatted(format) {
  const digits = /^decimal\((\d)\)$/.exec(format);
  const options = { maximumFractionDigits: format === "integer" ? 0 : 2 };
  if (digits) options.minimumFractionDigits = options.maximumFractionDigits = Number(digits[1]);
  if (format === "percent") options.style = "percent";
  const made = new Intl.NumberFormat(undefined, options);
  return (value) => made.format(Number(value));
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
  if (!event.target.name) return; // a part of a filter that is not added yet
  if (event.target.name === "metric") only = []; // another has other dimensions
  write(read());
  if (event.target.name === "metric") restore();
  show();
  ask();
});
at("dimension").addEventListener("change", propose);
at("add").addEventListener("click", add);
at("value").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  add();
});
at("export").addEventListener("click", async (event) => {
  if (!hasKey()) return; // the link does it
  event.preventDefault();
  try {
    await download(at("export").href, `${form.elements.metric.value}.csv`);
  } catch (error) {
    fail(error);
  }
});
at("access").addEventListener("submit", async (event) => {
  event.preventDefault();
  keep(at("key").value.trim());
  at("key").value = "";
  await begin();
});
at("forget").addEventListener("click", async () => {
  forget();
  await begin();
});
window.addEventListener("popstate", () => { restore(); ask(); });
at("theme").addEventListener("change", (event) => {
  localStorage.setItem("theme", event.target.value);
  theme(event.target.value);
  ask();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);

async function begin() {
  at("forget").hidden = !hasKey();
  try {
    const listed = await get("v1/metrics");
    at("access").hidden = true;
    form.hidden = at("answer").hidden = false;
    metrics = new Map(listed.metrics.map((metric) => [metric.name, metric]));
    restore();
    await ask();
  } catch (error) {
    fail(error);
  }
}

theme(localStorage.getItem("theme") ?? "");
await begin();

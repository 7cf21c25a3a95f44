// Which values count: clauses of the filter language, which all have to be true.
import { get } from "./service.js";

const MOST = 200; // values that are proposed

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

function literal(value, type) {
  const plain = ["integer", "decimal", "double", "boolean"].includes(type);
  return plain ? String(value) : quoted(String(value));
}

// A dimension has this value, or has not; of no value, or an empty text, it is said so.
export function clause(dimension, value, not = false) {
  const { name, type } = dimension;
  if (value === null) return `${name} is ${not ? "not " : ""}null`;
  return `${name} ${not ? "!=" : "="} ${literal(value, type)}`;
}

export const all = (clauses) => clauses.filter(Boolean).map((each) => `(${each})`).join(" and ");

// The values to choose from: those that are declared, or the most of those that there are.
export async function proposed(metric, dimension) {
  if (dimension.values) return dimension.values;
  const asked = new URLSearchParams({ by: dimension.name, order: `-${metric}`, limit: MOST });
  const answer = await get(`v1/metrics/${encodeURIComponent(metric)}/query?${asked}`);
  return answer.rows.map((row) => row[dimension.name]).filter((value) => value !== null);
}

// The level below, where one is declared.
export function below(metric, dimension) {
  for (const levels of Object.values(metric.hierarchies)) {
    const at = levels.indexOf(dimension);
    if (at >= 0 && at + 1 < levels.length) return levels[at + 1];
  }
  return "";
}

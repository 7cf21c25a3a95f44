// Ask the service, with the key that was entered: it is kept until the tab is closed, and goes nowhere else.
const KEY = "triptych-key";

export class Refused extends Error {}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;
export const keep = (key) => sessionStorage.setItem(KEY, key);
export const forget = () => sessionStorage.removeItem(KEY);

async function ask(path, accept) {
  const headers = { Accept: accept };
  if (hasKey()) headers.Authorization = `Bearer ${sessionStorage.getItem(KEY)}`;
  const response = await fetch(path, { headers });
  if (response.ok) return response;
  const problem = await response.json();
  const told = [problem.title, problem.detail, problem.hint].filter(Boolean).join("\n");
  throw response.status === 401 || response.status === 403 ? new Refused(told) : new Error(told);
}

export async function get(path) {
  return (await ask(path, "application/json")).json();
}

// A link cannot send a key: what it leads to is fetched, and handed over as a file.
export async function download(path, name) {
  const file = await (await ask(path, "text/csv")).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

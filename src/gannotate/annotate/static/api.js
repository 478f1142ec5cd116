// What the page asks of the server. Every call throws an Error whose message is a sentence for the person.

export const editor = Array.from(crypto.getRandomValues(new Uint8Array(8)), (part) => part.toString(16)).join("");

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer; your strokes are kept in this browser until it does");
  }
  if (answer.ok || (answer.status === 409 && options.stale)) return answer;
  let detail = `the server answered ${answer.status}`;
  try {
    const told = (await answer.json()).detail;
    if (typeof told === "string") detail = told;
  } catch {
    // no sentence came with it
  }
  throw new Error(detail);
}

const json = async (path, options) => (await call(path, options)).json();
const bytes = async (answer) => new Uint8Array(await answer.arrayBuffer());
const asJson = (method, body) => ({ method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

export const project = () => json("project");
export const pictures = () => json("pictures");
export const live = () => json("live");
export const next = (after) => json(after === null ? "next" : `next?after=${after}`);
export const mark = (seed, value) => json(`pictures/${seed}/mark`, asJson("PUT", { mark: value }));
export const changeClasses = (classes) => json("classes", asJson("PUT", classes));
export const history = (seed) => json(`pictures/${seed}/history`);
export const oldVersion = async (seed, version) => bytes(await call(`pictures/${seed}/history/${version}`));
export const imageOf = (seed) => `/api/pictures/${seed}/image`;

/** {version, source, trouble, data}; trouble: why the label map cannot be read, then data is an empty one. */
export async function labels(seed) {
  const answer = await call(`pictures/${seed}/labels`);
  const [version, source, trouble] = ["X-Version", "X-Source", "X-Trouble"].map((name) => answer.headers.get(name));
  return { version: Number(version), source, trouble: decodeURIComponent(trouble), data: await bytes(answer) };
}

export async function guess(seed) {
  const answer = await call(`pictures/${seed}/guess`);
  if (answer.status === 204) return null;
  const both = await bytes(answer);
  const [data, uncertainty, confidence] = thirds(both);
  return { model: Number(answer.headers.get("X-Model")), data, uncertainty, confidence };
}

function thirds(all) {
  const part = all.length / 3;
  return [0, 1, 2].map((index) => all.slice(index * part, (index + 1) * part));
}

/** Superpixels about `side` pixels wide: the number of every pixel's. */
export async function superpixels(seed, side) {
  const view = new DataView(await (await call(`pictures/${seed}/superpixels?side=${side}`)).arrayBuffer());
  return Uint32Array.from({ length: view.byteLength / 4 }, (_, index) => view.getUint32(4 * index, true));
}

export async function similarity(seed, x, y) {
  return bytes(await call(`pictures/${seed}/similarity?x=${x}&y=${y}`));
}

export async function save(seed, data, base, started) {
  const headers = { "Content-Type": "application/octet-stream", "X-Base-Version": `${base}`, "X-Started": started, "X-Editor": editor };
  const answer = await call(`pictures/${seed}/labels`, { method: "PUT", body: data, headers, stale: true });
  const told = await answer.json();
  return answer.status === 409 ? { stale: true, ...told } : { ok: true, version: told.version };
}

export const work = () => json("work");
export const writeDataset = (order) => json("work/dataset", asJson("POST", order));
export const trainSegmenter = (order) => json("work/segmenter", asJson("POST", order));
export const cancelWork = () => json("work", { method: "DELETE" });
export const prediction = async (seed, signal) => bytes(await call(`pictures/${seed}/prediction`, { signal }));

/** The segmenter's label map of any picture file: {width, height, data}. */
export async function predictionOf(blob, signal) {
  const answer = await call("prediction", { method: "POST", body: blob, signal });
  const [width, height] = ["X-Width", "X-Height"].map((name) => Number(answer.headers.get(name)));
  return { width, height, data: await bytes(answer) };
}

export const exportFormats = () => json("export");

/** Every labelled picture with its labels as a zip: {blob, name, told}; told: what the format could not hold. */
export async function exported(format) {
  const answer = await call(`export/${format}`);
  const [, name] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"));
  return { blob: await answer.blob(), name, told: answer.headers.get("X-Told") };
}

/** Takes a file of labels in: {imported, pictures, unchanged, notes}. how: {format, map: [OLD=NEW], replace, crop, blended}. */
export async function importLabels(file, { format, map, replace, crop, blended }) {
  const query = new URLSearchParams({ name: file.name, format, replace, crop, blended });
  for (const pair of map) query.append("map", pair);
  return json(`import?${query}`, { method: "POST", body: file });
}

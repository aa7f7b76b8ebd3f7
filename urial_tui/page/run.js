// How what is shown was made, from the document's key "run".

const RUN_NAMES = {
  time: "Made",
  program: "Program",
  library: "Library",
  build: "Build",
  processor: "Processor",
  command: "Command",
  max_tokens: "Longest answer",
  n_ctx: "Context",
  parallel: "Written together",
  kv_type: "KV cache",
};

// How it was made; what has no name here is told by its key.
function fillRun(run) {
  const rows = [];
  for (const key of [...new Set([...Object.keys(RUN_NAMES), ...Object.keys(run)])]) {
    const value = run[key];
    if (!["string", "number", "boolean"].includes(typeof value) || value === "") continue;
    const text = typeof value === "number" ? count(value) : harmless(String(value));
    rows.push([RUN_NAMES[key] ?? harmless(key).replaceAll("_", " "), key === "command" ? el("code", {}, text) : text]);
  }
  for (const [side, files] of Object.entries(run.files ?? {})) {
    for (const { name, size, ...rest } of Array.isArray(files) ? files : []) {
      const more = Object.entries(rest)
        .filter(([, value]) => typeof value === "string" && value)
        .map(([key, value]) => `${harmless(key).replaceAll("_", " ")} ${harmless(value)}`);
      const told = [harmless(String(name)), given(size) === null ? null : `${count(size)} bytes`, ...more];
      rows.push([`File, ${harmless(side)}`, told.filter(Boolean).join(", ")]);
    }
  }
  if (!rows.length) return;
  show("run");
  byId("run-body").append(el("dl", { class: "run" }, rows.map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, el("bdi", {}, value))))));
}

// What is shown, by the address after "#"; keys.

const page = { head: {}, scroll: 0 };

function route() {
  const [, number] = /^#item-(\d+)$/.exec(location.hash) ?? [];
  const place = Number(number) - 1;
  const onItem = number !== undefined && place >= 0 && place < index.rows.length;
  if (onItem && !byId("overview").hidden) page.scroll = window.scrollY;
  const changed = byId("item").hidden === onItem || (onItem && open.place !== place);
  show("overview", !onItem);
  show("item", onItem);
  document.body.classList.toggle("on-item", onItem);
  if (onItem) {
    openItem(place);
    if (changed) {
      window.scrollTo(0, 0);
      byId("item").focus({ preventScroll: true });
    }
  } else if (changed) {
    window.scrollTo(0, page.scroll);
    const left = open.place === null ? null : byId("items").querySelector(`a[href="#item-${open.place + 1}"]`);
    (left ?? byId("overview")).focus({ preventScroll: true });
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || byId("keys").open) return;
  if (event.target.closest?.("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const onItem = !byId("item").hidden;
  const everywhere = {
    "/": () => {
      if (onItem) location.hash = "#overview";
      show("overview");
      show("item", false);
      byId("search").focus();
    },
    "?": () => byId("keys").showModal(),
  };
  const first = () => {
    if (index.found.length) location.hash = `#item-${index.found[0].place + 1}`;
  };
  const moves = onItem
    ? { j: () => goItem(1), "]": () => goItem(1), k: () => goItem(-1), "[": () => goItem(-1), Escape: () => (location.hash = "#overview") }
    : { j: first, "]": first };
  const does = everywhere[event.key] ?? moves[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

function start() {
  listenToTheme();
  byId("keys-button").addEventListener("click", () => byId("keys").showModal());
  page.head = jsonBlock("data-head");
  runs.list = page.head.runs;
  runs.places = new Map(runs.list.map((run, at) => [run.name, at]));
  fillOverview(page.head);
  fillIndex(jsonBlock("data-rows"));
  listenToItem();
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", route);
  route();
  document.documentElement.dataset.ready = "true";
}

start();

// What a report with items shows, by the address after "#"; keys.
// A report opens an item by `openItem`, and has keys of its own: `keysOf`.

const page = { head: {}, scroll: 0, focus: "item" };

// `at`: a token of the item's answer, from 0; null for none.
function itemHash(place, at = null) {
  return `#item-${place + 1}${at === null ? "" : `-${at + 1}`}`;
}

function route() {
  const [, number, at] = /^#item-(\d+)(?:-(\d+))?$/.exec(location.hash) ?? [];
  const place = Number(number) - 1;
  const onItem = number !== undefined && place >= 0 && place < index.rows.length;
  if (onItem && !byId("overview").hidden) page.scroll = window.scrollY;
  const changed = byId("item").hidden === onItem || (onItem && open.place !== place);
  show("overview", !onItem);
  show("item", onItem);
  if (byId("tip")) show("tip", false);
  document.body.classList.toggle("on-item", onItem);
  if (onItem) {
    if (changed) window.scrollTo(0, 0);
    openItem(place, at === undefined ? null : Number(at) - 1);
    if (changed) byId(page.focus).focus({ preventScroll: true });
  } else if (changed) {
    window.scrollTo(0, page.scroll);
    const left = open.place === null ? null : byId("items").querySelector(`a[href="${itemHash(open.place)}"]`);
    (left ?? byId("overview")).focus({ preventScroll: true });
  }
}

function goItem(sense) {
  if (open.place === null) return;
  const { previous, next } = neighbours(open.place);
  const row = sense > 0 ? next : previous;
  if (row) location.hash = itemHash(row.place);
}

const ITEM_KEYS = {
  j: () => goItem(1),
  "]": () => goItem(1),
  k: () => goItem(-1),
  "[": () => goItem(-1),
};

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
  const does = everywhere[event.key] ?? keysOf(onItem, event)[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

// `prepare` gets the document's head before anything is shown.
function start(prepare = () => {}) {
  listenToTheme();
  byId("keys-button").addEventListener("click", () => byId("keys").showModal());
  page.head = jsonBlock("data-head");
  prepare(page.head);
  fillOverview(page.head);
  fillIndex(jsonBlock("data-rows"));
  byId("item-previous").addEventListener("click", () => goItem(-1));
  byId("item-next").addEventListener("click", () => goItem(1));
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", route);
  route();
  document.documentElement.dataset.ready = "true";
}

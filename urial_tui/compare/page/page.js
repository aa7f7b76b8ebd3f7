// What is shown, by the address after "#"; keys.

const page = { head: {}, scroll: 0 };

function itemHash(place, at) {
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
  show("tip", false);
  document.body.classList.toggle("on-item", onItem);
  if (onItem) {
    if (changed) window.scrollTo(0, 0);
    openItem(place, at === undefined ? null : Number(at) - 1);
    if (changed) byId("answer").focus({ preventScroll: true });
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
  const inText = event.target.closest?.("pre, .scroll");
  const everywhere = {
    "/": () => {
      if (onItem) location.hash = "#overview";
      byId("overview").hidden = false;
      byId("item").hidden = true;
      byId("search").focus();
    },
    "?": () => byId("keys").showModal(),
  };
  const item = {
    j: () => goItem(1),
    "]": () => goItem(1),
    k: () => goItem(-1),
    "[": () => goItem(-1),
    n: () => nextShifted(1),
    N: () => nextShifted(-1),
    Escape: () => (open.at === null ? (location.hash = "#overview") : goToken(null)),
  };
  const moves = {
    ArrowRight: () => goToken(open.at === null ? 0 : open.at + 1),
    ArrowLeft: () => goToken(open.at === null ? 0 : open.at - 1),
    // Without a pinned token these two scroll, as everywhere.
    ...(open.at === null ? {} : { ArrowDown: () => goLine(1), ArrowUp: () => goLine(-1) }),
    Home: () => goToken(0),
    End: () => goToken(open.tokens.length - 1),
  };
  const does = everywhere[event.key] ?? (onItem ? (item[event.key] ?? (inText || !open.data ? null : moves[event.key])) : null);
  if (!does) return;
  event.preventDefault();
  does();
}

function start() {
  listenToTheme();
  byId("keys-button").addEventListener("click", () => byId("keys").showModal());
  page.head = jsonBlock("data-head");
  fillOverview(page.head);
  fillIndex(jsonBlock("data-rows"));
  listenToItem();
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", route);
  route();
  document.documentElement.dataset.ready = "true";
}

start();

// The keys of the page of a comparison, and its start.

function keysOf(onItem, event) {
  if (!onItem) return {};
  const inText = event.target.closest?.("pre, .scroll");
  const moves = {
    ArrowRight: () => goToken(open.at === null ? 0 : open.at + 1),
    ArrowLeft: () => goToken(open.at === null ? 0 : open.at - 1),
    // Without a pinned token these two scroll, as everywhere.
    ...(open.at === null ? {} : { ArrowDown: () => goLine(1), ArrowUp: () => goLine(-1) }),
    Home: () => goToken(0),
    End: () => goToken(open.tokens.length - 1),
  };
  return {
    ...ITEM_KEYS,
    n: () => nextShifted(1),
    N: () => nextShifted(-1),
    Escape: () => (open.at === null ? (location.hash = "#overview") : goToken(null)),
    ...(inText || !open.data ? {} : moves),
  };
}

page.focus = "answer";
start(listenToItem);

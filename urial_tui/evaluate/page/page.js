// The keys of the page of an evaluation, and its start.

function keysOf(onItem) {
  if (onItem) return { ...ITEM_KEYS, Escape: () => (location.hash = "#overview") };
  const first = () => {
    if (index.found.length) location.hash = itemHash(index.found[0].place);
  };
  return { j: first, "]": first };
}

start(({ runs: list }) => {
  runs.list = list;
  runs.places = new Map(list.map((run, at) => [run.name, at]));
});

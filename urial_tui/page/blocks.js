// The data blocks of this file: JSON as it stands, or as gzip in base64, unpacked when it is needed.

class Unreadable extends Error {}

function jsonBlock(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

// The file may still be loading when the first item is opened.
function block(id) {
  const there = document.getElementById(id);
  if (there && (there.nextSibling || document.readyState !== "loading")) return there;
  if (document.readyState !== "loading") {
    throw new Unreadable("This file is incomplete: the item's data is missing. Write the report again.");
  }
  return new Promise((resolve, reject) => {
    document.addEventListener("DOMContentLoaded", () => {
      try {
        resolve(block(id));
      } catch (error) {
        reject(error);
      }
    });
  });
}

async function unpacked(id) {
  const text = (await block(id)).textContent;
  if (typeof DecompressionStream === "undefined") {
    throw new Unreadable(
      "This browser can't unpack the items of a report. Use a newer one: Chrome or Edge 123, Firefox 120, Safari 17.5 or later.",
    );
  }
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return await new Response(stream).arrayBuffer();
  } catch {
    throw new Unreadable("This file is damaged: the item's data can't be unpacked. Write the report again.");
  }
}

const shared = {};

function sharedJson(id) {
  shared[id] ??= unpacked(id).then((buffer) => JSON.parse(new TextDecoder().decode(buffer)));
  return shared[id];
}

/** The sign that the figures of the page are old: the service was lost, or it refuses to answer. */

import { announce, button, h, icon, put } from "./core/dom.js";
import { when } from "./core/format.js";
import { state } from "./core/state.js";

const WORDS = { live: "Live", waiting: "Offline", stopped: "Not permitted" };

/**
 * @param place the element of the banner
 * @param light the element of the word in the header
 */
export function watchService(place, light) {
  const show = () => {
    light.dataset.state = state.live;
    light.title = `Events: ${WORDS[state.live].toLowerCase()}`;
    light.lastElementChild.textContent = state.ready || state.live !== "waiting" ? WORDS[state.live] : "Connecting";
    const words = state.ready ? trouble() : null;
    const changed = place.hidden === Boolean(words);
    place.hidden = !words;
    document.documentElement.toggleAttribute("data-old", Boolean(words));
    if (!words) {
      put(place);
      if (changed) announce("The page is live again");
      return;
    }
    const again = state.live === "waiting" ? button("Try now", { class: "small", on: { click: () => state.feed.start() } }) : null;
    put(place, icon("warn"), h("p", {}, h("strong", {}, words), ` The figures are those of ${when(state.feed.heard ?? state.readAt)}.`), again);
  };
  state.listen(["live", "ready"], show);
  show();
}

/** The reason why the figures are old, as a sentence; null when they are not. */
function trouble() {
  const { heard, failures } = state.feed;
  if (state.live === "waiting" && (heard || failures)) return "No connection to the service.";
  if (state.live === "stopped") return "The service does not permit the events to this token.";
  return state.trouble ? `The figures could not be read again: ${state.trouble.message}.` : null;
}

/** An explanation as one reads it: the ladder from the best rung down, and what was not on it. */

import { h, icon } from "./core/dom.js";
import { count, plural } from "./core/format.js";

const HOLD = { own: "own blocks", unclaimed: "unclaimed", others: "claimed by others" };
const LEVEL = { taken: "good", full: "alarm", "not reached": "" };

export function explanation(story, outcomeLevel = "info") {
  return h(
    "div",
    { class: "story" },
    h("p", { class: `outcome ${outcomeLevel}` }, story.outcome),
    h("p", { class: "hint" }, `Asked for: ${story.group}`),
    story.notes.length ? h("ul", { class: "notes", "aria-label": "Also" }, story.notes.map((note) => h("li", {}, note))) : null,
    story.rungs.length ? h("ol", { class: "ladder", "aria-label": "Ladder, the best rung first" }, story.rungs.map(rung)) : null,
    story.passed.length ? h("div", { class: "passed" }, h("h3", {}, "Not on the ladder"), h("ul", {}, story.passed.map(passed))) : null,
  );
}

function rung(line) {
  return h(
    "li",
    { class: `rung ${LEVEL[line.verdict] ?? ""}`, data: { verdict: line.verdict } },
    h(
      "div",
      { class: "rung-head" },
      h("span", { class: "rung-step", "aria-hidden": "true" }, line.step),
      h("span", {}, `IPv${line.family}, ${HOLD[line.hold] ?? line.hold}`),
      h("span", { class: `badge ${LEVEL[line.verdict] ?? ""}` }, line.verdict === "taken" ? icon("check") : null, line.verdict),
    ),
    line.reason ? h("p", { class: "hint" }, line.reason) : null,
    line.subnets.length
      ? h(
          "table",
          { "aria-label": `Subnets of rung ${line.step}` },
          h("tbody", {}, line.subnets.map((subnet) => h("tr", {}, h("td", {}, subnet.name), h("td", { class: "mono" }, subnet.prefix), h("td", { class: "number" }, `${count(subnet.free)} free`), h("td", { class: "hint" }, subnet.reason)))),
        )
      : null,
    line.more ? h("p", { class: "hint" }, `and ${plural(line.more, "more subnet")}`) : null,
  );
}

function passed(line) {
  return h("li", {}, h("b", {}, line.reason), ": ", line.subnets.join(", "), line.more ? ` and ${plural(line.more, "more", "more")}` : "");
}

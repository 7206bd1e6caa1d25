/** An explanation for people: the order of preference, and the subnets passed over. */

import { h, icon } from "./core/dom.js";
import { count, plural } from "./core/format.js";

const HOLD = { own: "own blocks", unclaimed: "unclaimed", others: "claimed by others" };
const LEVEL = { taken: "good", full: "alarm", "not reached": "" };

/** An outcome as a marked line: success and refusal differ by more than a colour. */
export function outcome(words, level = "info") {
  const glyph = { good: "check", alarm: "warn" }[level];
  return h("p", { class: `outcome ${level}`, role: level === "alarm" ? "alert" : null }, glyph ? icon(glyph) : null, h("span", {}, words));
}

/** Steps that help after a refusal. */
export function advice(steps = []) {
  if (!steps.length) return null;
  return h("div", { class: "advice" }, h("h3", {}, "What helps"), h("ul", {}, steps.map((step) => h("li", {}, step))));
}

/** The order of preference and its notes, without the outcome. */
export function explanation(found) {
  return h(
    "div",
    { class: "explanation" },
    h("p", { class: "hint" }, `Group: ${found.group}`),
    found.notes.length ? h("ul", { class: "notes", "aria-label": "Also" }, found.notes.map((note) => h("li", {}, note))) : null,
    found.rungs.length ? h("ol", { class: "ladder", "aria-label": "Order of preference" }, found.rungs.map(rung)) : null,
    found.passed.length ? h("div", { class: "passed" }, h("h3", {}, "Passed over"), h("ul", {}, found.passed.map(passed))) : null,
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
          { "aria-label": `Subnets of step ${line.step}` },
          h("tbody", {}, line.subnets.map((subnet) => h("tr", {}, h("td", {}, subnet.name), h("td", { class: "mono" }, subnet.prefix), h("td", { class: "number" }, `${count(subnet.free)} free`), h("td", { class: "hint" }, subnet.reason)))),
        )
      : null,
    line.more ? h("p", { class: "hint" }, `and ${plural(line.more, "more subnet")}`) : null,
  );
}

function passed(line) {
  return h("li", {}, h("b", {}, line.reason), ": ", line.subnets.join(", "), line.more ? ` and ${plural(line.more, "more", "more")}` : "");
}

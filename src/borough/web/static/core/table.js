/** Tables that can be sorted, and that stay quick with tens of thousands of lines. */

import { h, put } from "./dom.js";

const STEP = 200; // lines shown at first, and added at a time

/**
 * @param columns [{name, label, cell(item), value(item)?, number?, clip?, chips?, minor?}]; one with `value` can be
 *   sorted, one that is `minor` gives way on a narrow screen
 * @param options `key(item)`, `choose(item)?`, `label`, `sort`: [column, "ascending" | "descending"], `empty`;
 *   `arrange(items, order)`: all lines in order, of a tree; `sorted(name, way)`: called after a choice;
 *   `rowClass(item)`
 */
export class Table {
  constructor(columns, options) {
    this.columns = columns;
    this.options = options;
    [this.by, this.way] = options.sort ?? [null, "ascending"];
    this.items = [];
    this.shown = STEP;
    this.selected = null;
    this.head = h("tr");
    this.body = h("tbody");
    this.more = h("button", { type: "button", class: "button more-lines", hidden: true, on: { click: () => this.grow() } });
    this.element = h(
      "div",
      { class: "table-wrap", tabindex: "-1" },
      h("table", { "aria-label": options.label }, h("thead", {}, this.head), this.body),
      this.more,
    );
    markCut(this.element);
    this.element.addEventListener("keydown", (event) => this.press(event));
    this.drawHead();
  }

  drawHead() {
    const focused = this.head.contains(document.activeElement) ? document.activeElement.closest("th").dataset.name : null;
    put(
      this.head,
      this.columns.map((column) => {
        const sort = column.name === this.by ? this.way : column.value ? "none" : null;
        const label = column.value ? h("button", { type: "button", on: { click: () => this.sortBy(column) } }, column.label) : column.label;
        return h("th", { scope: "col", data: { name: column.name }, class: classes(column, false), "aria-sort": sort }, label);
      }),
    );
    if (focused) [...this.head.children].find((cell) => cell.dataset.name === focused)?.querySelector("button, input")?.focus();
  }

  sortBy(column) {
    const other = { ascending: "descending", descending: "ascending" };
    this.way = this.by === column.name ? other[this.way] : column.number ? "descending" : "ascending";
    this.by = column.name;
    this.options.sorted?.(this.by, this.way);
    this.drawHead();
    this.draw();
  }

  show(items) {
    this.items = items;
    this.draw();
  }

  select(key) {
    this.selected = key;
    this.draw();
  }

  /** Arrow keys lead from line to line: to the first link or button of it. */
  press(event) {
    const line = event.target.closest?.("tbody tr");
    const steps = { ArrowDown: line?.nextElementSibling, ArrowUp: line?.previousElementSibling, Home: this.body.firstElementChild, End: this.body.lastElementChild };
    if (!line || event.target.matches("input") || !(event.key in steps)) return;
    const next = steps[event.key]?.querySelector("a, button, input");
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  grow() {
    this.shown += STEP * 5;
    this.draw();
  }

  sorted() {
    const column = this.columns.find((each) => each.name === this.by);
    const sign = this.way === "ascending" ? 1 : -1;
    const order = column?.value ? (one, two) => sign * compare(column.value(one), column.value(two)) : null;
    if (this.options.arrange) return this.options.arrange(this.items, order);
    return order ? [...this.items].sort(order) : this.items;
  }

  /** Show other columns. */
  use(columns) {
    this.columns = columns;
    this.drawHead();
    this.draw();
  }

  draw() {
    const { key, choose, empty } = this.options;
    const focused = this.body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.key : null;
    const items = this.sorted().slice(0, this.shown);
    put(
      this.body,
      items.map((item) => {
        const name = String(key(item));
        return h(
          "tr",
          { class: this.options.rowClass?.(item), data: { key: name }, "aria-selected": choose ? String(name === this.selected) : null },
          this.columns.map((column) => h("td", { class: classes(column, true) }, column.cell(item))),
        );
      }),
    );
    if (!items.length && empty) put(this.body, h("tr", {}, h("td", { colspan: this.columns.length }, h("div", { class: "empty" }, empty))));
    this.more.hidden = this.items.length <= this.shown;
    this.more.textContent = `Show more of ${this.items.length} lines`;
    if (focused) [...this.body.children].find((line) => line.dataset.key === focused)?.querySelector("button, a")?.focus();
  }
}

/** Let a box that scrolls sideways show that there is more behind its edge. */
export function markCut(box) {
  const mark = () => box.classList.toggle("cut", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  box.addEventListener("scroll", mark, { passive: true });
  const watch = new ResizeObserver(mark);
  watch.observe(box);
  watch.observe(box.firstElementChild);
  return box;
}

function classes(column, body) {
  return ["number", "minor", ...(body ? ["clip"] : [])].filter((name) => column[name]).join(" ") + (body && column.chips ? " chips-cell" : "") || null;
}

function compare(one, two) {
  if (typeof one === "string") return one.localeCompare(two, "en", { numeric: true });
  return one === two ? 0 : one < two ? -1 : 1;
}

/** Pointer, wheel, touch and keyboard on the map. */

const STEP = 64; // pixels of one arrow key
const CLICK = 4; // most pixels that a pointer moves in a click

export function listen(map) {
  const { canvas } = map;
  const held = new Map();
  let moved = 0;

  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const hover = (px, py) => {
    const spot = map.spot(px, py);
    const changed = String(spot?.rect) !== String(map.under?.rect);
    map.under = spot;
    map.on.hover(spot);
    if (changed) map.redraw();
  };

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const step = Math.max(-240, Math.min(240, event.deltaY * lines));
    map.zoom(Math.exp(-step * 0.0022), ...point(event));
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    map.keyboard = false;
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, point(event));
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = point(event);
    const before = held.get(event.pointerId);
    if (!before) return hover(...now);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    if (held.size === 2) pinch(map, held, event.pointerId, now);
    else if (moved > CLICK) map.pan(dx, dy);
    held.set(event.pointerId, now);
  });
  canvas.addEventListener("pointerup", (event) => {
    held.delete(event.pointerId);
    if (moved <= CLICK) map.on.choose(map.spot(...point(event)));
  });
  canvas.addEventListener("pointercancel", (event) => held.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => {
    map.under = null;
    map.on.hover(null);
    map.redraw();
  });
  canvas.addEventListener("dblclick", (event) => {
    const place = map.camera.scale < 2 && map.cluster(...point(event));
    if (place) map.fly(place);
    else map.zoom(3, ...point(event));
  });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const work = key(map, event.key, event.shiftKey ? 4 : 1);
    if (!work) return;
    event.preventDefault();
    event.stopPropagation();
    map.keyboard = true;
    work();
    hover(map.width / 2, map.height / 2);
  });
  canvas.addEventListener("blur", () => {
    map.keyboard = false;
    map.redraw();
  });
}

function key(map, name, times) {
  const step = STEP * times;
  return {
    ArrowLeft: () => map.pan(step, 0),
    ArrowRight: () => map.pan(-step, 0),
    ArrowUp: () => map.pan(0, step),
    ArrowDown: () => map.pan(0, -step),
    "+": () => map.zoom(1.6),
    "=": () => map.zoom(1.6),
    "-": () => map.zoom(1 / 1.6),
    0: () => map.showAll(),
    Home: () => map.showAll(),
    Enter: () => map.on.choose(map.spot(map.width / 2, map.height / 2)),
  }[name];
}

function pinch(map, held, moving, now) {
  const [other] = [...held].filter(([id]) => id !== moving).map(([, place]) => place);
  const before = held.get(moving);
  const apart = (one, two) => Math.hypot(one[0] - two[0], one[1] - two[1]) || 1;
  const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
  map.zoom(apart(now, other) / apart(before, other), ...middle);
  map.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
}

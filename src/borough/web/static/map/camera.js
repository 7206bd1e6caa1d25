/** The camera: the cell in the middle of the canvas, and the pixels of a cell. Pure. */

/** Pixels of a single address at the deepest zoom. */
export const CLOSEST = 96;

/** The camera that shows a rectangle whole. */
export function fit([x, y, w, h], width, height, closest = CLOSEST, margin = 0.92) {
  const scale = Math.min(closest, (width * margin) / w, (height * margin) / h);
  return { x: x + w / 2, y: y + h / 2, scale };
}

/** Zoom by a factor around a point of the canvas. */
export function zoomAt(camera, px, py, factor, width, height, least) {
  const scale = Math.max(least, Math.min(CLOSEST, camera.scale * factor));
  const dx = px - width / 2;
  const dy = py - height / 2;
  return {
    x: camera.x + dx / camera.scale - dx / scale,
    y: camera.y + dy / camera.scale - dy / scale,
    scale,
  };
}

/** Move by pixels; the middle stays on the rectangle. */
export function pan(camera, dx, dy, [x, y, w, h]) {
  const hold = (value, low, high) => Math.max(low, Math.min(high, value));
  return {
    ...camera,
    x: hold(camera.x - dx / camera.scale, x, x + w),
    y: hold(camera.y - dy / camera.scale, y, y + h),
  };
}

export function toWorld(camera, px, py, width, height) {
  return [camera.x + (px - width / 2) / camera.scale, camera.y + (py - height / 2) / camera.scale];
}

export function toScreen(camera, x, y, width, height) {
  return [(x - camera.x) * camera.scale + width / 2, (y - camera.y) * camera.scale + height / 2];
}

/** The visible cells: x0, y0, x1, y1. */
export function sight(camera, width, height) {
  return [
    ...toWorld(camera, 0, 0, width, height),
    ...toWorld(camera, width, height, width, height),
  ];
}

/** A place between two cameras; the scale moves evenly in its logarithm. */
export function between(from, to, share) {
  const scale = from.scale * (to.scale / from.scale) ** share;
  // The middle follows the scale: otherwise the target would leave the canvas during the zoom.
  const moved =
    Math.abs(to.scale - from.scale) < 1e-9 * from.scale
      ? share
      : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / to.scale);
  return { x: from.x + (to.x - from.x) * moved, y: from.y + (to.y - from.y) * moved, scale };
}

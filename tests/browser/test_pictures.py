"""Every view looks like a page: no black or empty rectangle, and the colours of its theme."""

from __future__ import annotations

import pytest

from borough import Ipam
from tests.browser.browsing import Browser
from tests.browser.pictures import SHOTS, SPACES, Shot, prepare

#: Of a picture, and of the middle of it: the share of the most frequent colour and of black, the number of
#: colours, and the mean brightness from 0 to 1.
LOOK = """
const image = new Image();
image.src = 'data:image/png;base64,' + arguments[0];
await image.decode();
const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
const context = canvas.getContext('2d', { willReadFrequently: true });
context.drawImage(image, 0, 0);
const measure = (x, y, w, h) => {
  const { data } = context.getImageData(x, y, w, h);
  const counted = new Map();
  let [black, sum] = [0, 0];
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
    const key = (red << 16) | (green << 8) | blue;
    counted.set(key, (counted.get(key) ?? 0) + 1);
    if (key === 0) black++;
    sum += red + green + blue;
  }
  const pixels = data.length / 4;
  return {
    top: Math.max(...counted.values()) / pixels,
    black: black / pixels,
    colours: counted.size,
    brightness: sum / pixels / 765,
  };
};
const { width, height } = image;
return [measure(0, 0, width, height), measure(width / 5, height / 5, width / 2, height / 2)];
"""


@pytest.fixture(scope="module")
def spaces() -> dict[str, Ipam]:
    return {state: make() for state, make in SPACES.items()}


#: The views in turns, as each picture takes seconds; the command makes all of them.
LOOKS = (("light", "desk"), ("dark", "phone"))


@pytest.mark.parametrize(
    ("shot", "theme", "device"),
    [
        pytest.param(shot, *LOOKS[at % 2], id=f"{shot.name}-{shot.state}-{LOOKS[at % 2][0]}")
        for at, shot in enumerate(SHOTS)
    ],
)
def test_a_view_looks_like_a_page(
    browser: Browser, spaces: dict[str, Ipam], shot: Shot, theme: str, device: str
) -> None:
    """Measured in the picture that people would see."""
    served = prepare(browser, shot, spaces[shot.state], theme, device)
    picture = browser.driver.get_screenshot_as_base64()
    browser.driver.get("about:blank")
    if not shot.ends:
        served.close()
    whole, middle = browser.run(LOOK, picture)
    assert whole["colours"] > 60
    assert whole["top"] < 0.9
    assert middle["top"] < 0.9995
    assert max(whole["black"], middle["black"]) < 0.02
    assert (whole["brightness"] > 0.5) if theme == "light" else (whole["brightness"] < 0.35)
    # Refused requests and a lost service are reported too; they are no fault of the page.
    allowed = ("409", "ERR_CONNECTION", "ERR_INCOMPLETE")
    assert not [line for line in browser.complaints() if not any(word in line for word in allowed)]

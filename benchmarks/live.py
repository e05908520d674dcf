"""How fast the interactive page answers: ``python -m benchmarks.live`` after a site was built.

Moves the steps slider and the neuron through their range in headless Chromium, and prints the
milliseconds from a change to the last picture, as the page itself takes them.
"""

from __future__ import annotations

from book.browser import find_chromium, open_chromium
from book.tree import Tree

ASK = """async () => {
  const root = document.getElementById("live"), steps = root.querySelector("[name=steps]");
  const rest = (ms) => new Promise((done) => setTimeout(done, ms));
  const found = [];
  for (const box of root.querySelectorAll("[name=hold]")) {
    for (const neuron of root.querySelectorAll("[name=neuron]")) {
      neuron.click();
      await rest(250);
      if (box.disabled) continue;
      box.click();
      for (let value = 0; value <= +steps.max; value++) {
        steps.value = value;
        steps.dispatchEvent(new Event("input", { bubbles: true }));
        await rest(250);
        found.push([+root.dataset.ms, box.value, neuron.value, value]);
      }
    }
  }
  return found;
}"""


def main() -> None:
    """Print the median and the slowest answer."""
    site = next(tree.html for tree in map(Tree, ("full", "fast")) if tree.html.exists())
    with open_chromium(find_chromium()) as browser:
        page = browser.new_page()
        page.goto((site / "book" / "live.html").resolve().as_uri())
        found = sorted(page.evaluate(ASK))
    median, slowest = found[len(found) // 2][0], found[-1]
    print(
        f"{len(found)} changes: median {median:.0f} ms, slowest {slowest[0]:.0f} ms {slowest[1:]}"
    )


if __name__ == "__main__":
    main()

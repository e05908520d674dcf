"""What only a browser sees of a page: tables that are cut, and outputs that fill many screens."""

from playwright.sync_api import Page

#: Screens that a table of an output may fill without being folded.
SCREENS = 2
_TABLES = """screens => {
  const faults = [];
  for (const table of document.querySelectorAll('article table')) {
    const name = table.textContent.replace(/\\s+/g, ' ').trim().slice(0, 60);
    const box = table.getBoundingClientRect();
    if (!box.width || !table.checkVisibility()) continue;
    for (let around = table.parentElement; ; around = around.parentElement) {
      const shown = getComputedStyle(around).overflowX;
      const end = around.getBoundingClientRect().right;
      if (shown === 'auto' || shown === 'scroll') break;
      if ((shown !== 'visible' || around.matches('article')) && box.right > end + 1) {
        faults.push(`the table '${name}' is cut: ${Math.round(box.right - end)} px too wide`);
        break;
      }
      if (around.matches('article')) break;
    }
    if (table.closest('.cell_output') && box.height > screens * innerHeight)
      faults.push(`the table '${name}' is ${Math.round(box.height)} px tall and not folded`);
  }
  return faults;
}"""


def layout_faults(page: Page) -> list[str]:
    """Return the tables of an opened page that are cut or too tall, one line per fault.

    A table may be wider than the page's column if what holds it can be scrolled.
    """
    return page.evaluate(_TABLES, SCREENS)

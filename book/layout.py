"""What only a browser sees of a page: tables and formulas that are cut, outputs of many screens."""

from playwright.sync_api import Page

#: Screens that a table of an output may fill without being folded.
SCREENS = 2
_TABLES = """screens => {
  const faults = [];
  for (const formula of document.querySelectorAll('article div.math')) {
    const parts = [formula, ...formula.querySelectorAll('mjx-container')];
    const more = Math.max(...parts.map(part => part.scrollWidth - part.clientWidth));
    if (formula.checkVisibility() && more > 1)
      faults.push(`the formula ${formula.id || formula.textContent.slice(0, 40)} is cut: ` +
                  `${more} px too wide`);
  }
  for (const table of document.querySelectorAll('article table')) {
    const name = table.textContent.replace(/\\s+/g, ' ').trim().slice(0, 60);
    const box = table.getBoundingClientRect();
    if (!box.width || !table.checkVisibility()) continue;
    for (let around = table.parentElement; ; around = around.parentElement) {
      const shown = getComputedStyle(around).overflowX;
      if (shown === 'visible' && !around.matches('article')) continue;
      const more = Math.round(box.width - around.clientWidth);
      if (more > 1) faults.push(`the table '${name}' is cut: ${more} px too wide`);
      break;
    }
    if (table.closest('.cell_output') && box.height > screens * innerHeight)
      faults.push(`the table '${name}' is ${Math.round(box.height)} px tall and not folded`);
  }
  return faults;
}"""


def layout_faults(page: Page) -> list[str]:
    """Return what is cut or too tall on an opened page, one line per fault.

    A table that has to be scrolled is cut: ask on the screen of a desktop, not on that of a phone.
    """
    return page.evaluate(_TABLES, SCREENS)

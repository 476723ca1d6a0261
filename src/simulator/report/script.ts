/**
 * The only script of the page: the columns of the table of rows sort on a click. All else is there without it. Written
 * without `<` and `&`, so that the page stays well-formed.
 */
export const SCRIPT = `'use strict'
for (const table of document.querySelectorAll('table.rows')) {
  const body = table.tBodies[0]
  const heads = [...table.tHead.rows[0].cells]
  const valueOf = (row, column) => {
    const cell = row.cells[column]
    const text = cell.dataset.value ?? cell.textContent
    return text === '' || Number.isNaN(Number(text)) ? text : Number(text)
  }
  heads.forEach((head, column) => {
    const button = document.createElement('button')
    button.type = 'button'
    button.textContent = head.textContent
    head.replaceChildren(button)
    button.addEventListener('click', () => {
      const turn = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1
      for (const other of heads) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', turn === 1 ? 'ascending' : 'descending')
      const rows = [...body.rows].sort((a, b) => {
        const [left, right] = [valueOf(a, column), valueOf(b, column)]
        if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1
        return left === right ? 0 : (left > right ? 1 : -1) * turn
      })
      body.append(...rows)
    })
  })
}
`

(() => {
"use strict"
const tip = document.querySelector(".tip"), NS = "http://www.w3.org/2000/svg"
const make = (name, of, attributes) => {
  const made = document.createElementNS(NS, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  of.append(made)
  return made
}
const MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR
const STEPS = [1, 2, 5, 10, 15, 30].map(n => n * MINUTE).concat([1, 2, 3, 6, 12].map(n => n * HOUR), [1, 2, 7, 14, 30, 91, 365].map(n => n * DAY))
const two = n => String(n).padStart(2, "0")
const clock = (ms, step) => {
  const at = new Date(ms), day = at.toISOString().slice(0, 10), hour = two(at.getUTCHours()) + ":" + two(at.getUTCMinutes())
  return step >= DAY ? day : hour === "00:00" ? day : hour
}

class Chart {
  constructor(figure) {
    this.figure = figure
    this.area = figure.querySelector(".chart")
    this.plot = this.area.querySelector(".plot")
    this.box = this.area.querySelector(".box")
    this.data = JSON.parse(figure.querySelector("script").textContent)
    this.view = [0, 1000]
    this.hidden = new Set()
    this.at = null
    const area = this.area
    area.addEventListener("pointermove", event => this.moved(event))
    area.addEventListener("pointerleave", () => this.drag === undefined && this.clear())
    area.addEventListener("pointerdown", event => this.pressed(event))
    area.addEventListener("pointerup", event => this.released(event))
    area.addEventListener("dblclick", () => this.zoom(0, 1000))
    area.addEventListener("blur", () => this.clear())
    area.addEventListener("keydown", event => this.key(event))
    for (const button of figure.querySelectorAll(".legend button")) button.addEventListener("click", () => this.toggle(button))
  }
  place(event) {
    const room = this.plot.getBoundingClientRect(), share = (event.clientX - room.left) / room.width
    return [this.view[0] + share * (this.view[1] - this.view[0]), (event.clientY - room.top) / room.height * 1000]
  }
  moved(event) {
    const [x, y] = this.place(event)
    if (this.drag !== undefined) return this.choose(x)
    this.show(this.data.mode === "cell" ? this.cell(x, y) : this.near(x, y))
  }
  cell(x, y) {
    const { columns, rows } = this.data
    return [Math.min(columns - 1, Math.max(0, Math.floor(x / 1000 * columns))), Math.min(rows - 1, Math.max(0, Math.floor(y / 1000 * rows)))]
  }
  near(x, y) {
    const room = this.plot.getBoundingClientRect(), wide = room.width / (this.view[1] - this.view[0]), high = room.height / 1000
    let best = Infinity, found = null
    this.data.series.forEach((series, s) => {
      if (this.hidden.has(s)) return
      series.x.forEach((px, i) => {
        const dx = (px - x) * wide, dy = this.data.mode === "xy" ? (series.y[i] - y) * high : 0, far = dx * dx + dy * dy
        if (far < best) { best = far; found = [s, i] }
      })
    })
    return found
  }
  show(at) {
    if (at === null) return this.clear()
    this.at = at
    const { mode } = this.data
    this.unmark()
    if (mode === "cell") {
      const { columns, rows, text } = this.data, [x, y] = at
      this.mark("rect", { class: "spot", x: x / columns * 100 + "%", y: y / rows * 100 + "%", width: 100 / columns + "%", height: 100 / rows + "%" })
      return this.say(text[y * columns + x], (x + .5) / columns, (y + .5) / rows)
    }
    const first = this.data.series[at[0]], x = first.x[at[1]], share = this.across(x)
    const lines = []
    this.data.series.forEach((series, s) => {
      if (this.hidden.has(s)) return
      let i = s === at[0] ? at[1] : this.before(series.x, x)
      if (i < 0 || (mode === "xy" && s !== at[0])) return
      lines.push((series.name ? series.name + ": " : "") + series.text[i])
      this.mark("circle", { class: "spot", cx: this.across(series.x[i]) * 100 + "%", cy: series.y[i] / 10 + "%", r: 4 })
    })
    if (mode === "x") this.mark("line", { class: "cursor", x1: share * 100 + "%", x2: share * 100 + "%", y1: 0, y2: "100%" })
    this.say(lines.join("\n"), share, first.y[at[1]] / 1000)
  }
  before(xs, x) {
    let low = 0, high = xs.length
    while (low < high) { const middle = (low + high) >> 1; if (xs[middle] <= x + 1e-9) low = middle + 1; else high = middle }
    return low - 1
  }
  across(x) { return (x - this.view[0]) / (this.view[1] - this.view[0]) }
  mark(name, attributes) { (this.marks ||= []).push(make(name, this.plot, attributes)) }
  unmark() { for (const each of this.marks || []) each.remove(); this.marks = [] }
  say(text, x, y) {
    tip.textContent = text
    tip.hidden = false
    const room = this.plot.getBoundingClientRect(), mine = tip.getBoundingClientRect(), page = document.documentElement.clientWidth
    const left = room.left + x * room.width, right = left + 14 + mine.width < page
    tip.style.left = Math.max(4, right ? left + 14 : left - 14 - mine.width) + scrollX + "px"
    tip.style.top = Math.max(0, room.top + Math.min(Math.max(y, 0), 1) * room.height - mine.height - 10) + scrollY + "px"
  }
  clear() { this.unmark(); tip.hidden = true; this.at = null }
  pressed(event) {
    if (!this.data.span || event.pointerType === "touch" || event.button) return
    this.area.setPointerCapture(event.pointerId)
    this.drag = this.place(event)[0]
    this.clear()
  }
  choose(x) {
    this.unmark()
    const a = this.across(Math.min(x, this.drag)), b = this.across(Math.max(x, this.drag))
    this.mark("rect", { class: "chosen", x: a * 100 + "%", width: (b - a) * 100 + "%", y: 0, height: "100%" })
  }
  released(event) {
    if (this.drag === undefined) return
    const x = this.place(event)[0], from = this.drag
    this.drag = undefined
    this.unmark()
    if (Math.abs(this.across(x) - this.across(from)) > .01) this.zoom(Math.min(x, from), Math.max(x, from))
  }
  zoom(from, to) {
    if (!this.data.span) return
    for (const chart of charts) if (chart.data.span && String(chart.data.span) === String(this.data.span)) chart.look(from, to)
  }
  look(from, to) {
    from = Math.max(0, from); to = Math.min(1000, to)
    if (to - from < 1) return
    const whole = from === 0 && to === 1000
    this.view = [from, to]
    this.box.setAttribute("viewBox", `${from} 0 ${to - from} 1000`)
    this.box.classList.toggle("zoomed", !whole)
    const axis = this.area.querySelector(".x")
    this.ticks ||= axis.innerHTML
    if (whole) axis.innerHTML = this.ticks
    else {
      axis.replaceChildren()
      const [t0, t1] = this.data.span, at = x => t0 + x / 1000 * (t1 - t0), first = at(from), last = at(to)
      const step = STEPS.find(each => last - first <= 5 * each) || STEPS.at(-1)
      for (let ms = Math.ceil(first / step) * step, k = 0; ms <= last; ms += step, k++) {
        const share = (ms - first) / (last - first)
        make("text", axis, { x: share * 100 + "%", y: 15, class: (share < .04 ? "first" : share > .96 ? "last" : "") + (k % 2 ? " more" : "") }).textContent = clock(ms, step)
      }
    }
    this.button ||= this.reset()
    this.button.hidden = whole
    this.clear()
  }
  reset() {
    const made = document.createElement("button")
    made.type = "button"; made.className = "whole"; made.textContent = "show all"
    made.addEventListener("click", () => this.zoom(0, 1000))
    this.figure.append(made)
    return made
  }
  toggle(button) {
    const s = Number(button.dataset.s), off = button.getAttribute("aria-pressed") === "true"
    button.setAttribute("aria-pressed", String(!off))
    if (off) this.hidden.add(s); else this.hidden.delete(s)
    for (const path of this.box.querySelectorAll(`[data-s="${s}"]`)) path.classList.toggle("off", off)
  }
  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (event.key === "Escape") { this.zoom(0, 1000); return this.clear() }
    if ((event.key === "+" || event.key === "-") && this.data.span) {
      const [a, b] = this.view, middle = this.at ? this.data.series[this.at[0]].x[this.at[1]] : (a + b) / 2
      const half = (b - a) * (event.key === "+" ? .25 : 1)
      return this.zoom(middle - half, middle + half)
    }
    if (!step || (step[1] && this.data.mode !== "cell")) return
    event.preventDefault()
    if (this.data.mode === "cell") {
      const [x, y] = this.at || [-step[0], -step[1]]
      return this.show(this.cell((x + step[0] + .5) / this.data.columns * 1000, (y + step[1] + .5) / this.data.rows * 1000))
    }
    const shown = this.data.series.findIndex((_, s) => !this.hidden.has(s))
    if (shown < 0) return
    const [s, i] = this.at || [shown, step[0] > 0 ? -1 : this.data.series[shown].x.length]
    this.show([s, Math.min(this.data.series[s].x.length - 1, Math.max(0, i + step[0]))])
  }
}
const charts = [...document.querySelectorAll("figure")].filter(each => each.querySelector("script")).map(each => new Chart(each))

const value = cell => cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent.trim()
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = table.tHead ? [...table.tHead.rows[0].cells] : []
  if (body.rows.length > 2) heads.forEach((head, k) => {
    if (!head.textContent.trim()) return
    const button = document.createElement("button")
    button.type = "button"
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending"
      for (const other of heads) other.removeAttribute("aria-sort")
      head.setAttribute("aria-sort", down ? "descending" : "ascending")
      const rows = [...body.rows].map(row => [value(row.cells[k]), row])
      const empty = v => v === "–" || v === "-" || v === ""
      rows.sort(([a], [b]) => empty(a) - empty(b) || (down ? -1 : 1) * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true })))
      body.append(...rows.map(([, row]) => row))
    })
  })
}
for (const field of document.querySelectorAll(".find")) field.addEventListener("input", () => {
  const wanted = field.value.toLowerCase()
  for (const row of field.parentElement.querySelector("tbody").rows) row.hidden = !row.textContent.toLowerCase().includes(wanted)
})
addEventListener("keydown", event => { if (event.key === "Escape") tip.hidden = true })
addEventListener("beforeprint", () => { for (const each of document.querySelectorAll("details")) each.open = true })
})()

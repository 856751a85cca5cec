/** A line for each series over sizes that grow tenfold, as an SVG. */
export interface Series {
  readonly name: string
  readonly unit: string
  /** Size and value; the chart shows values as a part of the first one. */
  readonly points: ReadonlyArray<readonly [size: number, value: number]>
}

const colors = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf"]

export const svg = (title: string, series: ReadonlyArray<Series>): string => {
  const [width, height, left, right, top, bottom] = [860, 420, 60, 290, 50, 50] as const
  const sizes = [...new Set(series.flatMap(({ points }) => points.map(([size]) => size)))].sort((a, b) => a - b)
  const least = Math.log10(sizes[0] ?? 1)
  const most = Math.max(least + 1, Math.log10(sizes[sizes.length - 1] ?? 10))
  const parts = series.map(({ points }) =>
    points.map(([size, value]) => [size, value / (points[0]?.[1] ?? 1)] as const)
  )
  const highest = Math.max(1.2, ...parts.flat().map(([, part]) => part))
  const x = (size: number) => left + (Math.log10(size) - least) / (most - least) * (width - left - right)
  const y = (part: number) => height - bottom - part / highest * (height - top - bottom)
  const text = (at: readonly [number, number], content: string, attributes = "") =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${attributes}>${content}</text>`
  const line = (from: readonly [number, number], to: readonly [number, number]) =>
    `<line x1="${from[0]}" y1="${from[1].toFixed(1)}" x2="${to[0]}" y2="${to[1].toFixed(1)}" stroke="#ccc"/>`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text([left, 26], title, "font-size=\"16\""),
    ...Array.from({ length: Math.floor(highest * 4) + 1 }, (_, quarter) => quarter / 4).flatMap((part) => [
      line([left, y(part)], [width - right, y(part)]),
      text([left - 8, y(part) + 4], `${part * 100} %`, "text-anchor=\"end\"")
    ]),
    ...sizes.map((size) =>
      text([x(size), height - bottom + 20], size.toLocaleString("en-US"), "text-anchor=\"middle\"")
    ),
    text([(left + width - right) / 2, height - 10], "events in the log", "text-anchor=\"middle\""),
    ...series.flatMap(({ name, points, unit }, index) => {
      const color = colors[index % colors.length]!
      const last = points[points.length - 1]
      const figure = last === undefined ? "" : `: ${Math.round(last[1]).toLocaleString("en-US")} ${unit}`
      return [
        `<polyline fill="none" stroke="${color}" stroke-width="2" points="${
          parts[index]!.map(([size, part]) => `${x(size).toFixed(1)},${y(part).toFixed(1)}`).join(" ")
        }"/>`,
        ...parts[index]!.map(([size, part]) =>
          `<circle cx="${x(size).toFixed(1)}" cy="${y(part).toFixed(1)}" r="3" fill="${color}"/>`
        ),
        text([width - right + 16, top + 22 * index + 12], `${name}${figure}`, `fill="${color}"`)
      ]
    }),
    "</svg>\n"
  ].join("\n")
}

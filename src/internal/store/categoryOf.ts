/** What stands before the first `-` of a stream's name; `null` where there is none. */
export const categoryOf = (stream: string): string | null => {
  const dash = stream.indexOf("-")
  return dash < 0 ? null : stream.slice(0, dash)
}

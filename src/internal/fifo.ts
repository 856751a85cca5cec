/** First in, first out. */
export class Fifo<A> {
  #items: Array<A | undefined> = []
  #first = 0

  get size(): number {
    return this.#items.length - this.#first
  }

  peek(): A | undefined {
    return this.#items[this.#first]
  }

  push(item: A): void {
    this.#items.push(item)
  }

  shift(): A | undefined {
    if (this.#first === this.#items.length) return undefined
    const item = this.#items[this.#first]
    this.#items[this.#first++] = undefined
    if (this.#first === this.#items.length) {
      this.#items = []
      this.#first = 0
    } else if (this.#first > 1_024 && this.#first * 2 > this.#items.length) {
      // places that were taken are let go in large steps, since each moves all that is left
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    return item
  }
}
